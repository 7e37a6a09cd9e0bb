"""What can be found, asked and decided in the recorded run: the facts the engine journals about it."""

from __future__ import annotations

from typing import Any

from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.rules import Fact

CONTRACT, DESIGN = "artifacts/api-contracts.yml", "artifacts/system-design.yml"
FAILED = {"name": "tests", "kind": "tests", "result": "fail", "commit": "c3d4", "evidence": "checks/tests-1.txt"}
RULE: dict[str, Any] = {"id": "testing_agent.if_tests_fail", "condition": "tests_fail", "do": ["block_deployment"]}
MATRIX = Draft("matrix.adopted", {"path": "artifacts/decision-matrix.yml", "rules": [RULE]})
EVIDENCE = Fact("check:tests:task_004", "check", "tests", "fail", task="task_004", tree="agent", commit="c3d4").evidence


def finding(name: str = "W-001", severity: str = "HIGH", **more: Any) -> Draft:
    data = {"finding": name, "title": f"{name} is wrong", "severity": severity, "location": "backend/auth.py:7"}
    data |= {"issue": "Tokens live for\n60 minutes.", "fix": "15 minutes", "verification": "check:tests"}
    return Draft("finding.opened", {**data, **more}, actor="testing-1", task="task_004")


def mended(name: str = "W-001") -> list[Draft]:
    """Given out, fixed and verified."""
    given = {"finding": name, "owner": "backend", "task": "task_002"}
    return [
        Draft("finding.fix_started", given),
        Draft("finding.fixed", {"finding": name, "commit": "f1x3d0" * 6}),
        Draft("finding.closed", {"finding": name, "resolution": "verified"}, actor="testing-1"),
    ]


def question(name: str = "OQ-BUILD-001", **more: Any) -> Draft:
    data: dict[str, Any] = {
        "question": name,
        "text": "May a dispatcher see phone numbers?",
        "default": "no",
        "risk": "data leaks",
    }
    data |= {"options": ["yes", "no"], "needs_human": False}
    return Draft("question.raised", {**data, **more}, task="task_003", agent="frontend-1")


def written(path: str, sha256: str, task: str = "task_002") -> Draft:
    data = {"path": path, "type": path.rpartition("/")[2].partition(".")[0], "sha256": sha256 * 32}
    return Draft("artifact.written", data, task=task, agent="backend-1")


ARTIFACTS = (
    written(DESIGN, "d1", "task_001"),
    Draft("artifact.validated", {"path": DESIGN}),
    written(CONTRACT, "c1"),
    Draft("artifact.rejected", {"path": CONTRACT, "reason": "1 fault", "faults": [f"{CONTRACT}:3:1: no such path"]}),
)
BLOCKED = (
    MATRIX,
    Draft("check.failed", {**FAILED, "tree": "agent"}, task="task_004"),
    Draft(
        "rule.fired",
        {
            "firing": "firing_001",
            "rule": RULE["id"],
            "fact": "check:tests:task_004",
            "evidence": EVIDENCE,
            "why": "tests fail",
            "actions": ["block_deployment"],
            "notify": ["backend"],
        },
    ),
    Draft(
        "finding.opened",
        {
            "finding": "D-001",
            "title": "Deployment is blocked",
            "severity": "HIGH",
            "category": "rule",
            "firing": "firing_001",
        },
    ),
    Draft(
        "action.done",
        {"firing": "firing_001", "action": "block_deployment", "result": "nothing lands", "finding": "D-001"},
    ),
    Draft("message.written", {"to": "backend", "text": "The tests fail.", "firing": "firing_001"}),
    Draft("action.done", {"firing": "firing_001", "action": "notify", "result": "told backend"}),
)


def waived(note: str, command: str = "") -> Draft:
    return Draft("rule.waived", {"firing": "firing_001", "note": note, "command": command}, actor=OPERATOR)
