"""The journal's only writer: append-only, hash-chained, group-committed.

Write order of one batch: all lines in one write, one sync, then everybody who waits is told. An event that was told is
on disk. Everything that arrives while a sync is under way goes out with the next one, so the cost per event falls as
the load rises, without a timer.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError, JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event

from .disk import Disk, RealDisk
from .lines import Chain, decode, digest, encode

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_Batch = tuple[Sequence[Draft], "Future[list[Event]]"]


class Journal:
    """One run's journal, open for appending. ``events`` are those read when it was opened, for the fold."""

    def __init__(self, path: Path, run: str, clock: Clock, disk: Disk) -> None:
        self.path, self.run, self.clock, self.disk = path, run, clock, disk
        self.events: list[Event] = []
        self.torn_bytes = 0
        self.last_seq = 0
        self._fd = -1
        self._prev = ""
        self._size = 0
        self._poison: OSError | None = None
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_forever, name=f"journal {run}", daemon=True)

    @classmethod
    async def open(cls, path: Path, run: str, clock: Clock, disk: Disk | None = None) -> Journal:
        """Open or create. A torn tail is kept beside the file and cut off; any other damage is refused.

        Raises JournalCorrupt, or JournalError if the file cannot be opened.
        """
        journal = cls(path, run, clock, disk or RealDisk())
        await asyncio.to_thread(journal._recover)
        journal._writer.start()
        return journal

    def _recover(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = self.disk.open_append(self.path)
            data = self.path.read_bytes()
        except OSError as error:
            raise JournalError(f"{self.path} cannot be opened: {error.strerror}") from error
        chain = Chain(self.path)
        good = _torn_at(data)
        try:
            self.events = list(chain.take_all(data[:good]))
            if good < len(data):
                self._cut(data, good)
            # What was read must be durable before it is acted on: a killed writer may not have synced it.
            self.disk.sync(self._fd)
            self.disk.sync_dir(self.path.parent)
        except BaseException:
            self.disk.close(self._fd)
            raise
        self.last_seq, self._prev, self._size = chain.seq, chain.prev, chain.offset

    def _cut(self, data: bytes, good: int) -> None:
        self.torn_bytes = len(data) - good
        self.path.with_name(f"{self.path.name}.torn-{good}").write_bytes(data[good:])
        self.disk.truncate(self._fd, good)

    async def append(self, *drafts: Draft) -> list[Event]:
        """Append in order, in one batch; durable when it returns.

        Raises JournalFull (nothing of the batch was written; it may be tried again) or JournalPoisoned.
        """
        done: Future[list[Event]] = Future()
        self._queue.put((drafts, done))
        return await asyncio.wrap_future(done)

    async def close(self) -> None:
        """Write what is queued, then close. Idempotent."""
        if self._fd < 0:
            return
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        self.disk.close(self._fd)
        self._fd = -1

    # -- the writer's thread

    def _write_forever(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            is_open = None not in batch
            self._commit([waiter for waiter in batch if waiter is not None])

    def _commit(self, waiters: Sequence[_Batch]) -> None:
        waiters = [(drafts, done) for drafts, done in waiters if done.set_running_or_notify_cancel()]
        seq, prev, lines, results = self.last_seq, self._prev, bytearray(), []
        try:
            if self._poison is not None:
                raise JournalPoisoned(f"{self.path} is closed after a failed sync") from self._poison
            ts = self.clock.now()
            for drafts, _ in waiters:
                events = []
                for draft in drafts:
                    seq += 1
                    event = _event(draft, seq, ts, self.run)
                    line = encode(event, prev)
                    prev = digest(line[:-1])
                    lines += line
                    events.append(event)
                results.append(events)
            self._put(bytes(lines))
        except Exception as error:  # noqa: BLE001 -- whatever failed, everybody who waits must hear of it
            for _, done in waiters:
                done.set_exception(error)
            return
        self.last_seq, self._prev, self._size = seq, prev, self._size + len(lines)
        for (_, done), events in zip(waiters, results, strict=True):
            done.set_result(events)

    def _put(self, data: bytes) -> None:
        if not data:
            return
        try:
            written = 0
            while written < len(data):
                written += self.disk.write(self._fd, data[written:])
        except OSError as error:
            self._take_back(error)
            if error.errno in NO_SPACE:
                raise JournalFull(
                    f"{self.path}: {error.strerror}", hint="make space on the device; work goes on by itself"
                ) from error
            raise JournalError(f"{self.path} cannot be written: {error.strerror}") from error
        try:
            self.disk.sync(self._fd)
        except OSError as error:
            # The kernel may have dropped the pages and call the next sync a success: only a restart can know.
            self._poison = error
            raise JournalPoisoned(f"{self.path}: sync failed: {error.strerror}") from error

    def _take_back(self, cause: OSError) -> None:
        """Cut off what a failed write left behind."""
        try:
            self.disk.truncate(self._fd, self._size)
            self.disk.sync(self._fd)
        except OSError as error:
            self._poison = error
            raise JournalPoisoned(f"{self.path}: a failed write could not be taken back: {error}") from cause


def verify(path: Path) -> int:
    """Hold every line against the chain. Returns the number of events; raises JournalCorrupt with file, line, byte."""
    data = path.read_bytes()
    chain = Chain(path)
    for _ in chain.take_all(data):
        pass
    if chain.offset < len(data):
        raise JournalCorrupt(
            f"{path}:{chain.seq + 1}: the last line, at byte {chain.offset}, is not complete",
            hint="a running engine may be writing it; the next start cuts it off",
        )
    return chain.seq


def _torn_at(data: bytes) -> int:
    """Where a torn tail begins: after the last line that is an event, if only one line follows it.

    A write that a crash cut short leaves a line without an end; one that reached the disk out of order may leave
    zeros. More than one bad line is not a torn tail, and the chain then names the first.
    """
    end = data.rfind(b"\n") + 1
    if end < len(data):
        return end
    last = data.rfind(b"\n", 0, end - 1) + 1
    if last < end:
        try:
            decode(data[last : end - 1])
        except ValueError:
            return last
    return end


def _event(draft: Draft, seq: int, ts: str, run: str) -> Event:
    return Event(seq, ts, run, draft.kind, draft.data, draft.actor, draft.task, draft.agent, draft.phase, draft.cause)
