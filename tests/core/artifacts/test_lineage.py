"""An artifact's past is derived from the journal: each version, what it was made from, and what decided it."""

from __future__ import annotations

from typing import Any

from swarm_core.artifacts.lineage import History
from swarm_core.vocabulary.events import Event


def history(*events: tuple[str, str, dict[str, Any]]) -> History:
    return History.of(
        Event(seq, "2026-11-21T00:00:00.000Z", "r", kind, data, task=task or None, agent=f"{task}-1")
        for seq, (kind, task, data) in enumerate(events, 1)
    )


def written(path: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {"type": "t", "path": path, "sha256": sha256, **more}


def test_versions_carry_their_commit_gate_and_merge() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h1")),
        ("artifact.rejected", "a", {"path": "x", "reason": "bad", "faults": ["x:1:1: bad"]}),
        ("artifact.written", "a", written("x", "h2")),
        ("artifact.validated", "a", {"path": "x"}),
        ("commit.created", "a", {"commit": "c2"}),
        ("gate.evaluating", "a", {"gate": "gate_001", "place": "merge"}),
        ("gate.decided", "", {"gate": "gate_001", "verdict": "approve", "by": "operator", "evidence": "e"}),
        ("merge.completed", "a", {"commit": "c2", "integration": "m"}),
        ("commit.created", "b", {"commit": "c3"}),
    )
    first, second = past.versions["x"]
    assert (first.number, first.status, first.faults, first.commit) == (1, "invalid", ("x:1:1: bad",), "")
    assert (second.status, second.reason, second.commit, second.merged_as) == ("valid", "", "c2", "m")
    assert (second.gate, second.verdict, second.by, second.evidence) == ("gate_001", "approve", "operator", "e")


def test_ancestry_follows_exact_hashes_and_ends_where_the_run_began() -> None:
    past = history(
        ("artifact.written", "a", written("x", "x1", inputs=[["w", "w0"]])),
        ("artifact.written", "a", written("x", "x2", inputs=[["w", "w0"]])),
        ("artifact.written", "b", written("y", "y1", inputs=[["x", "x1"]])),
    )
    latest = past.latest("y")
    assert latest is not None
    found = [(depth, path, sha256, made.number if made else 0) for depth, path, sha256, made in past.ancestry(latest)]
    assert found == [(1, "x", "x1", 1), (2, "w", "w0", 0)]


def test_two_artifacts_made_from_each_other_over_time_do_not_run_for_ever() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h", inputs=[["y", "g"]])),
        ("artifact.written", "b", written("y", "g", inputs=[["x", "h"]])),
    )
    latest = past.latest("x")
    assert latest is not None
    assert len(list(past.ancestry(latest))) <= 3


def test_a_plan_is_no_artifact_of_the_repository() -> None:
    past = history(("artifact.written", "task_000", {"type": "plan", "path": "plan.json", "sha256": "h"}))
    assert past.versions == {}
