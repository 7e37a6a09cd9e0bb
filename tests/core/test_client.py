"""What a front end does: a request arrives whole or not at all, and one repository has one engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.cli import wait_until
from tests.support.journals import write_journal

from swarm_core.client import EngineStatus, SwarmClient
from swarm_core.engine.lock import EngineLock
from swarm_core.journal.process import process_start
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import EngineError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem


@pytest.fixture
def client(tmp_path: Path) -> SwarmClient:
    return SwarmClient(tmp_path)


# -- asking


def test_a_request_lies_in_the_inbox_whole_and_nothing_beside_it(client: SwarmClient) -> None:
    name = client.ask("run.pause", "r1", note="lunch")
    (path,) = client.layout.inbox.glob("*.*")

    assert path.name == f"{name}.json"
    item = InboxItem.decode(path.read_bytes())
    assert (item.id, item.kind, item.run, item.by) == (name, "run.pause", "r1", "operator")
    assert item.data == {"note": "lunch"}


def test_a_reader_never_sees_half_a_request(client: SwarmClient) -> None:
    prepare(client.layout)
    seen, is_over = list[bytes](), threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for path in client.layout.inbox.glob("*.json"):
                seen.append(path.read_bytes())
                path.unlink()

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(50):
        client.ask("run.pause", "r1", note="x" * 20_000)
    wait_until("the reader", lambda: len(seen) == 50, timeout_s=10)
    is_over.set()
    reader.join()

    assert all(len(InboxItem.decode(raw).data["note"]) == 20_000 for raw in seen)


def test_what_another_is_writing_is_neither_overwritten_nor_removed(client: SwarmClient) -> None:
    prepare(client.layout)
    name = ulid()
    theirs = client.layout.inbox / f"{name}.tmp"
    theirs.write_bytes(b"half of")
    with pytest.raises(EngineError, match="cannot be written"):
        client.send(InboxItem(name, "run.pause", "r1"))

    assert theirs.read_bytes() == b"half of"
    assert not list(client.layout.inbox.glob("*.json"))


def test_a_link_planted_in_the_inbox_is_not_written_through(client: SwarmClient, tmp_path: Path) -> None:
    prepare(client.layout)
    name, secret = ulid(), tmp_path / "secret"
    secret.write_text("keep")
    (client.layout.inbox / f"{name}.tmp").symlink_to(secret)
    with pytest.raises(EngineError):
        client.send(InboxItem(name, "run.pause", "r1"))

    assert secret.read_text() == "keep"


def test_two_runs_asked_for_in_the_same_second_have_names_of_their_own(client: SwarmClient) -> None:
    first = client.start_run("Add a login", {})
    name = InboxItem.decode((client.layout.inbox / f"{first}.json").read_bytes()).run
    (client.layout.runs / name).mkdir()
    second = client.start_run("Add a login", {})
    other = InboxItem.decode((client.layout.inbox / f"{second}.json").read_bytes()).run

    assert name.endswith("-add-a-login")
    assert other != name


# -- answers and documents


def test_there_is_no_answer_until_there_is_one(client: SwarmClient) -> None:
    prepare(client.layout)
    name = client.ask("run.pause", "r1")
    done = client.layout.inbox_done / f"{name}.json"
    assert client.answer(name) is None
    for broken in (b"", b"{", b"[]", b'{"reason": "x"}', b'{"result": "applied", "data": 5}', b"\xff"):
        done.write_bytes(broken)
        assert client.answer(name) is None
    done.write_text(json.dumps({"result": "refused", "reason": "too late", "run": "r1", "data": {"a": 1}}))
    answer = client.answer(name)

    assert answer is not None
    assert (answer.result, answer.reason, answer.run, answer.data) == ("refused", "too late", "r1", {"a": 1})


@pytest.mark.parametrize("name", ["../../multi-agent", "a/b", "", "."])
def test_an_answer_is_looked_for_in_its_place_only(client: SwarmClient, name: str) -> None:
    prepare(client.layout)
    (client.layout.root / "multi-agent.json").write_text('{"result": "applied"}')

    assert client.answer(name) is None


def test_a_document_cannot_climb_out_of_its_run(client: SwarmClient, tmp_path: Path) -> None:
    directory = client.layout.run("r1").dir
    (directory / "gates").mkdir(parents=True)
    (directory / "gates/one.patch").write_bytes(b"shown")
    (tmp_path / "secret").write_bytes(b"secret")
    (directory / "gates/link.patch").symlink_to(tmp_path / "secret")

    def shown(document: str) -> bytes:
        return client.document("r1", Gate("gate_001", "merge", "", document=document))

    assert shown("gates/one.patch") == b"shown"
    climbing = ("../../secret", str(tmp_path / "secret"), "gates/link.patch", "gates", "gates/none.patch", "")
    assert [shown(document) for document in climbing] == [b""] * len(climbing)


def test_runs_are_listed_oldest_first_and_folded(client: SwarmClient) -> None:
    for name in ("20261121-b", "20261120-a"):
        write_journal(client.layout.run(name).journal, name, [Draft("run.created", {"title": name})])
    (client.layout.runs / "no-journal").mkdir()

    assert client.runs() == ["20261120-a", "20261121-b"]
    assert client.latest() == "20261121-b"
    assert client.view("20261120-a").run.title == "20261120-a"


# -- the engine


def engine_file(client: SwarmClient, **body: object) -> None:
    prepare(client.layout)
    client.layout.engine_file.write_text(json.dumps({"version": "0", "started_at": "t", "message": "ready", **body}))


def test_an_engine_that_lives_is_known_by_its_pid_and_start(client: SwarmClient) -> None:
    assert client.engine() == EngineStatus()
    engine_file(client, pid=os.getpid(), start=process_start(os.getpid()))

    assert client.engine().is_alive


def test_a_dead_pid_and_a_pid_that_is_somebody_elses_now_are_no_engine(client: SwarmClient) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    engine_file(client, pid=ended.pid, start=1)
    assert (client.engine().pid, client.engine().is_alive) == (ended.pid, False)
    engine_file(client, pid=os.getpid(), start=12345)

    assert not client.engine().is_alive


def test_an_engine_that_said_goodbye_is_not_alive(client: SwarmClient) -> None:
    engine_file(client, pid=os.getpid(), start=process_start(os.getpid()), message="stopped")

    assert not client.engine().is_alive


PIDS = ("x", None, float("inf"), -1, 0, 2**40, [1])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", *(json.dumps({"pid": pid}) for pid in PIDS)])
def test_a_file_that_makes_no_sense_is_no_engine(client: SwarmClient, text: str) -> None:
    prepare(client.layout)
    client.layout.engine_file.write_text(text)

    assert not client.engine().is_alive


def test_two_clients_at_once_get_the_same_one_engine(client: SwarmClient) -> None:
    found, errors = list[EngineStatus](), list[Exception]()

    def ensure() -> None:
        try:
            found.append(SwarmClient(client.layout.root).ensure_engine())
        except EngineError as error:
            errors.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)

    assert errors == []
    assert len({status.pid for status in found}) == 1


def test_an_engine_that_is_just_coming_up_elsewhere_is_waited_for(client: SwarmClient) -> None:
    """It holds the lock and has not said yet who it is."""
    prepare(client.layout)
    lock = EngineLock.acquire(client.layout.engine_lock, client.layout.root)
    found = list[EngineStatus]()
    asking = threading.Thread(target=lambda: found.append(client.ensure_engine()))
    asking.start()
    output = client.layout.control / "engine.out"
    wait_until("the one that was refused", lambda: output.exists() and b"another engine" in output.read_bytes())
    wait_until("its end", lambda: not engines(client.layout.root))
    assert asking.is_alive()
    engine_file(client, pid=os.getpid(), start=process_start(os.getpid()))
    asking.join()
    lock.release()

    assert [status.pid for status in found] == [os.getpid()]


def engines(root: Path) -> list[str]:
    """The processes of engines of a repository."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if b"swarm_core.engine" in command and os.fsencode(root) in command:
                found.append(entry.name)
    return found


def test_a_lock_that_is_held_by_somebody_who_never_comes_up_is_named(client: SwarmClient) -> None:
    prepare(client.layout)
    lock = EngineLock.acquire(client.layout.engine_lock, client.layout.root)
    with pytest.raises(EngineError, match=f'another engine works on this repository: {{"pid": {os.getpid()}'):
        client.ensure_engine()
    lock.release()
