"""The journal's only writer: append-only, hash-chained, group-committed, in segments.

Write order of one batch: all lines in one write, one sync, then everybody who waits is told. An event that was told is
on disk. Everything that arrives while a sync is under way goes out with the next one, so the cost per event falls as
the load rises, without a timer.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import JournalError, JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.freeze import freeze
from swarm_core.vocabulary.view import RunView

from .disk import NO_SPACE, Disk, RealDisk, write_all
from .lines import Place, as_read, encode
from .recovery import Recovered, recover
from .segments import SEGMENT_BYTES, closed_path, directory, read_all
from .snapshot import is_due, store

MARKS = 4_096  # places of appends that the fold may still be behind


@dataclass(frozen=True, slots=True)
class _Waiter:
    """Who appends, and where the answer goes: a future of the event loop that asked."""

    drafts: Sequence[Draft]
    done: asyncio.Future[list[Event]]


_Answer = tuple[_Waiter, "list[Event] | BaseException"]


class Journal:
    """One run's journal, open for appending.

    ``view`` is the state as of the opening, to be kept up by the engine; ``events`` are those that were read for it:
    all of them, or those after the snapshot.
    """

    def __init__(self, path: Path, run: str, clock: Clock, disk: Disk, segment_bytes: int, is_inline: bool) -> None:
        self.path, self.run, self.clock, self.disk = path, run, clock, disk
        self.segment_bytes = segment_bytes
        self.view = RunView()
        self.events: list[Event] = []
        self.torn_bytes = 0
        self._snapshot_seq = 0
        self._marks: deque[Place] = deque(maxlen=MARKS)
        self._fd = -1
        self._place = Place()
        self._epoch = 1
        self._poison: BaseException | None = None
        self._is_closed = False
        self._has_directory = False
        self._queue: SimpleQueue[_Waiter | None] = SimpleQueue()
        self._inline: list[_Waiter] | None = [] if is_inline else None
        self._storing = asyncio.Lock()
        self._writer = threading.Thread(target=self._write_forever, name=f"journal {run}", daemon=True)

    @classmethod
    async def open(
        cls,
        path: Path,
        run: str,
        clock: Clock,
        disk: Disk | None = None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        inline: bool | None = None,
    ) -> Journal:
        """Open or create the journal with the active segment ``path``; see ``recovery``.

        With ``inline`` there is no writer thread: what is queued in one turn of the event loop is committed at its
        end. That is for disks that take no time, and the default for them.

        Raises JournalCorrupt, JournalError if a file cannot be opened, or IllegalTransition if an event does not fit.
        """
        disk = disk or RealDisk()
        journal = cls(path, run, clock, disk, segment_bytes, disk.is_instant if inline is None else inline)
        if journal._inline is not None:
            journal._begin(recover(path, disk))
        else:
            journal._begin(await asyncio.to_thread(recover, path, disk))
            journal._writer.start()
        return journal

    def _begin(self, found: Recovered) -> None:
        self._fd, self._place, self._epoch = found.fd, found.place, found.place.epoch + 1
        self.view, self.events, self.torn_bytes = found.view, found.events, found.torn_bytes
        self._snapshot_seq = found.snapshot_seq
        self._marks.append(found.place)

    @property
    def last_seq(self) -> int:
        return self._place.seq

    async def append(self, *drafts: Draft) -> list[Event]:
        """Append in order, in one batch; durable when it returns.

        Raises JournalFull (nothing of the batch was written; it may be tried again) or JournalPoisoned.
        """
        if self._is_closed:
            raise JournalError(f"{self.path} is closed")
        loop = asyncio.get_running_loop()
        waiter = _Waiter(drafts, loop.create_future())
        if self._inline is None:
            self._queue.put(waiter)
        else:
            self._inline.append(waiter)
            if len(self._inline) == 1:
                loop.call_soon(self._write_queued)
        return await waiter.done

    async def close(self) -> None:
        """Write what is queued, then close. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._inline is not None:
            self._write_queued()
        else:
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
        if self._fd >= 0:
            with suppress(OSError):
                self.disk.close(self._fd)
            self._fd = -1

    # -- snapshots

    @property
    def wants_snapshot(self) -> bool:
        """Whether enough happened since the last snapshot to pay for the next."""
        return is_due(self.view.last_seq - self._snapshot_seq, self.view)

    async def snapshot(self, view: RunView) -> bool:
        """Write ``view`` down, so that the next opening begins there. It must be the state after a whole append.

        False if that was not possible; nothing is lost by it, and it is tried again as much later.
        """
        place = self._mark_of(view.last_seq)
        self._snapshot_seq = view.last_seq
        if place is None or self._poison is not None:
            return False
        try:
            state = freeze(view)
        except TypeError:
            return False
        if self._inline is not None:
            return store(self.path, self.disk, place, state)
        async with self._storing:
            return await asyncio.to_thread(store, self.path, self.disk, place, state)

    def _mark_of(self, seq: int) -> Place | None:
        while self._marks and self._marks[0].seq < seq:
            self._marks.popleft()
        return self._marks[0] if seq and self._marks and self._marks[0].seq == seq else None

    # -- the writer

    def _write_forever(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            is_open = None not in batch
            waiters = [waiter for waiter in batch if waiter is not None]
            if waiters:  # one call wakes the event loop for all of them
                loop, answers = waiters[0].done.get_loop(), self._commit(waiters)
                with suppress(RuntimeError):  # the loop is gone, and with it everybody who waited
                    loop.call_soon_threadsafe(_tell, answers)

    def _write_queued(self) -> None:
        assert self._inline is not None
        waiters = list(self._inline)
        self._inline.clear()
        if waiters:
            _tell(self._commit(waiters))

    def _commit(self, waiters: Sequence[_Waiter]) -> list[_Answer]:
        """Write what still is wanted; what each of them is to be told."""
        waiters = [waiter for waiter in waiters if not waiter.done.cancelled()]
        if not waiters:
            return []
        refused: list[_Answer] = []
        try:
            if self._poison is not None:
                raise JournalPoisoned(f"{self.path} is closed: {self._poison}") from self._poison
            self._make_room()
            data, results = self._encode(waiters, refused)
            self._put(data)
        except BaseException as error:  # noqa: BLE001 -- whatever failed, everybody who waits must hear of it
            if not isinstance(error, JournalError):
                self._poison = error
                error = JournalPoisoned(f"{self.path}: {type(error).__name__}: {error}")
                error.__cause__ = self._poison
            told = {id(waiter) for waiter, _ in refused}
            return refused + [(waiter, error) for waiter in waiters if id(waiter) not in told]
        for _, _, place in results:
            self._place = place
            self._marks.append(place)
        return refused + [(waiter, events) for waiter, events, _ in results]

    def _encode(
        self, waiters: Sequence[_Waiter], refused: list[_Answer]
    ) -> tuple[bytes, list[tuple[_Waiter, list[Event], Place]]]:
        """The lines of a batch, and for each waiter its events, as whoever reads them will see them, and its place.

        Who brings what cannot be written hears of it alone.
        """
        place, lines, results = self._place, bytearray(), []
        batch, ts = place.seq + 1, self.clock.now()
        for waiter in waiters:
            seq, prev, added, events = place.seq, place.prev, bytearray(), []
            try:
                for draft in waiter.drafts:
                    seq += 1
                    event = _event(draft, seq, ts, self.run)
                    line, prev = encode(event, prev, self._epoch, batch)
                    added += line
                    events.append(event)
            except Exception as error:  # noqa: BLE001 -- given to whom it concerns
                refused.append((waiter, error))
                continue
            if events:
                lines += added
                place = Place(seq, prev, self._epoch, place.first, place.offset + len(added))
            results.append((waiter, events, place))
        return bytes(lines), results

    def _put(self, data: bytes) -> None:
        if not data:
            return
        try:
            write_all(self.disk, self._fd, data)
        except OSError as error:
            self._take_back(error)
            if error.errno in NO_SPACE:
                raise self._full(error) from error
            raise self._poisoned("cannot be written", error) from error
        self._sync(self._fd)

    def _take_back(self, cause: OSError) -> None:
        """Cut off what a failed write left behind."""
        try:
            self.disk.truncate(self._fd, self._place.offset)
            self.disk.sync(self._fd)
        except OSError as error:
            raise self._poisoned("a failed write could not be taken back", error) from cause

    def _sync(self, place: int | Path) -> None:
        """A failed sync is final: the kernel may have dropped the pages and call the next sync a success."""
        try:
            if isinstance(place, int):
                self.disk.sync(place)
            else:
                self.disk.sync_dir(place)
        except OSError as error:
            raise self._poisoned("sync failed", error) from error

    # -- segments

    def _make_room(self) -> None:
        """Close the active segment if it is full, and see that there is one."""
        if self._fd >= 0 and self._place.offset >= self.segment_bytes:
            self._close_segment()
        if self._fd >= 0:
            return
        try:
            fd = self.disk.open_append(self.path)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise self._full(error) from error
            raise self._poisoned("cannot be opened", error) from error
        self._fd = fd
        try:
            self._sync(directory(self.path))
            self._sync(self.path.parent)
        except BaseException:
            self.disk.close(fd)
            self._fd = -1
            raise

    def _close_segment(self) -> None:
        """Move the active segment to the closed ones. On a full disk it grows on, and the next batch tries again."""
        try:
            if not self._has_directory:
                self.disk.make_dir(directory(self.path))
                self._sync(self.path.parent)
                self._has_directory = True
            self.disk.rename(self.path, closed_path(self.path, self._place.first))
        except OSError as error:
            if error.errno in NO_SPACE:
                return
            raise self._poisoned("cannot be moved to the closed segments", error) from error
        self.disk.close(self._fd)
        self._fd = -1
        place = self._place
        self._place = Place(place.seq, place.prev, place.epoch, place.seq + 1, 0)

    # -- errors

    def _full(self, error: OSError) -> JournalFull:
        return JournalFull(f"{self.path}: {error.strerror}", hint="make space on the device; work goes on by itself")

    def _poisoned(self, what: str, error: OSError) -> JournalPoisoned:
        self._poison = error
        return JournalPoisoned(f"{self.path}: {what}: {error.strerror}", hint="start again: it recovers from the disk")


def verify(path: Path, disk: Disk | None = None) -> int:
    """Hold every line of every segment against the chain. Returns the number of events.

    Raises JournalCorrupt with file, line and byte, or JournalError if there is no journal.
    """
    return sum(1 for _ in read_all(path, disk))


def _tell(answers: Sequence[_Answer]) -> None:
    """In the event loop: wake those who still wait."""
    for waiter, answer in answers:
        if waiter.done.done():
            continue
        if isinstance(answer, BaseException):
            waiter.done.set_exception(answer)
        else:
            waiter.done.set_result(answer)


def _event(draft: Draft, seq: int, ts: str, run: str) -> Event:
    """A draft in its place; its data are what whoever reads the journal will see."""
    data = as_read(draft.data) if draft.data else {}
    return Event(seq, ts, run, draft.kind, data, draft.actor, draft.task, draft.agent, draft.phase, draft.cause)
