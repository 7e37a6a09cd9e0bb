"""The inbox: what front ends ask for, taken in the order of its names, answered once and archived."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchfiles import awatch

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import JournalPoisoned, SwarmError, UsageError
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout

from .crash_points import CrashPoint, reached
from .diagnostics import LOGGER

MAX_ITEM_BYTES = 1 << 20
POLL_MS = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request. ``run`` is the run it concerned, ``data`` what it asked for."""

    is_applied: bool
    reason: str = ""
    run: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[InboxItem], Awaitable[Verdict]]


class Inbox:
    """Reads ``inbox/*.json``; a request is handled before it is archived, so a crash in between handles it again and
    the handler must recognise it by its id."""

    def __init__(self, layout: RepoLayout, clock: Clock, handle: Handler) -> None:
        self.layout, self.clock, self.handle = layout, clock, handle

    async def serve(self) -> None:
        """Take what is there, then whatever arrives, until cancelled."""
        await self.drain()
        async for _ in self._changes():
            await self.drain()

    async def drain(self) -> None:
        for path in sorted(self.layout.inbox.glob("*.json")):
            await self._take(path)

    async def _changes(self) -> AsyncIterator[None]:
        """Ticks when the directory changed, and once a second in any case."""
        polling: bool | None = None
        while True:
            try:
                if self.layout.root.is_dir():  # a repository that was deleted is not made again
                    self.layout.inbox_done.mkdir(parents=True, exist_ok=True)
                async for _ in awatch(
                    self.layout.inbox,
                    debounce=20,
                    step=10,
                    rust_timeout=POLL_MS,
                    yield_on_timeout=True,
                    recursive=False,
                    force_polling=polling,
                    poll_delay_ms=100,
                ):
                    yield None
            except (OSError, RuntimeError) as error:  # no inotify watch left, the directory went away, or is none
                LOGGER.warning("inbox is polled: %s", error)
                polling = True
            await self.clock.sleep(POLL_MS / 1000)
            yield None

    async def _take(self, path: Path) -> None:
        raw = b""
        try:
            raw = await asyncio.to_thread(_read_regular, path)
            item = InboxItem.decode(raw)
            if item.id != path.stem:
                raise UsageError(f"its id {item.id!r} is not its file name")
            verdict = await self.handle(item)
        except JournalPoisoned:
            raise  # whether it was carried out only the disk can tell: it stays for the next engine
        except SwarmError as error:
            verdict = Verdict(False, str(error))
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 -- no request may end the engine
            LOGGER.exception("request %a could not be answered", path.name)
            verdict = Verdict(False, f"it could not be carried out: {error}")
        reached(CrashPoint.AFTER_DECISION_BEFORE_ARCHIVE)
        archiving = asyncio.create_task(asyncio.to_thread(self._archive, path, raw, verdict))
        try:
            await asyncio.shield(archiving)
        except asyncio.CancelledError:  # a request to stop must not be there for the next engine to find
            await archiving
            raise

    def _archive(self, path: Path, raw: bytes, verdict: Verdict) -> None:
        answer = {
            "v": 1,
            "result": "applied" if verdict.is_applied else "refused",
            "reason": verdict.reason,
            "run": verdict.run,
            "data": dict(verdict.data),
            "at": self.clock.now(),
            "request": raw.decode(errors="replace"),
        }
        temporary = self.layout.inbox_done / f"{path.stem}.tmp"
        try:
            temporary.write_bytes(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            temporary.replace(self.layout.inbox_done / f"{path.stem}.json")
            if path.is_dir() and not path.is_symlink():
                path.rename(self.layout.inbox_done / f"{path.stem}.{time.time_ns()}.dir")
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            LOGGER.error("request %a could not be archived: %s", path.name, error)


def _read_regular(path: Path) -> bytes:
    """The bytes of a plain file; links and special files are refused rather than followed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UsageError(f"{path.name} is not a plain file")
    with os.fdopen(fd, "rb") as file:
        raw = file.read(MAX_ITEM_BYTES + 1)
    if len(raw) > MAX_ITEM_BYTES:
        raise UsageError(f"{path.name} is larger than {MAX_ITEM_BYTES} bytes")
    return raw
