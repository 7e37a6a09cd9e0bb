"""The inbox: whatever lies in it, every request is answered once, and nothing in it ends the engine."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import eventually

from swarm_core.client import SwarmClient
from swarm_core.engine.inbox import MAX_ITEM_BYTES, Inbox, Verdict
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalPoisoned
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout


class Desk:
    """An inbox and who answers it: ``asked`` are the requests that got through."""

    def __init__(self, root: Path) -> None:
        self.layout = RepoLayout(root)
        prepare(self.layout)
        self.client = SwarmClient(root)
        self.asked: list[InboxItem] = []
        self.error: Exception | None = None
        self.inbox = Inbox(self.layout, SystemClock(), self.answer)

    async def answer(self, item: InboxItem) -> Verdict:
        self.asked.append(item)
        if self.error is not None:
            raise self.error
        return Verdict(True, run=item.run)

    def put(self, name: str, raw: bytes) -> Path:
        path = self.layout.inbox / name
        path.write_bytes(raw)
        return path

    def archived(self, name: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((self.layout.inbox_done / f"{name}.json").read_bytes())
        return body

    def waiting(self) -> list[str]:
        return sorted(path.name for path in self.layout.inbox.glob("*.json"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def request(**changes: Any) -> bytes:
    return json.dumps({"v": 1, "id": "x", "kind": "run.pause", "run": "r1", **changes}).encode()


JUNK = {
    "empty": (b"", "not JSON"),
    "not JSON": (b"hello", "not JSON"),
    "half of it": (request()[:20], "not JSON"),
    "not UTF-8": (b'"\xff\xfe"', "not JSON"),
    "zeros": (b"\0" * 64, "not JSON"),
    "a list": (b"[]", "not a request of version 1"),
    "another version": (request(v=2), "not a request of version 1"),
    "an unknown kind": (request(kind="run.explode"), "unknown request 'run.explode'"),
    "a kind that paints": (request(kind="\x1b]0;x\x07"), "unknown request"),
    "a kind that is no text": (request(kind=["run.pause"]), "unknown request"),
    "a field is missing": (request(kind="task.pause"), "task.pause lacks task"),
    "data is no object": (request(data=[]), "unknown request"),
    "another id": (request(id="y"), "its id 'y' is not its file name"),
    "an id that climbs": (request(id="../x"), "is not its file name"),
    "no id": (request(id=""), "must be text"),
    "a run that is no text": (request(run=5), "must be text"),
    "a verdict nobody knows": (
        request(kind="gate.decide", data={"gate": "g", "verdict": "maybe", "evidence": "e"}),
        "verdict 'maybe'",
    ),
    "nested without end": (b"[" * 200_000, "not JSON"),
    "a number without end": (b'{"v": ' + b"9" * 10_000 + b"}", "not JSON"),
    "too large": (request(data={"note": "x" * (MAX_ITEM_BYTES + 1)}), "larger than"),
}


@pytest.mark.parametrize(("raw", "reason"), JUNK.values(), ids=JUNK)
async def test_junk_is_refused_with_a_reason_and_put_away(desk: Desk, raw: bytes, reason: str) -> None:
    desk.put("x.json", raw)
    good = desk.client.send(InboxItem(ulid(), "run.resume", "r1"))
    await desk.inbox.drain()

    answer = desk.archived("x")
    assert (answer["result"], reason in answer["reason"]) == ("refused", True), answer["reason"]
    assert desk.archived(good)["result"] == "applied"
    assert desk.waiting() == []
    assert [item.id for item in desk.asked] == [good]


def link_to_a_secret(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_bytes(request())
    path.symlink_to(secret)


STRANGE: dict[str, Callable[[Path], object]] = {
    "a link": link_to_a_secret,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a directory": lambda path: path.mkdir(),
    "a directory with something in it": lambda path: (path / "deep").mkdir(parents=True),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
async def test_what_is_no_plain_file_is_never_followed_and_does_not_stop_anybody(
    desk: Desk, make: Callable[[Path], object]
) -> None:
    make(desk.layout.inbox / "x.json")
    good = desk.client.send(InboxItem(ulid(), "run.resume", "r1"))
    async with asyncio.timeout(5):
        await desk.inbox.drain()
        await desk.inbox.drain()

    assert desk.archived("x")["result"] == "refused"
    assert desk.archived(good)["result"] == "applied"
    assert [item.id for item in desk.asked] == [good]
    assert desk.waiting() == [], "it is not read again and again"


async def test_a_pipe_that_somebody_holds_open_does_not_hold_the_engine(desk: Desk) -> None:
    path = desk.layout.inbox / "x.json"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        async with asyncio.timeout(5):
            await desk.inbox.drain()
    finally:
        os.close(writer)

    assert desk.archived("x")["result"] == "refused"


async def test_files_of_others_and_files_half_written_are_left_alone(desk: Desk) -> None:
    for name in ("notes.txt", "01ABC.tmp", "x.json.swp", "README"):
        desk.put(name, request())
    await desk.inbox.drain()

    assert desk.asked == []
    assert {"notes.txt", "01ABC.tmp", "x.json.swp", "README"} < {path.name for path in desk.layout.inbox.iterdir()}
    assert list(desk.layout.inbox_done.iterdir()) == []


async def test_requests_are_taken_in_the_order_of_their_names(desk: Desk) -> None:
    names = [ulid() for _ in range(30)]
    for name in sorted(names, key=hash):
        desk.client.send(InboxItem(name, "run.pause", "r1"))
    await desk.inbox.drain()

    assert [item.id for item in desk.asked] == sorted(names)


async def test_the_answer_says_what_became_of_it_and_keeps_the_request(desk: Desk) -> None:
    name = desk.client.send(InboxItem(ulid(), "run.pause", "r1", data={"note": "lunch"}))
    await desk.inbox.drain()

    answer = desk.client.answer(name)
    assert answer is not None
    assert (answer.result, answer.run) == ("applied", "r1")
    assert json.loads(desk.archived(name)["request"])["data"] == {"note": "lunch"}
    assert not list(desk.layout.inbox_done.glob("*.tmp"))


async def test_a_request_that_breaks_its_handler_is_refused_and_the_next_is_taken(desk: Desk) -> None:
    desk.error = ValueError("nobody expected this")
    bad = desk.client.send(InboxItem(ulid(), "run.pause", "r1"))
    await desk.inbox.drain()
    desk.error = None
    good = desk.client.send(InboxItem(ulid(), "run.resume", "r1"))
    await desk.inbox.drain()

    assert desk.archived(bad)["result"] == "refused"
    assert "nobody expected this" in desk.archived(bad)["reason"]
    assert desk.archived(good)["result"] == "applied"


async def test_text_no_encoding_knows_is_answered_too(desk: Desk) -> None:
    desk.put("x.json", b'{"v": 1, "id": "x", "kind": "run.pause", "run": "\\ud800"}')
    await desk.inbox.drain()

    assert [item.run for item in desk.asked] == ["\ud800"]
    assert desk.archived("x")["result"] == "applied"


async def test_a_name_that_is_no_utf8_is_answered_too(desk: Desk) -> None:
    (desk.layout.inbox / os.fsdecode(b"\xff.json")).write_bytes(request())
    await desk.inbox.drain()

    (done,) = desk.layout.inbox_done.glob("*.json")
    assert json.loads(done.read_bytes())["result"] == "refused"
    assert desk.waiting() == []


async def test_what_may_be_on_disk_is_not_called_refused(desk: Desk) -> None:
    """After a failed sync nobody knows: the request stays, and the next engine recognises it or carries it out."""
    desk.error = JournalPoisoned("sync failed")
    name = desk.client.send(InboxItem(ulid(), "run.pause", "r1"))
    with pytest.raises(JournalPoisoned):
        await desk.inbox.drain()

    assert desk.waiting() == [f"{name}.json"]
    assert desk.client.answer(name) is None


async def test_two_front_ends_at_once_lose_nothing(desk: Desk) -> None:
    def send(count: int) -> None:
        client = SwarmClient(desk.layout.root)
        for _ in range(count):
            client.ask("run.pause", "r1")

    serving = asyncio.create_task(desk.inbox.serve())
    threads = [threading.Thread(target=send, args=(25,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    await eventually(lambda: len(desk.asked) == 50, "fifty requests")
    await eventually(lambda: len(list(desk.layout.inbox_done.glob("*.json"))) == 50, "fifty answers")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    for thread in threads:
        thread.join()

    assert len({item.id for item in desk.asked}) == 50
    assert desk.waiting() == []


async def test_an_archive_that_cannot_be_written_keeps_the_request_and_the_engine(desk: Desk) -> None:
    desk.layout.inbox_done.rmdir()
    desk.layout.inbox_done.write_text("somebody put a file here")
    name = desk.client.layout.inbox / f"{ulid()}.json"
    name.write_bytes(request(id=name.stem))
    serving = asyncio.create_task(desk.inbox.serve())
    await eventually(lambda: desk.asked, "the request")
    assert name.exists()
    desk.layout.inbox_done.unlink()
    await eventually(lambda: (desk.layout.inbox_done / name.name).exists(), "the answer, when there is a place for it")
    assert not serving.done()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)

    assert not name.exists()


async def test_a_control_directory_that_was_deleted_is_made_again(desk: Desk) -> None:
    serving = asyncio.create_task(desk.inbox.serve())
    first = desk.client.send(InboxItem(ulid(), "run.pause", "r1"))
    await eventually(lambda: desk.client.answer(first), "the first answer")
    for path in sorted(desk.layout.inbox.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    desk.layout.inbox.rmdir()
    second = desk.client.send(InboxItem(ulid(), "run.resume", "r1"))
    await eventually(lambda: desk.client.answer(second), "the second answer")
    assert not serving.done()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_an_engine_that_is_stopped_by_a_request_leaves_its_answer_behind(desk: Desk) -> None:
    """The request to stop ends the task that serves the inbox, while it is being put away."""
    serving: asyncio.Task[None]

    async def stop(item: InboxItem) -> Verdict:
        asyncio.get_running_loop().call_soon(serving.cancel)
        return Verdict(True)

    desk.inbox.handle = stop
    name = desk.client.send(InboxItem(ulid(), "engine.stop"))
    serving = asyncio.create_task(desk.inbox.serve())
    await asyncio.gather(serving, return_exceptions=True)

    assert desk.archived(name)["result"] == "applied"
    assert desk.waiting() == []
