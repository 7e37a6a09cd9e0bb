"""People edit, cut and delete files: a journal is refused by name, what is derived comes back, the rest is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli import swarm, wait_until
from tests.support.endurance import approve, begin, drive, end, events, gate_opens, kill, repository

from swarm_core.client import Answer, SwarmClient
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

pytestmark = pytest.mark.timeout(150)


def answered(client: SwarmClient, item: str) -> Answer:
    return wait_until("the answer", lambda: client.answer(item))


def two_runs(tmp_path: Path) -> tuple[SwarmClient, str, str]:
    """Two runs that wait at a gate each, and no engine."""
    client = repository(tmp_path / "repo")
    first = begin(client, "first goal")
    second = begin(client, "second goal")
    for run in (first, second):
        gate_opens(client, run)
    kill(client)
    return client, first, second


def test_an_edited_journal_is_refused_with_file_line_and_byte_and_the_other_run_goes_on(tmp_path: Path) -> None:
    client, edited, other = two_runs(tmp_path)
    directory = client.layout.run(edited).dir
    for snapshot in directory.glob("*snapshot*"):
        snapshot.unlink()
    journal = client.layout.run(edited).journal
    lines = journal.read_bytes().splitlines(keepends=True)
    line = next(number for number, text in enumerate(lines) if b'"task.created"' in text)
    lines[line] = lines[line].replace(b"first goal", b"worst goal")
    journal.write_bytes(b"".join(lines))
    before = journal.read_bytes()
    byte = sum(map(len, lines[:line]))

    said = client.ensure_engine().message
    assert f"run {edited} cannot be resumed" in said
    assert f"{journal}:{line + 1}:" in said
    assert str(byte) in said
    refused = client.ask("run.pause", edited)
    answer = wait_until("the refusal", lambda: client.answer(refused))
    assert answer.result == "refused"
    assert f"{journal}:{line + 1}:" in answer.reason

    assert drive(client, other).run.landed
    end(client)
    assert journal.read_bytes() == before  # what was found is left for whoever looks into it
    doctor = swarm("doctor", cwd=client.layout.root)
    assert doctor.returncode == 1
    assert f"{journal}:{line + 1}:" in doctor.stdout


@pytest.mark.parametrize("name", ["tasks.json", "state.json"])
@pytest.mark.parametrize("harm", ["deleted", "cut", "edited"])
def test_a_projection_that_was_harmed_is_written_anew(tmp_path: Path, name: str, harm: str) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    path = client.layout.control / name
    text = wait_until("the projection", lambda: path.read_text() if path.exists() else "")
    if harm == "deleted":
        path.unlink()
    else:
        path.write_text(text[: len(text) // 2] if harm == "cut" else text.replace(run, "20200101-000000-mine"))
    approve(client, run)
    view = drive(client, run)
    end(client)
    assert view.run.landed
    body = json.loads(path.read_text())
    assert body["run"] == run
    assert body["seq"] == client.view(run).last_seq
    doctor = swarm("doctor", cwd=client.layout.root)
    assert doctor.returncode == 0, doctor.stdout


def test_what_does_not_belong_into_the_inbox_is_refused_with_a_reason_or_left_alone(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    inbox, secret = client.layout.inbox, tmp_path / "secret"
    secret.write_text("not for the engine")
    (inbox / "notes.txt").write_text("mine")
    (inbox / "half.json").write_text('{"v": 1, "kind": "gate.dec')
    (inbox / "large.json").write_text("x" * (2 << 20))
    (inbox / "link.json").symlink_to(secret)
    (inbox / "liar.json").write_bytes(InboxItem(ulid(), "engine.stop").encode())
    (inbox / "newer.json").write_text('{"v": 2, "kind": "gate.decide"}')

    def told(name: str) -> dict[str, str]:
        done = client.layout.inbox_done / name
        return wait_until(f"the answer to {name}", lambda: json.loads(done.read_text()) if done.exists() else None)

    reasons = {name: told(f"{name}.json")["reason"] for name in ("half", "large", "link", "liar", "newer")}
    assert "not JSON" in reasons["half"]
    assert "larger than" in reasons["large"]
    assert "cannot be read" in reasons["link"]
    assert "not its file name" in reasons["liar"]
    assert "version 1" in reasons["newer"]
    assert secret.read_text() == "not for the engine"
    assert (inbox / "notes.txt").read_text() == "mine"
    assert client.engine().is_alive
    assert drive(client, run).run.landed
    end(client)


def test_a_decision_about_a_gate_that_is_gone_is_refused_and_kept(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate = gate_opens(client, run).open_gates[0]
    unknown = client.decide(run, "gate_999", "approve", "", gate.evidence)
    stale = client.decide(run, gate.id, "approve", "", "0" * 64)
    answers = [answered(client, item) for item in (unknown, stale)]
    assert [answer.result for answer in answers] == ["refused", "refused"]
    assert "no gate 'gate_999'" in answers[0].reason
    assert "moved since it was shown" in answers[1].reason
    answered(client, approve(client, run))
    late = client.decide(run, gate.id, "reject", "too late", gate.evidence)
    assert "not open" in answered(client, late).reason
    drive(client, run)
    end(client)
    refusals = [event.data["command"] for event in events(client, run) if event.kind == "decision.refused"]
    assert sorted(refusals[:2]) == sorted([unknown, stale])  # sent in the same millisecond: either may come first
    assert refusals[2] == late
