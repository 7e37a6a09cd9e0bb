"""A real pseudo-terminal with a person's eyes: keys go in, a screen of cells comes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pexpect
import pyte
from tests.support.cli import COMMAND, environment

COLUMNS, ROWS = 120, 36
KEYS = {"enter": "\r", "esc": "\x1b", "tab": "\t", "ctrl+q": "\x11", "down": "\x1b[B", "up": "\x1b[A"}
WAIT_S = 60.0


class Terminal:
    """A program under a pseudo-terminal; ``text`` is what a person sees now."""

    def __init__(self, arguments: Sequence[str], cwd: Path, **more: str) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *arguments],
            cwd=str(cwd),
            env=environment(COLUMNS=str(COLUMNS), LINES=str(ROWS), **more),
            dimensions=(ROWS, COLUMNS),
            timeout=WAIT_S,
        )

    def read(self, for_s: float = 0.05) -> None:
        """Take what the program wrote meanwhile."""
        try:
            chunk = self.process.read_nonblocking(1 << 16, timeout=for_s)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.raw += chunk
        # pyte does not know the kitty and mode-query sequences that start a session; it skips what it can parse
        self._stream.feed(chunk)

    def watch(self, for_s: float) -> None:
        """Look at the screen for a while, as a person does who reads."""
        deadline = time.monotonic() + for_s
        while time.monotonic() < deadline:
            self.read()

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait_for(self, *wanted: str, timeout_s: float = WAIT_S) -> None:
        """Until all of ``wanted`` are on the screen at once."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.read()
            if all(word in self.text for word in wanted):
                return
        raise AssertionError(f"waited in vain for {wanted}; the screen shows:\n{self.text}")

    def wait_for_end(self, timeout_s: float = WAIT_S) -> int:
        """The program's exit status."""
        deadline = time.monotonic() + timeout_s
        while self.process.isalive() and time.monotonic() < deadline:
            self.read()
        assert not self.process.isalive(), f"still running:\n{self.text}"
        self.process.close()
        return int(self.process.exitstatus if self.process.exitstatus is not None else -1)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.process.send(KEYS.get(key, key))
            self.read(0.02)

    def type(self, text: str) -> None:
        self.process.send(text)

    def hang_up(self) -> None:
        """Close the terminal under the program, as when a window is closed."""
        self.process.close(force=True)
