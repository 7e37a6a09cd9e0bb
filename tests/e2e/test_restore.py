"""A run comes back from its backup, at any of its events, and ends as it would have ended."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import runs
from tests.support.cli import git, swarm, wait_until

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.demo.operator import verdict
from swarm_core.demo.repository import GOAL, create
from swarm_core.journal.lines import Chain
from swarm_core.recovery.restore import restore
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.hub import Hub

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True, slots=True)
class Original:
    """A demonstration that was played to its end: its backup, its journal and the tree it landed."""

    archive: Path
    run: str
    lines: list[bytes]
    tree: str

    def seqs(self, kind: str) -> list[int]:
        return [seq for seq, line in enumerate(self.lines, 1) if json.loads(line)["kind"] == kind]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Repository and state are deleted when the backup is made: what the tests restore borrows from nobody."""
    place = tmp_path_factory.mktemp("original")
    home = {"HOME": str(place / "home"), "XDG_STATE_HOME": str(place / "state")}
    played = swarm("demo", "--speed", "0", "--dir", str(place / "repo"), cwd=place, **home)
    assert played.returncode == 0, played.stdout[-2000:] + played.stderr
    wait_until("the engine's end", lambda: not SwarmClient(place / "repo").engine().is_alive)
    saved = swarm("backup", "--to", str(place / "b.tar.gz"), cwd=place / "repo", **home)
    assert saved.returncode == 0, saved.stderr
    assert re.search(r"RPO: 0 events lost when it was read, the last one \d+\.\d s ago", saved.stdout)
    (journal,) = (place / "repo/.runs").glob("*/events.jsonl")
    lines, tree = journal.read_bytes().splitlines(keepends=True), git(place / "repo", "rev-parse", "main^{tree}")
    shutil.rmtree(place / "repo")
    shutil.rmtree(place / "state")
    return Original(place / "b.tar.gz", journal.parent.name, lines, tree)


def restored(original: Original, root: Path, seq: int | None) -> SwarmClient:
    at = () if seq is None else ("--at", str(seq))
    done = swarm("restore", str(original.archive), *at, "--into", str(root), cwd=root.parent)
    assert done.returncode == 0, done.stderr
    assert re.search(r"RTO: \d+\.\d\d s", done.stdout)
    assert f"RPO: {len(original.lines) - (seq or len(original.lines))} events" in done.stdout
    return SwarmClient(root)


def to_the_end(client: SwarmClient, run: str) -> None:
    """Drive the run with a real engine, deciding as the demonstration's operator does."""
    operator = AutoOperator(client, run, verdict)
    client.ensure_engine()

    def is_over() -> bool:
        view = client.view(run)
        operator.look(view)
        return view.is_over and view.engine_pid == 0

    wait_until("the end of the run", is_over, timeout_s=90)
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)


async def test_every_kind_of_event_restores_to_its_fold(original: Original, tmp_path: Path) -> None:
    """Each event of a small run is restored in ``core/recovery``; these are the last of each kind of a whole one."""
    kinds = {json.loads(line)["kind"]: seq for seq, line in enumerate(original.lines, 1)}
    for seq in sorted(kinds.values()):
        done = await restore(original.archive, tmp_path / f"at-{seq}", SystemClock(), at=seq)
        layout = RepoLayout(done.root).run(original.run)
        assert runs.raw_lines(layout)[:seq] == original.lines[:seq]
        wanted = RunView.of(Chain(layout.journal).take_all(b"".join(original.lines[:seq])))
        assert runs.facts(runs.view(layout, seq)) == runs.facts(wanted)
        if wanted.run.base:
            assert await (await Hub.open(layout)).integration() == wanted.run.integration


MOMENTS = [
    ("agent.starting", 1),  # a worktree was to be made
    ("tool.used", 8),  # files were written and not committed
    ("commit.created", 1),  # committed, not handed off
    ("gate.evaluating", 1),  # the checks were running in the agent's tree
    ("task.reopened", 0),  # the second round begins
    ("gate.decided", -1),  # landing was approved, not done
]


@pytest.mark.parametrize(("kind", "which"), MOMENTS)
def test_a_restored_run_ends_in_the_same_tree(original: Original, tmp_path: Path, kind: str, which: int) -> None:
    seq = original.seqs(kind)[which]
    client = restored(original, tmp_path / "new", seq)

    to_the_end(client, original.run)

    view, events = client.view(original.run), client.reader(original.run).poll(1 << 26)
    assert (view.run.status, view.run.landed, view.run.outcome) == ("completed", True, "clean")
    assert git(client.layout.root, "rev-parse", "main^{tree}") == original.tree
    assert events[seq].kind == "restore.done"
    merged = [event.task for event in events if event.kind == "merge.completed"]
    assert len(merged) == len(set(merged)) == 5
    was_working = json.loads(original.lines[2])["data"]["pid"] if seq > 1 else 0
    crashes = [event.data for event in events if event.kind == "engine.crash_detected"]
    assert crashes == ([{"pid": was_working, "last_seq": seq + 1}] if was_working else [])


def test_a_finished_run_comes_back_finished(original: Original, tmp_path: Path) -> None:
    client = restored(original, tmp_path / "new", None)
    assert git(client.layout.root, "rev-parse", "main^{tree}") == original.tree
    assert git(client.layout.root, "status", "--porcelain") == ""
    assert swarm("attach", cwd=client.layout.root).returncode == 0
    to_the_end(client, original.run)
    assert client.view(original.run).run.landed


def test_a_run_is_saved_while_its_engine_works_and_goes_on_elsewhere(original: Original, tmp_path: Path) -> None:
    client = SwarmClient(create(tmp_path / "busy"))
    client.ensure_engine()
    item = client.start_run(GOAL, {"speed": 0})
    run = wait_until("the engine's answer", lambda: client.answer(item)).run
    operator = AutoOperator(client, run, verdict)
    made: list[Path] = []
    saved_at = [0]

    def is_over() -> bool:
        view = client.view(run)
        operator.look(view)
        if view.last_seq > saved_at[-1] + 30 and not view.is_over:
            saved_at.append(view.last_seq)
            file = tmp_path / f"backup-{len(made)}"
            saved = swarm("backup", run, "--to", str(file), cwd=client.layout.root)
            assert saved.returncode == 0, saved.stderr
            made.append(file)
        return view.is_over and view.engine_pid == 0

    wait_until("the end of the run", is_over, timeout_s=120)
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)
    lines = runs.raw_lines(client.layout.run(run))
    tree = git(client.layout.root, "rev-parse", "main^{tree}")
    assert tree == original.tree
    assert len(made) >= 3
    shutil.rmtree(client.layout.root)
    shutil.rmtree(client.layout.state_dir)
    last = 0
    for number, file in enumerate(made):
        done = swarm("restore", str(file), "--into", str(tmp_path / f"from-{number}"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        prefix = runs.raw_lines(RepoLayout(tmp_path / f"from-{number}").run(run))[:-1]
        assert prefix == lines[: len(prefix)]
        assert len(prefix) > last
        last = len(prefix)
    other = SwarmClient(tmp_path / f"from-{len(made) - 1}")
    to_the_end(other, run)
    assert git(other.layout.root, "rev-parse", "main^{tree}") == tree


def test_refusals_have_their_exit_codes_and_a_next_step(original: Original, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    (tmp_path / "bad").write_bytes(original.archive.read_bytes()[:-3000])
    good, into = str(original.archive), str(tmp_path / "new")
    for arguments, code in (
        ((good, "--at", "100000", "--into", into), 2),
        ((str(tmp_path / "none"), "--into", into), 2),
        ((good, "--into", str(tmp_path / "full")), 3),
        ((str(tmp_path / "bad"), "--into", into), 6),
    ):
        done = swarm("restore", *arguments, cwd=tmp_path)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert re.fullmatch(r"swarm-tui: .+\n  next: .+\n", done.stderr)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "full"]


def test_archive_keeps_what_is_asked_for(original: Original, tmp_path: Path) -> None:
    client = restored(original, tmp_path / "new", None)
    to_the_end(client, original.run)  # the engine takes note that nothing is left to do
    root = client.layout.root
    assert swarm("archive", cwd=root).returncode == 2
    assert "nothing to archive" in swarm("archive", "--keep", "1", cwd=root).stdout
    assert "nothing to archive" in swarm("archive", "--older-than", "90000d", cwd=root).stdout
    assert "would be archived" in swarm("archive", "--keep", "0", "--dry-run", cwd=root).stdout
    assert client.runs() == [original.run]
    done = swarm("archive", original.run, cwd=root)
    assert done.returncode == 0, done.stderr
    assert client.runs() == []
    (entry,) = json.loads((root / ".runs/index.json").read_bytes())["runs"]
    assert (entry["status"], entry["landed"]) == ("archived", True)
    again = swarm("restore", entry["archived"], "--into", str(tmp_path / "again"), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert git(tmp_path / "again", "rev-parse", "main^{tree}") == original.tree
