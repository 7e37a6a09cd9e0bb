"""Every file of the corpus has an expectation: it is read by what reads such files, or refused at a known line.

The corpus holds each file that the seeds show, word for word, and one of ours for each kind they only name. A file
without an expectation fails, and so does an expectation without a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.support.artifacts import CORPUS, PLATFORM, judged, needs_validators, shipped, told
from tests.support.story import Story, planned, spec

from swarm_core.agents.own_tools import STATES
from swarm_core.artifacts.validate import validate
from swarm_core.checks.run import CheckRun
from swarm_core.definitions.artifacts import load_registry
from swarm_core.definitions.config import load
from swarm_core.definitions.frontmatter import read
from swarm_core.definitions.matrix import load_matrix
from swarm_core.definitions.suggestions import suggested
from swarm_core.documents import error_report, open_questions, recovery_actions, worklist
from swarm_core.documents.messages import Message
from swarm_core.engine.claims import mismatches
from swarm_core.engine.run_documents import ac_status
from swarm_core.journal.projections import state_projection, tasks_projection
from swarm_core.policy.receipts import receipt
from swarm_core.recovery.index import index_entry, merge_index, run_meta
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.findings import SEVERITIES
from swarm_core.vocabulary.machines import TASK

Check = Callable[[Path], None]


def artifact(path: Path) -> None:
    """It is valid by the shipped registry."""
    kind = shipped().at(str(path.relative_to(PLATFORM)))
    assert kind is not None
    judgement = validate(kind, path.read_bytes())
    assert judgement.is_valid, told(judgement.faults)


def by_the_seeds_rules(*faults: str) -> Check:
    """It is valid by the shipped registry, and has these faults by the rules of seed 000 itself."""

    def check(path: Path) -> None:
        artifact(path)
        kind = load_registry(PLATFORM).at(str(path.relative_to(PLATFORM)))
        assert kind is not None
        assert told(validate(kind, path.read_bytes()).faults) == [f"{kind.path}:{fault}" for fault in faults]

    return check


def registry(path: Path) -> None:
    found = load_registry(PLATFORM)
    assert (len(found.types), found.is_shipped) == (7, False)
    assert found.types["database_schema"].required_tables == ("customers", "bins", "routes", "service_events")


def matrix(path: Path) -> None:
    artifact(path)
    assert [rule.place for rule in load_matrix(PLATFORM).rules][:2] == [
        f"artifacts/decision-matrix.yml:{n}" for n in (8, 11)
    ]


def report(path: Path) -> None:
    by_the_seeds_rules()(path)
    found = error_report.parse(path.read_text())
    assert [issue.status for issue in found.issues] == [
        "Auto-fixed in commit abc123",
        "Pending approval",
        "In progress",
    ]


def actions(path: Path) -> None:
    artifact(path)
    assert [(one.id, one.status) for one in recovery_actions.parse(path.read_text())] == [
        ("RA-001", "done"),
        ("RA-002", "pending"),
    ]


def contract(path: Path) -> None:
    assert judged(path.read_bytes()).is_valid, told(judged(path.read_bytes()).faults)


def no_yaml(line: int) -> Check:
    """DOMAIN names two contracts that are not YAML: a list goes on below a plain value."""

    def check(path: Path) -> None:
        judgement = judged(path.read_bytes())
        assert judgement.status == "invalid"
        (fault,) = told(judgement.faults)
        assert fault.startswith(f"artifacts/x.yml:{line}:")
        assert "is not valid YAML: mapping values are not allowed" in fault

    return check


def configuration(path: Path) -> None:
    found = load(path)
    assert list(found.services) == ["architect", "frontend", "backend", "database"]
    assert found.services["backend"].tools_restricted == ("WebFetch", "git commit")


AUTH = {"title": "Add user authentication", "description": "Implement JWT-based authentication system"}


def queue(path: Path) -> None:
    """What the engine writes about such a task says the same, field by field."""
    (sample,) = json.loads(path.read_text())["tasks"]
    view = Story(spec("backend")).planned(planned(1, "backend", priority="high", **AUTH)).view
    ours = next(task for task in tasks_projection(view)["tasks"] if task["id"] == "task_001")
    assert sample["status"] in TASK.states
    assert {key: ours[key] for key in sample if key != "status"} == {k: v for k, v in sample.items() if k != "status"}


def state(path: Path) -> None:
    sample = json.loads(path.read_text())
    story = Story(spec("backend", "frontend")).planned(planned(1, "backend"), planned(2, "frontend", 1))
    story.started("backend-1", "backend")
    ours = state_projection(story.view)
    assert sample.keys() <= ours.keys()
    assert ours["active_instances"]["backend"] == sample["active_instances"]["backend"]
    assert ours["completed_tasks"] == sample["completed_tasks"]
    assert ours["failed_tasks"] == sample["failed_tasks"]


def agent(path: Path) -> None:
    found = read(path.read_text())
    assert (found.problem, found.text("name"), found.text("model")) == ("", "agent-name", "sonnet")
    assert found.texts("tools") == ("Bash", "Read", "Write", "Edit", "Glob", "Grep")
    assert found.body.lstrip().startswith("# Agent Name")


def sections(*names: str) -> Check:
    def check(path: Path) -> None:
        judgement = judged(path.read_bytes(), "markdown", required_sections=names)
        assert judgement.is_valid, told(judgement.faults)

    return check


def commands(path: Path) -> None:
    assert [(one.command, one.line) for one in suggested(path.parent)] == [("npm test", 16), ("npm run lint", 18)]


def assignment(path: Path) -> None:
    """A task's message of ours says what it is about, and has the fields that a task has."""
    sample = json.loads(path.read_text())
    about = Task("task_001", sample["task"], assigned_to="backend", description=sample["requirements"])
    told_ = Message("m", "task_assignment", "architect", "backend", 1, "", "r", task=about).document()
    assert (told_["task"]["title"], told_["task"]["description"]) == (sample["task"], sample["requirements"])


def result(path: Path) -> None:
    """``tests_passing: true`` is a claim, and is held against what was measured."""
    said = Task("task_001", "t", handoff={"what_i_did": path.read_text()})
    assert [one.kind for one in mismatches(said, [CheckRun("tests", "npm test", 1, 1.0, "5 failed")], "")] == ["passed"]
    assert mismatches(said, [CheckRun("tests", "npm test", 0, 1.0, "5 passed")], "") == []


def ledger(path: Path) -> None:
    sample = json.loads(path.read_text())["acs"]
    story = Story(spec("backend")).planned(planned(1, "backend", title="Write the login"))
    story.started("backend-1", "backend")
    for section, told_ in sample.items():
        assert told_["impl_status"] in STATES
        story.happens("status.updated", "task_001", "backend-1", section=section, state=told_["impl_status"])
    assert ac_status(story.view)["acs"] == sample


def critique(path: Path) -> None:
    items = worklist.parse(path.read_text())
    assert [(item.id, item.severity, item.location) for item in items] == [
        ("W-001", "CRITICAL", "src/auth.rs:42"),
        ("W-002", "LOW", "src/auth.rs:77"),
    ]
    assert {item.severity for item in items} <= set(SEVERITIES)
    assert worklist.render(items) == path.read_text()


def questions(path: Path) -> None:
    found = open_questions.parse(path.read_text())
    assert [(one.id, one.status) for one in found] == [("OQ-BUILD-001", "DEFAULTED"), ("OQ-BUILD-002", "NEEDS_HUMAN")]
    assert found[0].options == ("15 minutes", "8 hours")
    assert open_questions.render(found) == path.read_text()


def sealed(path: Path) -> None:
    """A receipt has exactly the fields of one that is derived, and a status that is known."""
    sample = json.loads(path.read_text())
    derived = receipt(Story(spec("backend")).planned(planned(1, "backend")).view, sample["phase"])
    assert sample.keys() == derived.keys()
    assert sample["counts"].keys() == derived["counts"].keys()
    assert sample["status"] in ("VERIFIED", "PARTIAL", "UNVERIFIED")


def meta(path: Path) -> None:
    assert json.loads(path.read_text()).keys() == run_meta(Story(spec("backend")).view).keys()


def index(path: Path) -> None:
    sample = json.loads(path.read_text())
    assert merge_index(sample, ()) == sample
    assert sample["runs"][0].keys() == index_entry(Story(spec("backend")).view).keys()


def machines(path: Path) -> None:
    """Read by the tests of the machines, edge by edge."""
    assert len(yaml.safe_load(path.read_text())) >= 10


TABLES = [f"50:1: the table {name!r} is missing; there are: customers" for name in ("bins", "routes", "service_events")]
EXPECTED: dict[str, Check] = {
    "platform/.agent-artifacts/registry.yml": registry,
    "platform/.agent-artifacts/validation.json": registry,
    "platform/artifacts/system-design.yml": by_the_seeds_rules(),
    "platform/artifacts/security-requirements.yml": by_the_seeds_rules(),
    "platform/artifacts/database-schema.sql": by_the_seeds_rules(*TABLES),
    "platform/artifacts/api-contracts.yml": by_the_seeds_rules(
        "31:9: note: the response code 200 is a number and is read as text"
    ),
    "platform/artifacts/test-results.json": by_the_seeds_rules(),
    "platform/artifacts/performance-metrics.json": by_the_seeds_rules(),
    "platform/artifacts/error-reports.md": report,
    "platform/artifacts/decision-matrix.yml": matrix,
    "platform/artifacts/ui-components.json": artifact,
    "platform/artifacts/integration-manifest.yml": artifact,
    "platform/artifacts/deployment-manifest.yml": artifact,
    "platform/artifacts/optimization-plan.yml": artifact,
    "platform/artifacts/coverage-report.html": artifact,
    "platform/artifacts/recovery-actions.yml": actions,
    "platform/artifacts/documentation-manifest.json": artifact,
    "orchestration/multi-agent.yaml": configuration,
    "orchestration/tasks.json": queue,
    "orchestration/state.json": state,
    "ledger/ac_status.json": ledger,
    "ledger/code_critique.md": critique,
    "ledger/open_questions.md": questions,
    "ledger/build_receipt.json": sealed,
    "ledger/run_meta.json": meta,
    "ledger/index.json": index,
    "agents/agent-name.md": agent,
    "contracts/contract-template.yml": contract,
    "contracts/setup-agent.yml": contract,
    "contracts/issue-researcher.yml": contract,
    "contracts/finalize-agent.yml": contract,
    "contracts/atomic-developer.yml": no_yaml(14),
    "contracts/review-orchestrator.yml": no_yaml(12),
    "workflows/auto-issue.md": sections("Workflow", "Escalation"),
    "workflows/work-on-issue.md": sections("Workflow"),
    "messages/task.json": assignment,
    "messages/result.json": result,
    "project/CLAUDE.md": commands,
    "state_machines.yaml": machines,
}


def test_every_sample_has_an_expectation_and_every_type_of_artifact_a_sample() -> None:
    there = {str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*") if path.is_file()}
    assert there == set(EXPECTED)
    assert {path.removeprefix("platform/") for path in there} >= {kind.path for kind in shipped().types.values()}
    assert len(shipped().types) == 15


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sample_is_read_or_refused_for_the_reason_that_is_known(name: str) -> None:
    needs_validators()
    EXPECTED[name](CORPUS / name)


def test_what_the_engine_writes_under_the_name_of_an_artifact_is_valid_by_its_type() -> None:
    needs_validators()
    story = Story(spec("backend")).planned(planned(1, "backend"))
    story.happens(
        "finding.opened", finding="W-1", title="No limit", severity="HIGH", owner="backend", location="a.py:1"
    )
    written = {
        "error_reports": error_report.render(error_report.report(story.view)),
        "recovery_actions": recovery_actions.render(recovery_actions.actions(story.view)),
    }
    assert "fix-W-1" in written["recovery_actions"]
    for key, text in written.items():
        assert told(validate(shipped().types[key], text.encode()).faults) == []
