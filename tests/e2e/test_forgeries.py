"""What an agent claims and is not so is caught, each lie in a whole run of its own, with real git and real commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import repos
from tests.support.artifacts import needs_validators
from tests.support.cli import swarm, wait_until
from tests.support.staged import Staged, call, handoff, stage, work, write

from swarm_core.tools.confine import confinement

pytestmark = pytest.mark.timeout(180)
PYTHON = f"'{sys.executable}'"  # its path may hold a space
PYTEST = f"{PYTHON} -m pytest -q -p no:cacheprovider"
SUITE = f'- {{name: suite, kind: tests, command: "{PYTEST} --junit-xml={{report}} .", required: false}}'
CONFIG = f"""\
checks:
  {SUITE}
services:
  testing-agent: {{directories: [tests, artifacts]}}
"""
FAILING = "def test_login():\n    assert False, 'no limit on /auth/login'\n"
UNLANDED = 30  # a rule of the matrix stands before the landing while tests fail
GOOD_JUNIT = '<testsuite tests="1"><testcase classname="test_a" name="test_login"/></testsuite>'
Stage = Callable[..., Staged]


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Stage]:
    made: list[Staged] = []

    def make(config: str, *tasks: dict[str, Any], files: dict[str, str] | None = None) -> Staged:
        made.append(stage(tmp_path / "small", config, *tasks, files=files))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def lines(run: Staged, place: str = "merge") -> dict[str, bool]:
    """What the last gate of a place showed, by name: has it passed."""
    gate = [gate for gate in run.view.gates.values() if gate.place == place][-1]
    return {check.name: check.has_passed for check in gate.checks}


# -- results and claims


def results(failed: int, coverage: float = 95.0) -> str:
    summary = {"total": 1, "passed": 1 - failed, "failed": failed, "skipped": 0, "coverage": coverage}
    told = [{"test": "test_login", "error": "no limit"}] * failed
    return json.dumps({"test_execution": {"summary": summary, "failures": told}})


@pytest.mark.parametrize(("failed", "is_caught"), [(0, True), (1, False)])
def test_a_forged_results_file_is_contradicted_by_what_was_measured(
    staged: Stage, failed: int, is_caught: bool
) -> None:
    """The same file, told truly, agrees."""
    needs_validators()
    calls = [write("artifacts/test-results.json", results(failed)), call("commit", message="test: results"), handoff()]
    run = staged(CONFIG, work("testing-agent", calls), files={"tests/test_a.py": FAILING}).finish(code=UNLANDED)

    shown = lines(run)
    assert shown["artifacts"], "by itself the file is in order"
    assert not shown["suite"]
    assert shown.get("consistency", True) is not is_caught
    if is_caught:
        suite = next(e.data["evidence"] for e in run.events("check.failed") if e.data["name"] == "suite")
        said = "artifacts/test-results.json:1:58: the results say that tests_passed is true, but false was measured"
        assert f"{said} (see {suite}:1:1)" in run.evidence("consistency")


def test_a_manifest_that_says_passed_is_contradicted_by_what_was_measured(staged: Stage) -> None:
    needs_validators()
    manifest = (
        "deployment:\n  status: ready\n  version: 1.0.0\n  pre_checks:\n    tests_passed: true\n"
        "  rollback_plan: {trigger: error_rate > 5%, strategy: blue_green}\n"
    )
    calls = [write("artifacts/deployment-manifest.yml", manifest), handoff()]
    config = CONFIG.replace("testing-agent", "devops-agent")
    run = staged(config, work("devops-agent", calls), files={"tests/test_a.py": FAILING}).finish(code=UNLANDED)
    assert not lines(run)["consistency"]
    said = "artifacts/deployment-manifest.yml:5:5: the pre-check tests_passed says true, but false was measured"
    assert said in run.evidence("consistency")


def test_all_tests_pass_in_a_handoff_while_they_fail_is_a_finding_and_a_failed_line(staged: Stage) -> None:
    calls = [write("tests/notes.md", "Looked at it.\n"), handoff("Bounded the login. All tests pass.")]
    run = staged(CONFIG, work("testing-agent", calls), files={"tests/test_a.py": FAILING}).finish(code=UNLANDED)
    assert lines(run) == {"suite": False, "claims": False}
    (finding,) = [one for one in run.view.findings.values() if one.category == "forensic"]
    assert (finding.severity, finding.about, finding.raised_by) == ("HIGH", "task_001", "engine")
    assert finding.title == "The handoff says that tests pass, and they fail"
    assert "suite failed" in finding.issue
    receipt = json.loads((run.directory / "build/build_receipt.json").read_text())
    assert receipt["status"] == "UNVERIFIED"
    assert any("suite" in failed for failed in receipt["checks_failed"])
    assert (finding.status, finding.resolution) == ("closed", "accepted"), "the operator merged it; nobody verified it"


def test_a_report_that_an_agent_commits_counts_for_nothing(staged: Stage) -> None:
    """JUnit, coverage.py's JSON and its data, under every name a command could take up."""
    coverage = json.dumps({"files": {"m.py": {"summary": {"covered_lines": 99, "num_statements": 99}}}})
    tool = f"{PYTHON} -m coverage"
    config = f"""\
checks:
  - {{name: suite, kind: tests, command: "{PYTEST} --junit-xml={{report}} tests"}}
  - {{name: silent, kind: tests, command: "true", report: tests/report.xml}}
  - name: coverage
    kind: coverage
    command: "{tool} run --include=tests/m.py -m pytest -q -p no:cacheprovider tests; {tool} json -q -o {{report}}"
services:
  testing-agent: {{directories: [tests]}}
"""
    names = ("tests/report.xml", "tests/junit.xml", "tests/report", "tests/results.xml")
    forged = [write(name, GOOD_JUNIT) for name in names]
    forged += [write(name, coverage) for name in ("tests/coverage.json", "tests/.coverage")]
    module = "def f(x):\n    if x:\n        a = 1\n        b = 2\n        c = 3\n    return 2\n"
    files = {
        "tests/test_a.py": FAILING + "\n\ndef test_f():\n    import m\n    assert m.f(0) == 2\n",
        "tests/m.py": module,
    }
    run = staged(config, work("testing-agent", [*forged, handoff("All tests pass, 99 % coverage.")]), files=files)
    with run.under_way():
        run.decide("approve", run.gate("plan"))
        gate = run.gate("merge")
        told = {check.name: (check.status, check.value) for check in gate.checks if check.name != "claims"}
        assert told == {"suite": ("fail", 1.0), "silent": ("not_measured", None), "coverage": ("fail", 50.0)}
        why = run.refused("approve", gate)
        assert "suite is required and failed" in why
        assert "silent is required and was not measured" in why
        assert run.view.run.integration == run.view.run.base


# -- what belongs to others


REGISTRY = """\
artifact_types:
  design: {producer: lead, consumers: [store], format: yaml, path: artifacts/design.yml}
  tables: {producer: store, consumers: ALL, format: yaml, path: artifacts/tables.yml}
"""
TRUE, FORGED = "services: {a: 1}\n", "services: {}\n"
WAYS = {
    "Write": write("artifacts/design.yml", FORGED),
    "Edit": call("Edit", file_path="artifacts/design.yml", old_string="{a: 1}", new_string="{}"),
    "artifact_write": call("artifact_write", type="design", content=FORGED),
    "Bash": call("Bash", command="printf 'services: {}\\n' > artifacts/design.yml"),
    "a program": call("Bash", command=f"{PYTHON} -c \"open('artifacts/design.yml', 'w').write('x')\""),
    "a rename": call("Bash", command="echo x > artifacts/y.yml && mv artifacts/y.yml artifacts/design.yml"),
    "a deletion": call("Bash", command="rm artifacts/design.yml"),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_what_another_agent_produces_is_not_changed_by_any_tool_and_the_attempt_is_journaled(
    staged: Stage, way: str
) -> None:
    config = "services:\n  lead: {directories: [design]}\n  store: {directories: [store, artifacts]}\n"
    calls = [WAYS[way], call("commit", message="chore: mine now"), write("store/a.txt", "a\n"), handoff()]
    files = {".agent-artifacts/registry.yml": REGISTRY, "artifacts/design.yml": TRUE}
    run = staged(config, work("store", calls), files=files).finish()
    assert repos.git(run.root, "show", "main:artifacts/design.yml") == TRUE.strip()
    assert repos.git(run.root, "show", "main:store/a.txt") == "a"
    denied = run.events("policy.denied")
    assert denied[0].data["target"] in ("artifacts/design.yml", "design"), way
    assert "lead" in denied[0].data["message"]
    written = run.events("artifact.written")
    assert not [event for event in written if event.data["path"] == "artifacts/design.yml"]


# -- decisions and receipts


PLAIN = "services:\n  backend: {directories: [backend]}\n"


def test_the_approval_of_a_diff_that_moved_is_refused(staged: Stage) -> None:
    """Somebody read the first round, and says yes while the second lies there."""
    rounds = [[write("backend/a.txt", f"{n}\n"), handoff()] for n in ("one", "two")]
    run = staged(PLAIN, work("backend", *rounds))
    with run.under_way():
        run.decide("approve", run.gate("plan"))
        first = run.gate("merge")
        run.decide("reject", first, "--note", "say two")
        second = run.gate("merge", beside=[first.id])
        assert "not open" in run.refused("approve", first, "--evidence", first.evidence)
        assert f"the evidence of {second.id} moved" in run.refused("approve", second, "--evidence", first.evidence)
        assert run.view.gates[second.id].status == "open"
        assert run.view.run.integration == run.view.run.base
        run.decide("approve", second, "--evidence", second.evidence)


def test_a_document_that_was_changed_under_the_operators_eyes_is_measured_again(staged: Stage) -> None:
    run = staged(PLAIN, work("backend", [write("backend/a.txt", "one\n"), handoff()]))
    with run.under_way():
        run.decide("approve", run.gate("plan"))
        gate = run.gate("merge")
        document = run.directory / gate.document
        shown = document.read_bytes()
        document.chmod(0o644)
        document.write_bytes(shown.replace(b"one", b"two"))
        assert "was changed on disk" in run.refused("approve", gate)
        assert run.view.run.integration == run.view.run.base
        again = run.gate("merge")
        assert (run.directory / again.document).read_bytes() == shown
        run.decide("approve", again)


def test_an_edited_receipt_is_a_failed_line_where_the_run_lands(staged: Stage) -> None:
    run = staged(PLAIN, work("backend", [write("backend/a.txt", "one\n"), handoff()]))
    with run.under_way():
        run.decide("approve", run.gate("plan"))
        merge = run.gate("merge")
        path = run.directory / "plan/plan_receipt.json"
        body = json.loads(path.read_text())
        assert body["status"] == "VERIFIED"
        body["counts"]["gates"] = {"passed": 7}
        path.write_text(json.dumps(body, indent=2) + "\n")
        run.decide("approve", merge)
        landing = run.gate("landing")
        (line,) = [check for check in landing.checks if check.name == "receipts"]
        assert (line.has_passed, line.detail) == (False, "edited after it was sealed: plan/plan_receipt.json, 0.0 s")
        assert "FAILED: receipts" in landing.summary
        (finding,) = [one for one in run.view.findings.values() if "receipts" in one.title]
        assert finding.raised_by == "error-agent"
    told = swarm("replay", "--check", cwd=run.root)
    assert told.returncode == 1
    assert "receipt.mismatch" in told.stdout
    assert "counts.gates.passed" in told.stdout


GRAB = """\
import glob, json, os, sys
top = sys.argv[1]
for name in ("gate_002", "gate_003"):
    path = f"{top}/.multi-agent/inbox/01ZZZZZZZZZZZZZZZZZZZZZZ{name[-2:]}.json"
    try:
        lines = open(glob.glob(top + "/.runs/*/events.jsonl")[0])
        evidence = [json.loads(line)["data"].get("evidence", "") for line in lines]
    except (OSError, IndexError):
        evidence = [""]
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            json.dump({"v": 1, "id": path[-31:-5], "kind": "gate.decide", "by": "operator", "at": "", "run": "",
                       "data": {"gate": name, "verdict": "approve", "note": "", "evidence": evidence[-1]}}, file)
        print("WRITTEN", path)
    except OSError as error:
        print("REFUSED", error)
try:
    receipts = glob.glob(top + "/.runs/*/plan/*_receipt.json")
    print("SEES", receipts)
    for path in receipts:
        open(path, "a").write(" ")
except OSError as error:
    print("REFUSED", error)
"""


def test_an_agent_cannot_approve_its_own_work_through_the_inbox(staged: Stage, tmp_path: Path) -> None:
    """By a tool, by a command, by a program that hides it, and by our own command line: nothing gets there."""
    if confinement() == "none":
        pytest.skip("nothing on this machine confines a command")
    top = tmp_path / "small"
    item = f"{top}/.multi-agent/inbox/01ZZZZZZZZZZZZZZZZZZZZZZZZ.json"
    ours = f"PYTHONPATH='{os.pathsep.join(sys.path)}' {PYTHON} -m swarm_tui"
    calls = [
        write(item, "{}"),
        call("Bash", command=f"echo '{{}}' > {item}"),
        write("backend/grab.py", GRAB),
        call("Bash", command=f"{PYTHON} backend/grab.py {top}; cd {top} && ls -la .multi-agent/inbox"),
        call("Bash", command=f"cd {top} && {ours} approve gate_002; {ours} -C {top} decide gate_002 approve"),
        call("Bash", command="rm -f backend/grab.py"),
        write("backend/a.txt", "mine\n"),
        handoff(),
    ]
    run = staged(PLAIN, work("backend", calls))
    with run.under_way():
        plan = run.gate("plan")
        run.decide("approve", plan)
        gate = run.gate("merge")
        view = run.view
        assert view.gates[gate.id].status == "open"
        assert [e.data["gate"] for e in run.events("gate.decided")] == [plan.id]
        assert not run.events("decision.refused"), "not even an attempt arrived"
        assert not list((top / ".multi-agent/inbox").rglob("*ZZZZZZ*"))
        assert swarm("replay", "--check", cwd=top).stdout.count("✗") == 0
        targets = [event.data["target"] for event in run.events("policy.denied")]
        assert len([target for target in targets if "inbox" in target]) >= 2, targets
        said = "\n".join(run.told("backend-1", "task_001"))
        assert "REFUSED" in said
        assert "WRITTEN" not in said
        assert "accepted" not in said
        run.decide("approve", gate)
        run.decide("approve", run.gate("landing"))
        wait_until("the end", lambda: run.view.is_over)
    assert (top / "backend/a.txt").read_text() == "mine\n"
