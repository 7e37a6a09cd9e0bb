"""Ten thousand tasks: a run ends, and an event costs no more than in a run of a thousand."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmarks.instant import Shape, carry_out, name_of, open_run

from swarm_core.agents.coordination import MAX_TASKS, read_plan
from swarm_core.journal.disk import RealDisk
from swarm_core.vocabulary.errors import ToolError

pytestmark = pytest.mark.timeout(300)

GROWTH = 2.0
IS_FULL = os.environ.get("SWARM_SWEEP") == "full"
WORKERS = ("api", "web")


class Unsynced(RealDisk):
    """Leaves syncing out: what is measured is the engine."""

    def sync(self, fd: int) -> None:
        """Nothing."""

    def sync_dir(self, path: Path) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    events: int
    cpu_us: float


async def cost(root: Path, shape: Shape) -> Cost:
    """Carry a run of ``shape`` out and hold it against its plan. The own time of the thread: nobody else counts."""
    root.mkdir()
    runner, hands = await open_run(root, shape, disk=Unsynced())
    gc.collect()
    started_s = time.thread_time()
    await carry_out(runner)
    spent_s = time.thread_time() - started_s
    view = runner.view
    assert view.run.status == "completed"
    assert len(hands.merged) == len(set(hands.merged)) == shape.tasks
    assert view.index.count("done") == shape.tasks + 1
    done = [view.tasks[name_of(number)] for number in range(1, shape.tasks + 1)]
    assert all(task.attempt == 1 for task in done)
    return Cost(view.last_seq, spent_s / view.last_seq * 1e6)


@pytest.mark.parametrize(
    ("length", "tasks"),
    [(10, 10_000), (1, 10_000 if IS_FULL else 4_000)],  # `make sweep` takes the whole of both
    ids=["chains of ten", "all at once"],
)
async def test_an_event_costs_the_same_in_a_run_of_ten_thousand_tasks(tmp_path: Path, length: int, tasks: int) -> None:
    small = await cost(tmp_path / "small", Shape(tasks // 10 // length, length))
    large = await cost(tmp_path / "large", Shape(tasks // length, length))
    assert large.events > 9 * small.events
    assert large.cpu_us <= GROWTH * small.cpu_us, f"{small.cpu_us:.0f} us an event, then {large.cpu_us:.0f}"


def tasks(count: int) -> list[dict[str, object]]:
    return [
        {
            "key": f"t{number}",
            "title": f"Task {number}",
            "description": "Do it.",
            "assigned_to": WORKERS[number % 2],
            "dependencies": [f"t{number - 1}"] if number % 10 else [],
        }
        for number in range(count)
    ]


def test_a_plan_of_ten_thousand_tasks_is_read_and_one_more_is_refused_by_name() -> None:
    assert len(read_plan({"tasks": tasks(MAX_TASKS)}, WORKERS).tasks) == MAX_TASKS == 10_000
    with pytest.raises(ToolError, match="10001 tasks are too many; the limit is 10000"):
        read_plan({"tasks": tasks(MAX_TASKS + 1)}, WORKERS)


def test_a_plan_with_one_key_twice_is_refused_and_names_it() -> None:
    twice = [*tasks(10_000 - 1), tasks(1)[0]]
    with pytest.raises(ToolError, match="used twice: t0"):
        read_plan({"tasks": twice}, WORKERS)
