"""A thousand schedules of faults, crashes and mistakes through the real policy, fold, runner and decisions.

A seed that fails is printed with the command that plays it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import swarm

from swarm_core.simulation.dice import Rates
from swarm_core.simulation.schedule import Report, play

SEEDS = 1_000
CHUNK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_invariant_holds_in_every_schedule(first: int) -> None:
    for seed in range(first, first + CHUNK):
        report = play(seed)
        assert report.violation is None, f"{report.violation}\n  swarm-tui simulate --seed {seed} --verbose"


def test_the_schedules_reach_what_they_are_for() -> None:
    reports = [play(seed) for seed in range(60)]
    kinds = {event.kind for report in reports for event in report.events}

    wanted = {
        "engine.crash_detected", "task.failed", "task.reassigned", "task.reopened", "task.cancelled", "llm.retry",
        "merge.conflicted", "gate.invalidated", "decision.refused", "check.failed", "run.completed", "run.aborted",
    }  # fmt: skip
    assert wanted <= kinds, sorted(wanted - kinds)
    assert sum(report.crashes for report in reports) > 60
    assert {report.status for report in reports} >= {"completed", "aborted"}


def test_the_same_seed_is_the_same_journal() -> None:
    assert [play(seed).digest for seed in range(12)] == [play(seed).digest for seed in range(12)]
    assert len({play(seed).digest for seed in range(12)}) == 12


def test_the_same_seed_is_the_same_journal_in_another_process() -> None:
    """What depends on the order of a set or on the address of an object would differ."""
    code = "from swarm_core.simulation.schedule import play; print(*[play(seed).digest for seed in range(12)])"
    core = Path(__file__).parents[2] / "core"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(core), "PYTHONHASHSEED": hashes},
            capture_output=True, text=True, check=True,
        ).stdout.split()
        for hashes in ("1", "2")
    ]  # fmt: skip

    assert printed[0] == printed[1] == [play(seed).digest for seed in range(12)]


def test_in_a_world_without_faults_every_task_is_done_and_landed() -> None:
    for seed in range(20):
        report = play(seed, rates=Rates.none())

        assert report.violation is None, f"seed {seed}: {report.violation}"
        assert report.status == "completed"
        assert _count(report, "task.done") == report.tasks + 1
        ending = next(event for event in report.events if event.kind == "run.completed")
        assert ending.data["landed"], ending.data


def test_with_findings_and_rules_every_run_ends_and_no_finding_is_given_out_twice_at_a_time() -> None:
    reports = [play(seed, rates=Rates(agent_finds=0.4)) for seed in range(8)]

    for seed, report in enumerate(reports):
        assert report.violation is None, f"seed {seed}: {report.violation}"
        fixing: set[str] = set()
        for event in report.events:
            name = str(event.data.get("finding", ""))
            if event.kind == "finding.fix_started":
                assert name not in fixing, f"seed {seed}: {name}"
                fixing.add(name)
            elif event.kind.startswith("finding."):
                fixing.discard(name)
    for kind in ("finding.fix_started", "finding.fixed", "rule.fired", "action.done", "rule.settled"):
        assert any(_count(report, kind) for report in reports), kind


def _count(report: Report, kind: str) -> int:
    return sum(event.kind == kind for event in report.events)


def test_the_command_tells_a_story_and_how_to_see_it_again(tmp_path: Path) -> None:
    done = swarm("simulate", "--seed", "3", "--tasks", "4", "--verbose", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "seed 3: 4 tasks" in done.stdout
    assert "run.created" in done.stdout
    assert "everything held" in done.stdout
    assert swarm("simulate", "--seeds", "0", cwd=tmp_path).returncode == 2
