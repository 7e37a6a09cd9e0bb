"""Runs made by hand: a real repository, hub, journal and transcript, without an engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support import repos

from swarm_core.journal.journal import Journal
from swarm_core.journal.lines import Chain
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.hub import Hub

AGENT, TASK = "backend-1", "task_001"
CONFIG = 'services:\n  backend:\n    directories: ["backend"]\n'


async def record(layout: RunLayout, *drafts: Draft) -> None:
    """Append facts to the run's journal."""
    journal = await Journal.open(layout.journal, layout.run, SystemClock())
    try:
        await journal.append(*drafts)
    finally:
        await journal.close()


def turn(*calls: tuple[str, str]) -> dict[str, Any]:
    """A transcript's line of a model turn with tool calls (id, name)."""
    content = [{"type": "tool_use", "id": id_, "name": name, "input": {}} for id_, name in calls]
    return {"line": "assistant", "content": content, "stop_reason": "tool_use", "usage": {}, "model": "m"}


def result(id_: str, text: str = "ok") -> dict[str, Any]:
    return {"line": "tool_result", "tool_use_id": id_, "text": text, "is_error": False}


def opened(iteration: int) -> dict[str, Any]:
    return {"line": "opened", "iteration": iteration, "text": f"round {iteration}"}


def encoded(lines: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def half_done(root: Path, run: str = repos.RUN) -> RunLayout:
    """A run whose agent committed once and then wrote a file that it did not commit; its engine was killed."""
    layout = repos.layout(root if (root / ".git").exists() else repos.small(root), run)
    prepare(layout.repo)
    repos.write(layout.dir, "multi-agent.yaml", CONFIG)
    hub = await Hub.open(layout)
    base = hub.base
    start = {"base_ref": hub.base_ref, "base": base, "hub": str(layout.hub), "integration": base}
    await record(
        layout,
        Draft("run.created", {"title": "Add a login", "goal": "Add a login", "spec_sha256": "5e" * 32}),
        Draft("engine.started", {"pid": 4_000_000, "version": "0"}),
        Draft("run.started", start),
        Draft("task.created", {"title": "Log in", "assigned_to": "backend"}, task=TASK),
        Draft("task.ready", task=TASK),
        Draft("agent.starting", {"service": "backend", "worktree": str(layout.trees / AGENT)}, agent=AGENT),
        Draft("agent.ready", agent=AGENT),
        Draft("task.claimed", {"attempt": 1, "base": base}, task=TASK, agent=AGENT),
        Draft("agent.busy", task=TASK, agent=AGENT),
        Draft("llm.call", {}, task=TASK, agent=AGENT),
    )
    tree = await hub.add_tree(AGENT, base)
    repos.write(tree.path, "backend/login.py", "committed\n")
    made = await hub.commit(AGENT, "Log in", allowed=lambda path: True, trailers={}, author=AGENT)
    assert made is not None
    repos.write(tree.path, "backend/more.py", "not committed\n")
    await record(
        layout,
        Draft("commit.created", {"commit": made.oid}, task=TASK, agent=AGENT),
        Draft("tool.used", {"name": "commit", "ok": True}, task=TASK, agent=AGENT),
        Draft("llm.call", {}, task=TASK, agent=AGENT),
        Draft("tool.used", {"name": "Write", "ok": True}, task=TASK, agent=AGENT),
        Draft("check.passed", {"name": "tests", "evidence": "checks/tests-13.txt"}, task=TASK),
    )
    said = f"Committed {made.oid[:12]}: 1 files, +1 -0."
    lines = [opened(1), turn(("w", "Write"), ("c", "commit")), result("w"), result("c", said)]
    lines += [turn(("v", "Write")), result("v")]
    repos.write(layout.dir, f"transcripts/{AGENT}/{TASK}.jsonl", encoded(lines))
    repos.write(layout.dir, "checks/tests-13.txt", "all passed\n")
    repos.write(layout.dir, "checks/tests-99.txt", "of the future\n")
    repos.write(layout.dir, "snapshot.json", "{}\n")
    repos.write(layout.dir, "gates/gate_001.patch.tmp", "half\n")
    await hub.close()
    return layout


async def finished(root: Path, run: str = repos.RUN, *, landed: bool = True) -> RunLayout:
    """A run that is over and that its engine left in order."""
    layout = await half_done(root, run)
    commit = view(layout).tasks[TASK].commit
    hub = await Hub.open(layout)
    await hub.cleanup()
    ended = Draft("run.completed", {"outcome": "clean", "landed": landed, "commit": commit if landed else ""})
    retired = Draft("agent.retired", {"reason": "its work is done"}, agent=AGENT)
    await record(layout, ended, retired, Draft("engine.released", {"pid": 4_000_000}))
    repos.write(layout.logs, f"{AGENT}.log", "said\n")
    return layout


def raw_lines(layout: RunLayout) -> list[bytes]:
    return layout.journal.read_bytes().splitlines(keepends=True)


def view(layout: RunLayout, seq: int | None = None) -> RunView:
    """The fold of the run's journal, up to ``seq``."""
    lines = raw_lines(layout)[:seq]
    return RunView.of(Chain(layout.journal).take_all(b"".join(lines)))


def facts(view: RunView) -> dict[str, Any]:
    """Everything a fold knows, to compare two."""
    return dict(vars(view))


def into_segments(layout: RunLayout, *starts: int) -> None:
    """Put the journal into closed segments that begin at these events; the last part stays the active file."""
    lines = raw_lines(layout)
    (layout.dir / "events").mkdir()
    for begin, end in pairwise(starts):
        (layout.dir / f"events/{begin:012d}.jsonl").write_bytes(b"".join(lines[begin - 1 : end - 1]))
    layout.journal.write_bytes(b"".join(lines[starts[-1] - 1 :]))


def forget(layout: RunLayout) -> None:
    """The machine burns down: repository and state are gone."""
    shutil.rmtree(layout.repo.root)
    shutil.rmtree(layout.repo.state_dir, ignore_errors=True)
