"""Critical path first: how close to the best possible end it comes when every guess at a length is wrong."""

from __future__ import annotations

import heapq
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from types import FrameType
from typing import Any

import pytest

from swarm_core.policy import Record, decide
from swarm_core.policy.outlook import Outlook
from swarm_core.policy.ranking import AGEING_S, DEFAULT_S, WEIGHTS, durations, ranks, score, seconds_between
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

TASKS = 60
SEEDS = range(34)  # of each shape: 102 plans
TS = "2026-11-21T10:00:00.000Z"


@dataclass(frozen=True)
class Work:
    """A task of a plan: what it needs, how long it takes, how long somebody thought it would."""

    needs: tuple[int, ...]
    length_s: float
    guess_s: float


def plan(shape: str, seed: int) -> list[Work]:
    """Sixty tasks. The lengths are lognormal about nine minutes, the guesses wrong by a factor of e^N(0,1)."""
    chance = random.Random(f"{shape} {seed}")
    layers = sorted(chance.randrange(6) for _ in range(TASKS))
    out = []
    for number in range(TASKS):
        needs: Sequence[int] = ()
        match shape:
            case "chains":  # short ones, and after them in the plan's order a long one
                if number > 48 or (0 < number < 48 and chance.random() < 0.5):
                    needs = (number - 1,)
            case "layered":  # each task needs some of the layer before it
                before = [n for n in range(number) if layers[n] == layers[number] - 1]
                needs = chance.sample(before, min(len(before), chance.randint(1, 3)))
            case "random":
                needs = chance.sample(range(number), min(number, chance.choice((0, 1, 1, 2))))
        length_s = chance.lognormvariate(6.3, 0.8)
        out.append(Work(tuple(needs), length_s, length_s * chance.lognormvariate(0.0, 1.0)))
    return out


def lower_bound_s(works: Sequence[Work], slots: int) -> float:
    """No schedule ends sooner than its longest chain, nor than all work shared out evenly."""
    ends: list[float] = []
    for work in works:
        ends.append(work.length_s + max((ends[before] for before in work.needs), default=0.0))
    return max(max(ends), sum(work.length_s for work in works) / slots)


class Shop:
    """Plays a plan through ``decide``: agents take what they are given and are done when the length has passed."""

    def __init__(self, works: Sequence[Work], slots: int) -> None:
        self.works = works
        self.spec = SwarmSpec({"api": ServiceSpec("api", directories=("api",), replicas=slots)}, max_parallel=slots)
        self.view, self.seq = RunView(), 0
        self.happens("run.created")
        self.happens("run.started", base="b0")
        self.happens("task.created", "task_000")  # the plan itself is none of the work
        self.happens("task.cancelled", "task_000")
        for number, work in enumerate(works):
            needs = [name(before) for before in work.needs]
            data = {"assigned_to": "api", "dependencies": needs, "order": number, "estimate_s": work.guess_s}
            self.happens("task.created", name(number), None, **data)
        for number in range(slots):
            self.happens("agent.starting", agent=f"api-{number}", service="api")
            self.happens("agent.ready", agent=f"api-{number}")

    def happens(self, kind: str, task: str | None = None, agent: str | None = None, **data: Any) -> None:
        self.seq += 1
        self.view.apply(Event(self.seq, TS, "r1", kind, data, task=task, agent=agent))

    def makespan_s(self, ranked: Mapping[str, float]) -> float:
        """Seconds to the end of the last task; agents never idle while something is ready."""
        now_s, running, ready_at = 0.0, list[tuple[float, str]](), dict[str, float]()
        while True:
            waited_s = {task: now_s - at for task, at in ready_at.items()}
            drafts = self._decided(Outlook(ranks=ranked, waited_s=waited_s))
            for draft in drafts:
                assert draft.task is not None
                self.happens(draft.kind, draft.task, draft.agent, **draft.data)
                if draft.kind == "task.ready":
                    ready_at[draft.task] = now_s
                else:
                    del ready_at[draft.task]
                    heapq.heappush(running, (now_s + self.works[int(draft.task[1:])].length_s, draft.task))
            if drafts:
                continue
            if not running:
                assert self.view.index.done == len(self.works)
                return now_s
            now_s, task = heapq.heappop(running)
            self.happens("task.submitted", task, self.view.tasks[task].instance)
            self.happens("task.done", task)

    def _decided(self, outlook: Outlook) -> list[Draft]:
        effects = [effect for effect in decide(self.view, self.spec, outlook) if isinstance(effect, Record)]
        drafts = [draft for effect in effects for draft in effect.drafts]
        return [draft for draft in drafts if draft.kind in ("task.ready", "task.claimed")]


def name(number: int) -> str:
    return f"t{number:03d}"


def ratios(shape: str, slots: int, seeds: range, *, by_critical_path: bool) -> list[float]:
    out = []
    for seed in seeds:
        works = plan(shape, seed)
        shop = Shop(works, slots)
        makespan_s = shop.makespan_s(ranks(shop.view) if by_critical_path else {})
        out.append(makespan_s / lower_bound_s(works, slots))
    return out


@pytest.mark.parametrize("slots", [4, 8])
def test_wrong_guesses_cost_a_few_hundredths_of_the_best_possible_end(slots: int) -> None:
    every = []
    for shape in ("chains", "layered", "random"):
        ours = ratios(shape, slots, SEEDS, by_critical_path=True)
        fifo = ratios(shape, slots, SEEDS[:8], by_critical_path=False)
        row = f"{shape:8} {slots} slots: critical path {mean(ours):.3f}, at worst {max(ours):.3f}"
        sys.stdout.write(f"\n{row}; as they come {mean(fifo):.3f}")
        assert min(ours) >= 0.999999
        assert mean(ours[:8]) < mean(fifo)
        assert mean(ours) <= 1.06
        every += ours

    assert len(every) >= 100
    assert mean(every) <= 1.05


def test_a_freed_place_goes_to_the_task_that_just_became_possible_if_that_is_more_urgent() -> None:
    """Both are known in one look: what is ready already must not be claimed before the other is ready."""
    works = [Work((), 10, 10), Work((0,), 100, 100), Work((), 10, 10), Work((), 10, 10), Work((), 10, 10)]
    shop = Shop(works, 1)

    assert [task.id for task in started(shop, ranks(shop.view))][:2] == ["t000", "t001"]


def test_a_task_of_low_priority_gets_its_turn_under_a_stream_of_urgent_ones() -> None:
    length_s = 300.0
    shop = Shop([], 1)
    shop.happens("task.created", "low", None, assigned_to="api", priority="low", order=0)
    waited_s, count = {"low": 0.0}, 0
    while shop.view.tasks["low"].status != "running":
        count += 1
        assert count < 100, "it starves"
        urgent = f"urgent_{count}"
        shop.happens("task.created", urgent, None, assigned_to="api", priority="high", order=count)
        while not shop.view.index.in_status("running"):
            for draft in shop._decided(Outlook(ranks=ranks(shop.view), waited_s=waited_s)):
                shop.happens(draft.kind, draft.task, draft.agent, **draft.data)
        (task,) = shop.view.index.in_status("running")
        if task != "low":
            shop.happens("task.submitted", task, shop.view.tasks[task].instance)
            shop.happens("task.done", task)
            waited_s["low"] += length_s

    assert 3 * AGEING_S / length_s < count < 4 * AGEING_S / length_s, "four times the weight: three doublings' wait"


def started(shop: Shop, ranked: Mapping[str, float]) -> list[Task]:
    """The tasks in the order in which they were begun."""
    order = []
    happens = shop.happens

    def noted(kind: str, task: str | None = None, agent: str | None = None, **data: Any) -> None:
        happens(kind, task, agent, **data)
        if kind == "task.claimed" and task is not None:
            order.append(shop.view.tasks[task])

    shop.happens = noted  # type: ignore[method-assign]
    shop.makespan_s(ranked)
    return order


# -- the ranks themselves


def test_a_rank_is_the_longest_way_to_the_end() -> None:
    works = [Work((), 1, 10), Work((0,), 1, 20), Work((0,), 1, 5), Work((1, 2), 1, 7), Work((), 1, 3)]

    assert ranks(Shop(works, 1).view) == {"t000": 37, "t001": 27, "t002": 12, "t003": 7, "t004": 3}


def test_what_has_ended_is_not_ranked_and_a_cycle_or_an_unknown_dependency_does_no_harm() -> None:
    shop = Shop([Work((), 1, 10), Work((0, 99), 1, 20), Work((3,), 1, 1), Work((2,), 1, 1)], 1)
    shop.happens("task.cancelled", "t000")

    assert ranks(shop.view) == {"t001": 20}


def test_without_guesses_the_usual_length_of_the_service_counts() -> None:
    shop = Shop([Work((), 1, 0.0), Work((0,), 1, 0.0)], 1)
    assert ranks(shop.view) == {"t000": 2 * DEFAULT_S, "t001": DEFAULT_S}
    for number, ts in ((7, "10:00:00.000Z"), (8, "10:01:40.000Z"), (9, "10:05:00.000Z")):
        task = Task(f"t{number}", "", status="done", assigned_to="api", started_at=TS, ended_at=f"2026-11-21T{ts}")
        shop.view.tasks[task.id] = task

    assert durations(shop.view) == {"api": 100.0}
    assert ranks(shop.view) == {"t000": 200.0, "t001": 100.0}


def test_a_clock_that_was_set_back_makes_no_negative_length() -> None:
    assert seconds_between("2026-11-21T10:00:00.000Z", "2026-11-21T09:00:00.000Z") == 0.0


def test_the_same_rank_is_ordered_by_priority_then_by_the_plan_then_by_name() -> None:
    tasks = [Task("b", "", priority=p, order=1) for p in WEIGHTS] + [Task("a", "", priority="low", order=1)]
    tasks += [Task("c", "", priority="low", order=0), Task("d", "", priority="nobody knows", order=2)]
    order = sorted(tasks, key=lambda task: score(task, 60.0, 0.0))

    assert [(t.priority, t.id) for t in order[:3]] == [("critical", "b"), ("high", "b"), ("medium", "b")]
    assert [t.id for t in order[3:]] == ["c", "a", "b", "d"]


def steps_of_ranks(count: int) -> int:
    """How many lines of the ranking run for a plan in which each task needs two earlier ones."""
    chance = random.Random(count)
    view = RunView()
    for number in range(count):
        needs = [name(n) for n in chance.sample(range(number), min(number, 2))]
        data = {"assigned_to": "api", "dependencies": needs}
        view.apply(Event(number + 1, TS, "r1", "task.created", data, task=name(number)))
    steps = 0

    def trace(frame: FrameType, what: str, argument: object) -> Any:
        nonlocal steps
        steps += frame.f_code.co_filename == ranks.__code__.co_filename
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert len(ranks(view)) == count
    finally:
        sys.settrace(before)
    return steps


def test_ranks_cost_as_much_as_there_are_tasks_and_dependencies() -> None:
    assert steps_of_ranks(5_000) <= 10.5 * steps_of_ranks(500)
