"""At a gate, exactly what an approval would bring about is measured; anything but a pass of a required check blocks."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support import repos
from tests.support.crew import Run
from tests.support.story import spec as swarm

from swarm_core.checks.run import CheckRun
from swarm_core.definitions.checks import read_checks
from swarm_core.definitions.marked import compose
from swarm_core.engine.evidence import merge_evidence
from swarm_core.engine.measuring import Measuring, required_missing
from swarm_core.vocabulary.entities import CheckResult, Gate, Stat, Task
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.workspace.hub import Hub

PYTHON = f"'{sys.executable}'"  # its path may hold a space
TOOL = f"{PYTHON} -m coverage"
COVERAGE = f"""
- name: coverage
  kind: coverage
  command: "{TOOL} run --include=m.py -m pytest -q -p no:cacheprovider . && {TOOL} json -q -o {{report}}"
- name: deleted
  kind: tests_not_deleted
"""


class Bench:
    """A run whose gates are measured, on a real hub."""

    def __init__(self, run: Run, hub: Hub) -> None:
        self.run, self.hub = run, hub
        self.measuring = Measuring(run.runner, self._hub)

    async def _hub(self) -> Hub:
        return self.hub

    async def work(self, instance: str, remove: str = "", message: str = "feat: work", **files: str) -> Task:
        """A task whose agent wrote these files at the integration line, and committed them."""
        tree = await self.hub.add_tree(instance)
        for name, text in files.items():
            repos.write(tree.path, name.replace("__", "/").replace("_py", ".py"), text)
        if remove:
            (tree.path / remove).unlink()
        made = await self.hub.commit(instance, message, allowed=lambda p: True, trailers={}, author=instance)
        assert made is not None
        return Task(f"task_{instance[0]}", "T", instance=instance, commit=made.oid, base=self.hub.base)

    async def measure(self, task: Task) -> list[CheckRun]:
        onto = await self.hub.integration()
        attempt = await self.hub.try_merge(onto, task.commit)
        return await self.measuring.at_merge(task, onto, attempt)

    async def merge(self, task: Task) -> str:
        trailers = {"Task-Id": task.id, "Run-Id": "r1"}
        return await self.hub.merge(
            task.commit, message="Merge", trailers=trailers, expected=await self.hub.integration()
        )

    def told(self) -> list[dict[str, Any]]:
        """What was journaled about measurements."""
        kinds = ("check.passed", "check.failed", "check.not_measured")
        return [{"event": event.kind, **event.data} for event in self.run.events(*kinds)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return repos.small(tmp_path / "small")


async def bench(place: Path, checks: str, **files: str) -> Bench:
    if files:
        for name, text in files.items():
            repos.write(place, name.replace("_py", ".py"), text)
        repos.commit_all(place, "feat: more")
    found = swarm("backend", "frontend")
    parsed = read_checks(compose(checks, "multi-agent.yaml"))
    run = await Run.open(place, SwarmSpec(found.services, checks=parsed))
    return Bench(run, await Hub.open(run.runner.layout))


def module(ran: int, total: int) -> str:
    body = "".join(f"    a{n} = {n}\n" for n in range(ran - 3))
    rest = "".join(f"        b{n} = {n}\n" for n in range(total - ran))
    return f"def f(x):\n{body}    if x:\n{rest}    return 2\n"


TESTS = "import m\ndef test_low(): assert m.f(0) == 2\n"
MORE = TESTS + "def test_high(): assert m.f(1) == 2\n"


async def test_79_9_blocks_and_80_0_passes_at_the_gate(place: Path) -> None:
    at = await bench(place, COVERAGE, m_py=module(90, 100), test_m_py=TESTS)
    low = await at.measure(await at.work("a-1", m_py=module(799, 1000)))
    high = await at.measure(await at.work("b-1", m_py=module(800, 1000)))

    assert (low[0].name, low[0].result, low[0].shown_value) == ("coverage", "fail", "79.9% (>= 80)")
    assert required_missing(low) == ["coverage is required and failed (79.9% (>= 80))"]
    assert [(r.name, r.result) for r in high] == [("coverage", "pass"), ("deleted", "pass")]
    assert required_missing(high) == []


async def test_a_test_deleted_to_get_there_is_caught_and_named(place: Path) -> None:
    """With both tests all of m.py runs; somebody deletes the code that is hard to test, and its test with it."""
    at = await bench(place, COVERAGE, m_py=module(50, 100), test_m_py=MORE)
    task = await at.work("a-1", m_py=module(100, 103), test_m_py=TESTS)
    found = await at.measure(task)

    assert [(r.name, r.result) for r in found] == [("coverage", "pass"), ("deleted", "fail")]
    assert [one.text for one in found[1].found] == ["test_m.py: test_m.py::test_high was deleted"]
    assert len(required_missing(found)) == 1


async def test_reports_and_data_that_an_agent_committed_count_for_nothing(place: Path) -> None:
    forged = json.dumps({"files": {"m.py": {"summary": {"covered_lines": 99, "num_statements": 99}}}})
    junit = '<testsuite><testcase name="a"/></testsuite>'
    checks = "- {name: c, kind: coverage, command: 'true', report: coverage.json}\n"
    checks += "- {name: t, kind: tests, command: 'true # {report}'}\n"
    at = await bench(place, checks)
    task = await at.work("a-1", **{"coverage.json": forged, "junit.xml": junit, "report": junit})
    found = await at.measure(task)
    assert [r.result for r in found] == ["not_measured", "not_measured"]
    assert len(required_missing(found)) == 2


async def test_what_is_measured_is_the_result_of_the_merge_and_the_evidence_names_it(place: Path) -> None:
    at = await bench(place, "- {name: both, command: 'cat one two && git log -1 --format=%H', required: true}")
    first, second = await at.work("a-1", one="1\n"), await at.work("b-1", two="2\n")
    await at.merge(first)
    (found,) = await at.measure(second)

    assert found.has_passed, found.output
    assert found.output.splitlines()[:2] == ["1", "2"]
    (told,) = at.told()
    assert (told["event"], told["tree"], told["result"]) == ("check.passed", "merged", "pass")
    assert told["commit"] == found.output.splitlines()[2]
    evidence = (at.run.runner.layout.dir / told["evidence"]).read_text().splitlines()
    assert json.loads(evidence[0])["commit"] == told["commit"]
    assert evidence[2:4] == ["1", "2"]


async def test_two_changes_that_break_each_other_are_told_from_one_that_is_broken(place: Path) -> None:
    at = await bench(place, "- {name: alone, command: 'test ! -e one -o ! -e two'}")
    first, second = await at.work("a-1", one="1\n"), await at.work("b-1", two="2\n")
    await at.merge(first)
    (found,) = await at.measure(second)
    assert (found.result, found.note) == ("fail", "on the task's own commit: pass")
    assert [told["tree"] for told in at.told()] == ["merged", "alone"]


async def test_no_check_sees_what_another_left(place: Path) -> None:
    checks = "- {name: a, command: 'echo x >left; echo y >README.md; mkdir -p build; echo z >build/z'}\n"
    checks += "- {name: b, command: 'test ! -e left && test ! -e build && grep -q Small README.md'}\n"
    at = await bench(place, checks)
    found = await at.measure(await at.work("a-1", one="1\n"))
    assert [r.result for r in found] == ["pass", "pass"]


async def test_a_task_that_conflicts_is_measured_by_itself(place: Path) -> None:
    at = await bench(place, "- {name: a, command: 'cat README.md'}")
    first, second = await at.work("a-1", **{"README.md": "a\n"}), await at.work("b-1", **{"README.md": "b\n"})
    await at.merge(first)
    (found,) = await at.measure(second)
    assert (found.output, at.told()[0]["tree"]) == ("b\n", "agent")


async def test_the_approved_merge_is_measured_again_only_if_the_line_moved(place: Path) -> None:
    at = await bench(place, "- {name: alone, command: 'test ! -e one -o ! -e two'}")
    first, second = await at.work("a-1", one="1\n"), await at.work("b-1", two="2\n")
    for task in (first, second):
        assert (await at.measure(task))[0].has_passed
    line = await at.hub.integration()
    assert await at.measuring.before_merge(first, first.commit, line) == ""
    assert len(at.told()) == 2

    await at.merge(first)
    reason = await at.measuring.before_merge(second, second.commit, await at.hub.integration())
    assert reason == "merged with what came in since the approval, alone did not pass"
    assert [told["event"] for told in at.told()] == ["check.passed", "check.passed", "check.failed"]


async def test_a_merge_that_happened_already_is_not_judged_again(place: Path) -> None:
    at = await bench(place, "- {name: no, command: 'false', required: true}")
    task = await at.work("a-1", one="1\n")
    await at.merge(task)
    assert await at.measuring.before_merge(task, task.commit, await at.hub.integration()) == ""
    assert at.told() == []


async def test_commits_are_measured_side_by_side_and_do_not_meet(place: Path) -> None:
    at = await bench(place, "- {name: one, command: 'cat who; echo $TMPDIR >>who; sleep 0.2; wc -l <who'}")
    tasks = [await at.work(f"{name}-1", who=f"{name}\n") for name in "abc"]
    found = await asyncio.gather(*(at.measure(task) for task in tasks))
    assert [r[0].output.split() for r in found] == [["a", "2"], ["b", "2"], ["c", "2"]]


async def test_places_choose_what_is_measured(place: Path) -> None:
    at = await bench(place, "- {name: m, command: 'true', at: [merge]}\n- {name: l, command: 'true', at: [landing]}")
    assert [r.name for r in await at.measure(await at.work("a-1", one="1\n"))] == ["m"]
    assert [r.name for r in await at.measuring.at_landing()] == ["l"]


async def test_messages_of_the_commits_in_question_are_looked_at(place: Path) -> None:
    at = await bench(place, "- {name: msg, kind: commit_message}")
    (found,) = await at.measure(await at.work("a-1", message="did things", one="1\n"))
    assert (found.result, "'did things'" in found.found[0].message) == ("fail", True)


def test_a_gate_shows_value_threshold_and_what_was_not_measured() -> None:
    from fractions import Fraction

    low = CheckRun("coverage", "c", 0, 1.0, "", "fail", "coverage", Fraction(799, 10), "%", ">= 80", True)
    lost = CheckRun("scan", "s", 0, 1.0, "", "not_measured", "sarif", required=True, hint="install it")
    gate, task = Gate("gate_001", "merge", "t"), Task("task_001", "T", instance="a-1", commit="c1")
    evidence = merge_evidence(
        gate, task, branch="b", base="x", diff=b"", stat=Stat(), conflicts=[], checks=[low, lost], commits=[],
        blockers=required_missing([low, lost]),
    )  # fmt: skip
    text = evidence.document.decode()
    assert "  ✗ coverage · required · 79.9% (>= 80), 1.0 s · c" in text
    assert "  ? scan · required · NOT MEASURED, 1.0 s · s" in text
    assert "In the way" in text
    assert "FAILED: coverage · NOT MEASURED: scan" in evidence.summary
    checks = [CheckResult.of(one) for one in evidence.data("gate_001", "d")["checks"]]
    assert (checks[0].status, checks[0].value, checks[0].threshold, checks[0].required) == ("fail", 79.9, ">= 80", True)
    assert [check.has_passed for check in checks] == [False, False]
