"""The two pipes to a confined shell: requests go in, answers come out, and neither may stop the engine's loop."""

from __future__ import annotations

import asyncio
import os

_PIPE_BYTES = 4096


class Answer:
    """Waits on the pipe of answers for the line that begins with ``token``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, token: str) -> None:
        self.future: asyncio.Future[int] = loop.create_future()
        self._loop, self._fd, self._token, self._text = loop, fd, token.encode(), b""
        loop.add_reader(fd, self._take)

    def _take(self) -> None:
        try:
            data = os.read(self._fd, _PIPE_BYTES)
        except BlockingIOError:
            return
        *lines, self._text = (self._text + data)[-_PIPE_BYTES:].split(b"\n")
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0] == self._token and words[1].isdigit() and not self.future.done():
                self.future.set_result(int(words[1]) & 0xFF)
        if not data or self.future.done():
            self._loop.remove_reader(self._fd)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        self.future.cancel()


async def ask(fd: int, text: str) -> None:
    """Write a request. A shell that does not read it is a shell that does not answer: others see to that."""
    loop, data = asyncio.get_running_loop(), text.encode("utf-8", "surrogateescape")
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await _writable(loop, fd)
        except OSError:
            return


async def _writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    room = asyncio.Event()
    loop.add_writer(fd, room.set)
    try:
        await room.wait()
    finally:
        loop.remove_writer(fd)
