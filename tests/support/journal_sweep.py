"""Holding the journal against every moment of a crash: lives of an engine on a disk in memory, and what must be true.

The judge reads the disk with code of its own: a fault in the journal's reading must not hide one in its writing.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from swarm_core.journal.journal import Journal, verify
from swarm_core.journal.lines import GENESIS
from swarm_core.journal.memory_disk import CHANGING, MemoryDisk
from swarm_core.journal.opening import last_events, open_view
from swarm_core.journal.power_loss import Loss, PowerLoss
from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError, JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.freeze import freeze
from swarm_core.vocabulary.view import RunView

PATH = Path("/runs/r1/events.jsonl")
SEGMENT_BYTES = 1_200
TRIES = 4


class StandingClock:
    """Always the same moment: nothing may depend on the time."""

    def now(self) -> str:
        return "2026-11-21T10:00:00.000Z"

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass
class History:
    """What was asked of the journal and what it answered, over all lives."""

    acked: list[Event] = field(default_factory=list)
    open: list[Draft] = field(default_factory=list)  # asked for and not answered: may be there or not, in order
    issued: int = 0

    def branch(self) -> History:
        return History(list(self.acked), list(self.open), self.issued)

    def next_drafts(self, count: int) -> list[Draft]:
        drafts = []
        for _ in range(count):
            self.issued += 1
            n = self.issued
            kind = ("llm.call", "task.created", "run.note")[n % 3]
            data: dict[str, Any] = {"title": f"task {n} ✓", "text": "x" * (n * 37 % 150), "input_tokens": n, "n": n}
            drafts.append(Draft(kind, data, task=f"task_{n - n % 3 + 1:03d}"))
        return drafts


# -- the judge


def lines_on(disk: MemoryDisk) -> Iterator[tuple[Path, bytes]]:
    files = disk.files()
    closed = sorted(path for path in files if path.parent == PATH.with_suffix(""))
    for path in (*closed, PATH):
        data = files.get(path, b"")
        assert data.endswith(b"\n") or not data, f"{path} has a torn tail"
        yield from ((path, line) for line in data.split(b"\n")[:-1])


def judged(disk: MemoryDisk) -> tuple[list[dict[str, Any]], int]:
    """The events of a journal that must be whole, as plain objects, and the highest epoch."""
    prev, epoch, bodies = GENESIS, 0, []
    for number, (path, line) in enumerate(lines_on(disk), 1):
        body = json.loads(line)
        start = line.rindex(b',"sum":')
        assert body["sum"] == hashlib.sha256(line[:start]).hexdigest()[:16], f"{path}: checksum of event {number}"
        assert body["seq"] == number, f"{path}: seq {body['seq']} is event {number}"
        assert body["prev"] == prev, f"{path}: the chain is broken at event {number}"
        assert body["epoch"] >= epoch, f"{path}: epoch {body['epoch']} after {epoch}"
        prev, epoch = hashlib.sha256(line).hexdigest(), body["epoch"]
        bodies.append(body)
    return bodies, epoch


def plain(event: Event | Draft) -> tuple[str, Any, str | None]:
    return event.kind, event.data, event.task


def hold(disk: MemoryDisk, history: History, view: RunView) -> int:
    """Everything answered is there, in order, and nothing that was not asked for. Returns the highest epoch."""
    bodies, epoch = judged(disk)
    found = [(body["kind"], body["data"], body.get("task")) for body in bodies]
    count = len(history.acked)
    assert len(found) >= count, f"{count} events were acknowledged, {len(found)} are there"
    assert found[:count] == [plain(event) for event in history.acked], "an acknowledged event is another one"
    more = found[count:]
    assert more == [plain(draft) for draft in history.open[: len(more)]], "an event is there that nobody asked for"
    events = [
        Event(b["seq"], b["ts"], b["run"], b["kind"], b["data"], b["actor"], b.get("task"), b.get("agent"))
        for b in bodies
    ]
    assert freeze(view) == freeze(RunView.of(events)), "the state is not the fold of the journal"
    history.acked, history.open = events, []  # what recovery gave back, the engine acts on
    return epoch


# -- lives


async def open_on(disk: MemoryDisk) -> Journal:
    return await Journal.open(PATH, "r1", StandingClock(), disk, segment_bytes=SEGMENT_BYTES)


async def append(journal: Journal, history: History, *counts: int) -> None:
    """Appends at the same moment; on a full disk again, until there is space."""
    groups = [history.next_drafts(count) for count in counts]
    for _ in range(TRIES):
        history.open += [draft for group in groups for draft in group]
        answers = await asyncio.gather(*(journal.append(*group) for group in groups), return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if not errors:
            for answer in answers:
                assert isinstance(answer, list)
                for event in answer:
                    history.acked.append(event)
                    journal.view.apply(event)
            history.open.clear()
            return
        assert len(errors) == len(answers), "half of a batch was acknowledged"
        if not isinstance(errors[0], JournalFull):
            raise errors[0]
        history.open.clear()
    raise AssertionError("there was space again, and the journal did not go on")


async def live(disk: MemoryDisk, history: History, batches: int) -> None:
    """One life of an engine: open, append, snapshot now and then, close."""
    journal = await open_on(disk)
    try:
        epoch = hold(disk, history, journal.view)
        for number in range(batches):
            await append(journal, history, *((1,), (3,), (1, 2))[number % 3])
            if number == 0:
                assert hold(disk, history, journal.view) > epoch, "the epoch did not rise"
            if number % 4 == 2:
                await journal.snapshot(journal.view)
    except JournalPoisoned:
        if not disk.is_off:
            with suppress(JournalPoisoned):
                await journal.append(*history.next_drafts(1))
                raise AssertionError("a poisoned journal went on") from None
        raise
    finally:
        with suppress(PowerLoss):
            await journal.close()
    assert not disk.open_files, "a file was left open"


async def survive(disk: MemoryDisk, history: History) -> None:
    """The judgement: the journal opens, holds what it must, goes on, and everybody sees the same."""
    await live(disk, history, 1)
    other = disk.restarted()
    assert verify(PATH, other) == len(history.acked)
    view, reader = open_view(PATH, other)
    reader.close()
    assert freeze(view) == freeze(RunView.of(history.acked)), "a front end sees another state"
    assert [plain(e) for e in last_events(PATH, 3, other)] == [plain(e) for e in history.acked[-3:]]


async def story(disk: MemoryDisk, history: History) -> None:
    """What the sweeps interrupt: segments, batches, snapshots, and an engine that starts again."""
    await live(disk, history, 8)
    await live(disk, history, 4)


async def crashed(disk: MemoryDisk, history: History, lives: int = 2) -> None:
    """A story that the power loss ends."""
    with suppress(PowerLoss, JournalPoisoned):
        await story(disk, history) if lives == 2 else await live(disk, history, 2)


@contextmanager
def harmless_errors(disk: MemoryDisk) -> Iterator[None]:
    """A life may end with an error if its disk had one; it may never call the journal corrupt."""
    try:
        yield
    except JournalCorrupt:
        raise
    except JournalError as error:
        if not disk.errors and not disk.is_off:
            raise AssertionError(f"nothing failed, and then: {error}") from error


# -- sweeps. Each returns the number of crashes (or errors, flips, looks) it went through.


async def story_calls() -> list[str]:
    disk = MemoryDisk()
    await story(disk, History())
    return disk.calls


async def crash_everywhere(second_crashes: int, seeds: int = 1, every: int = 1) -> int:
    """The power goes at every call; what is left is what every policy says; then again during recovery."""
    runs = 0
    losses: list[tuple[Loss, int]] = [(loss, 0) for loss in Loss]
    losses += [(loss, seed) for loss in (Loss.PREFIX, Loss.REORDERED) for seed in range(1, seeds)]
    points = [at for at, call in enumerate(await story_calls(), 1) if call in CHANGING]
    for at in points[::every]:
        disk, history = MemoryDisk(), History()
        disk.crash_at = at
        await crashed(disk, history)
        for loss, seed in losses:
            await survive(disk.after_power_loss(loss, seed), history.branch())
            runs += 1
            for number in range(second_crashes):
                again, later = disk.after_power_loss(loss, seed), history.branch()
                again.crash_at = 1 + (at * 7 + runs * 3 + number * 5) % 45
                await crashed(again, later, 1)
                await survive(again.after_power_loss(losses[runs % len(losses)][0], at), later)
                runs += 1
        # Killed instead: the caches stay. Then it goes on, and then the power goes.
        killed = disk.restarted()
        await live(killed, history, 2)
        await survive(killed.after_power_loss(Loss.ALL), history)
        runs += 1
    return runs


async def fail_everywhere(every: int = 1) -> int:
    """Every call fails once, with a full disk or a broken one; whole and short writes."""
    runs, total = 0, len(await story_calls())
    for at in range(1, total + 1, every):
        for number, short in itertools.product((errno.ENOSPC, errno.EIO), (False, True)):
            disk, history = MemoryDisk(), History()
            disk.errors = {at: number}
            if short:
                disk.max_write_bytes = 100
            for _ in range(TRIES):
                with harmless_errors(disk):
                    await story(disk, history)
                    break
                disk = disk.restarted()
            else:
                raise AssertionError("it did not come back")
            for loss in (Loss.ALL, Loss.PREFIX):
                await survive(disk.after_power_loss(loss, at), history.branch())
                runs += 1
    return runs


async def flip_everywhere(step: int) -> int:
    """One bit of one file is another: it is found, or nothing depends on it. Also changes whose checksum is right."""
    base, history = MemoryDisk(), History()
    await story(base, history)
    runs = 0
    for path, data in base.files().items():
        for place in range(0, len(data), step):
            changed = data[:place] + bytes([data[place] ^ 1 << place % 7]) + data[place + 1 :]
            await _is_found(base, history, path, changed)
            runs += 1
        if path.suffix == ".jsonl":
            lines = data.splitlines(keepends=True)
            for number, line in enumerate(lines[:-1] if path == PATH else lines):
                text = line.replace(b'"n":', b'"n":1', 1)[: line.rindex(b',"sum":') + 1]
                seal = b',"sum":"%s"}\n' % hashlib.sha256(text).hexdigest()[:16].encode()
                await _is_found(base, history, path, b"".join([*lines[:number], text + seal, *lines[number + 1 :]]))
                runs += 1
    await _a_snapshot_of_another_run_is_not_believed(base, history)
    return runs


async def _is_found(base: MemoryDisk, history: History, path: Path, changed: bytes) -> None:
    disk = base.after_power_loss(Loss.NONE)
    disk.put(path, changed)
    torn = {file for file in disk.files() if ".torn-" in file.name}
    try:
        journal = await open_on(disk)
    except JournalCorrupt:
        assert path.suffix == ".jsonl", "a snapshot stopped an opening"
        return
    await journal.close()
    try:
        verify(PATH, disk)
    except JournalCorrupt:
        return
    bodies, _ = judged(disk)
    found = [(body["kind"], body["data"], body.get("task")) for body in bodies]
    whole = [plain(event) for event in history.acked]
    assert found == whole[: len(found)], f"a changed byte of {path.name} changed an event"
    if len(found) < len(whole):
        assert path == PATH, "events of a closed segment are gone"
        assert len(whole) - len(found) <= 3, "more than the last batch is gone"
        assert journal.torn_bytes, "events are gone and nobody said so"
        assert {file for file in disk.files() if ".torn-" in file.name} > torn, "what was cut off was not kept"
    assert freeze(journal.view) == freeze(RunView.of(history.acked[: len(found)])), f"{path.name} changed the state"


async def _a_snapshot_of_another_run_is_not_believed(base: MemoryDisk, history: History) -> None:
    other, others = MemoryDisk(), History(issued=1)
    await story(other, others)
    disk, snapshot = base.after_power_loss(Loss.NONE), PATH.with_name("snapshot.json")
    disk.put(snapshot, other.files()[snapshot])
    await survive(disk, history.branch())


class Looker:
    """A reader in another process that looks at every so many calls of the writer."""

    def __init__(self, disk: MemoryDisk, every: int, max_bytes: int) -> None:
        self.reader, self.every, self.max_bytes = JournalReader(PATH, disk.restarted()), every, max_bytes
        self.calls = 0
        self.seen: list[Event] = []

    def look(self) -> None:
        self.calls += 1
        if self.calls % self.every == 0:
            self.seen += self.reader.poll(self.max_bytes)

    def finish(self, history: History) -> None:
        while events := self.reader.poll():
            self.seen += events
        self.reader.close()
        assert [event.seq for event in self.seen] == list(range(1, len(history.acked) + 1)), "not each event once"
        assert [plain(e) for e in self.seen] == [plain(e) for e in history.acked], "a reader saw other events"


async def look_everywhere(every: int = 1) -> int:
    """Readers look at every call of a writer that is killed at every call and started again."""
    points = [at for at, call in enumerate(await story_calls(), 1) if call in CHANGING]
    looks = 0
    for at in (0, *points[::every]):
        disk, history = MemoryDisk(), History()
        lookers = [Looker(disk, 1, 1 << 18), Looker(disk, 1, 300), Looker(disk, 7, 1 << 18), Looker(disk, 60, 1 << 18)]

        def look(lookers: list[Looker] = lookers) -> None:
            for looker in lookers:
                looker.look()

        disk.crash_at, disk.watch, disk.max_write_bytes = at, look, 150
        await crashed(disk, history)
        disk = disk.restarted()
        disk.watch = look
        await live(disk, history, 5)
        for looker in lookers:
            looker.finish(history)
            looks += looker.calls
    return looks


async def live_at_random(seed: int) -> None:
    """Lives with crashes, kills, errors and short writes as a seed says."""
    random, disk, history = Random(seed), MemoryDisk(), History()
    for _ in range(random.randint(2, 6)):
        disk.crash_at = random.randint(1, 120) if random.random() < 0.7 else 0
        errors = random.choice((0, 0, 1, 3))
        disk.errors = {random.randint(1, 150): random.choice((errno.ENOSPC, errno.EIO)) for _ in range(errors)}
        disk.max_write_bytes = random.choice((1 << 30, 1 << 30, 400, 90))
        with suppress(PowerLoss), harmless_errors(disk):
            await live(disk, history, random.randint(1, 12))
        if random.random() < 0.5 or not disk.is_off:
            disk = disk.restarted()
        else:
            disk = disk.after_power_loss(random.choice(list(Loss)), random.randint(0, 1 << 30))
    await survive(disk.restarted(), history)
