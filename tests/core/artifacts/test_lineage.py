"""A file's past is derived from the journal: each version, what it was made from, what decided it, what was found."""

from __future__ import annotations

import json
from typing import Any

from swarm_core.artifacts.history import History
from swarm_core.artifacts.lineage import MAX_DEPTH, document, trace
from swarm_core.vocabulary.events import Event


def history(*events: tuple[str, str, dict[str, Any]]) -> History:
    return History.of(
        Event(seq, "2026-11-21T00:00:00.000Z", "r", kind, data, task=task or None, agent=f"{task}-1" if task else None)
        for seq, (kind, task, data) in enumerate(events, 1)
    )


def written(path: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {"type": "t", "path": path, "sha256": sha256, **more}


def decided(gate: str, verdict: str = "approve", **more: Any) -> dict[str, Any]:
    return {"gate": gate, "verdict": verdict, "by": "operator", **more}


def test_versions_carry_their_commit_gate_and_merge() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h1")),
        ("artifact.rejected", "a", {"path": "x", "reason": "bad", "faults": ["x:1:1: bad"]}),
        ("artifact.written", "a", written("x", "h2")),
        ("artifact.validated", "a", {"path": "x"}),
        ("commit.created", "a", {"commit": "c2"}),
        ("gate.evaluating", "a", {"gate": "gate_001", "place": "merge"}),
        ("gate.decided", "", decided("gate_001", evidence="e")),
        ("merge.completed", "a", {"commit": "c2", "integration": "m"}),
        ("commit.created", "b", {"commit": "c3"}),
    )
    first, second = past.versions("x")
    assert (first.number, first.status, first.faults, first.decisions) == (1, "invalid", ("x:1:1: bad",), [])
    assert (second.status, second.reason, second.commit, second.merged_as) == ("valid", "", "c2", "m")
    (gate,) = second.decisions
    assert (gate.gate, gate.verdict, gate.by, gate.evidence) == ("gate_001", "approve", "operator", "e")


def test_a_merge_is_of_its_own_tasks_version_though_another_was_written_meanwhile() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h1")),
        ("artifact.written", "b", written("x", "h2")),
        ("merge.completed", "a", {"integration": "m"}),
    )
    assert [version.merged_as for version in past.versions("x")] == ["m", ""]


def test_ancestry_follows_exact_hashes_and_ends_where_the_run_began() -> None:
    past = history(
        ("artifact.written", "a", written("x", "x1", inputs=[["w", "w0"]])),
        ("artifact.written", "a", written("x", "x2", inputs=[["w", "w0"]])),
        ("artifact.written", "b", written("y", "y1", inputs=[["x", "x1"]])),
    )
    found = trace(past, "y")
    (latest,) = found.versions
    sources = [
        (one.depth, one.path, one.sha256, one.version.number if one.version else 0)
        for one in found.sources(latest.inputs, of=latest)
    ]
    assert sources == [(1, "x", "x1", 1), (2, "w", "w0", 0)]


def test_two_artifacts_made_from_each_other_over_time_do_not_run_for_ever() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h", inputs=[["y", "g"]])),
        ("artifact.written", "b", written("y", "g", inputs=[["x", "h"]])),
    )
    found = trace(past, "x")
    told = [(one.path, one.was_told) for one in found.sources(found.versions[0].inputs, of=found.versions[0])]
    assert told == [("y", False), ("x", True)]


def test_a_long_ancestry_is_followed_so_far_and_says_that_it_goes_on() -> None:
    chain = (("artifact.written", "a", written(f"x{n}", "h", inputs=[[f"x{n - 1}", "h"]])) for n in range(1, 40))
    found = trace(history(*chain), "x39")
    told = [(one.path, one.goes_on) for one in found.sources(found.versions[0].inputs, of=found.versions[0])]
    assert told == [(f"x{n}", n == 39 - MAX_DEPTH) for n in range(38, 38 - MAX_DEPTH, -1)]


def test_a_version_that_is_found_to_hold_with_newer_inputs_says_which() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h", inputs=[["w", "w1"]])),
        ("artifact.validated", "a", {"path": "x"}),
        ("artifact.stale", "b", {"path": "x", "reason": "w changed in b"}),
        ("artifact.validated", "c", {"path": "x", "inputs": [["w", "w2"]]}),
        ("artifact.sealed", "", {"path": "x"}),
    )
    (version,) = past.versions("x")
    assert [verdict.status for verdict in version.verdicts] == ["valid", "stale", "valid", "sealed"]
    assert (version.inputs, version.holds_with) == ((("w", "w1"),), (("w", "w2"),))


def test_a_gate_that_decides_again_keeps_what_it_decided_before() -> None:
    past = history(
        ("commit.created", "a", {"commit": "c1", "paths": ["f.py"]}),
        ("gate.evaluating", "a", {"gate": "gate_001", "place": "merge"}),
        ("gate.decided", "a", decided("gate_001", "reject", note="no")),
        ("gate.reevaluated", "a", {"gate": "gate_001"}),
        ("gate.decided", "a", decided("gate_001")),
        ("gate.invalidated", "a", {"gate": "gate_001", "reason": "it moved"}),
    )
    (version,) = past.versions("f.py")
    told = [(one.verdict, one.note, one.taken_back) for one in version.decisions]
    assert told == [("reject", "no", ""), ("approve", "", "it moved"), ("", "", "")]


def test_each_line_of_a_gate_has_the_file_that_proves_it() -> None:
    shown = [{"name": "tests", "passed": True}, {"name": "claims", "passed": False, "detail": "said more"}]
    past = history(
        ("commit.created", "a", {"commit": "c1", "paths": ["f.py"]}),
        ("gate.evaluating", "a", {"gate": "gate_001", "place": "merge"}),
        ("check.failed", "a", {"name": "tests", "tree": "alone", "evidence": "checks/alone.txt"}),
        ("check.passed", "a", {"name": "tests", "result": "pass", "evidence": "checks/t.txt"}),
        ("gate.opened", "a", {"gate": "gate_001", "evidence": "e", "document": "gates/1.patch", "checks": shown}),
    )
    ((decision,), *_) = [version.decisions for version in past.versions("f.py")]
    told = [(check.name, check.status, check.evidence) for check in decision.checks]
    assert told == [("tests", "pass", "checks/t.txt"), ("claims", "fail", "")]


def test_what_a_rollback_takes_back_is_not_called_merged() -> None:
    past = history(
        ("commit.created", "a", {"commit": "c1", "paths": ["f.py"]}),
        ("merge.completed", "a", {"integration": "m"}),
        ("rollback.done", "", {"to_seq": 1, "tasks": {"a": "again"}}),
        ("commit.created", "a", {"commit": "c2", "paths": ["f.py"]}),
        ("merge.completed", "a", {"integration": "n"}),
    )
    told = [(version.status, version.merged_as) for version in past.versions("f.py")]
    assert told == [("rolled back", "m"), ("merged", "n")]


def test_findings_and_rules_are_of_the_files_they_name_and_of_the_work_they_made() -> None:
    past = history(
        ("finding.opened", "r", {"finding": "W-1", "title": "long", "location": "f.pyx:1"}),
        ("finding.opened", "r", {"finding": "W-2", "title": "short", "location": "f.py:1"}),
        ("finding.opened", "r", {"finding": "W-3", "title": "elsewhere", "location": "g.py"}),
        ("finding.fix_started", "", {"finding": "W-3", "task": "a"}),
        ("check.failed", "", {"name": "tests", "files": ["f.py"]}),
        ("rule.fired", "", {"firing": "firing_001", "rule": "tests", "fact": "check:tests:", "actions": ["block"]}),
        ("decision.made", "", {"decision": "firing_001", "method": "rule", "evidence": ["e", "checks/t.txt"]}),
        ("action.done", "", {"firing": "firing_001", "action": "block", "result": "done", "finding": "D-1"}),
        ("finding.opened", "", {"finding": "D-1", "title": "blocked", "firing": "firing_001"}),
        ("rule.waived", "", {"firing": "firing_001", "note": "known"}),
        ("incident.opened", "", {"incident": "incident_001", "subject": "firing_001"}),
        ("decision.made", "", {"decision": "gate_009", "subject": "incident_001", "method": "operator"}),
        ("rule.fired", "", {"firing": "firing_002", "rule": "other", "fact": "check:other:"}),
        ("commit.created", "a", {"commit": "c1", "paths": ["f.py"]}),
    )
    found = trace(past, "f.py")
    assert [(one.id, one.status, one.resolution) for one in found.issues] == [
        ("W-2", "open", ""),
        ("W-3", "fixing", ""),
        ("D-1", "closed", "accepted"),
    ]
    assert [one.id for one in found.rulings] == ["firing_001", "gate_009"]
    assert (found.rulings[0].document, found.rulings[0].outcome) == ("checks/t.txt", {"block": "done"})
    assert found.rulings[0].settled == "waived by the operator: known"
    assert found.causes("a") == ["finding W-3"]


def test_who_was_given_a_file_and_who_opened_it_are_its_readers_once_each() -> None:
    past = history(
        ("artifact.written", "a", written("x", "h1")),
        ("tool.used", "a", {"name": "Read", "target": "x", "ok": True}),
        ("artifact.read", "b", {"reads": [["x", "h1"]]}),
        ("tool.used", "b", {"name": "Read", "target": "x", "ok": True}),
        ("artifact.written", "b", written("y", "g", inputs=[["x", "h1"]])),
        ("tool.used", "c", {"name": "Read", "target": "./x", "ok": True}),
        ("tool.used", "d", {"name": "Read", "target": "x", "ok": False}),
    )
    told = [(one.task, one.sha256, one.wrote) for one in trace(past, "x").readers]
    assert told == [("b", "h1", (("y", 1),)), ("c", "", ())]


def test_a_journal_of_any_age_is_read() -> None:
    """Events that say nothing of what they say now, and things that are no lists where lists are."""
    kinds = (
        *("run.created", "run.completed", "task.created", "task.claimed", "artifact.read", "artifact.written"),
        *("artifact.validated", "artifact.stale", "commit.created", "merge.completed", "merge.conflicted"),
        *("check.passed", "check.failed", "gate.evaluating", "gate.opened", "gate.decided", "gate.invalidated"),
        *("finding.opened", "finding.closed", "rule.fired", "decision.made", "action.done", "rollback.done"),
        *("rule.settled", "incident.opened", "tool.used", "gate.aborted", "gate.consulted", "gate.reevaluated"),
    )
    wrong = {"paths": None, "inputs": 3, "reads": [["x"], 4], "checks": [1], "tasks": None, "value": None, "files": "f"}
    past = history(*((kind, "a", {}) for kind in kinds), *((kind, "", wrong) for kind in kinds))
    past.take(Event(99, "", "r", "artifact.written", {"path": "x", "sha256": "h"}, task="a"))
    past.take(Event(100, "", "r", "commit.created", {"paths": ["x"], "commit": "c"}, task="a"))
    (version,) = trace(past, "x").versions
    assert (version.status, version.commit) == ("draft", "c")


def test_a_lineage_is_plain_data_with_its_sources_followed_back() -> None:
    past = history(
        ("artifact.written", "a", written("x", "x1", inputs=[["w", "w0"]])),
        ("artifact.written", "b", written("y", "y1", inputs=[["x", "x1"]])),
    )
    body = json.loads(json.dumps(document(trace(past, "y"))))
    (version,) = body["versions"]
    assert [(one["depth"], one["path"], one["written"] and one["written"]["task"]) for one in version["sources"]] == [
        (1, "x", "a"),
        (2, "w", None),
    ]
