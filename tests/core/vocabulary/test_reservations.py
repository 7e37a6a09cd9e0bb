"""Reservations: no two tasks under way hold the same path, and nothing waits for a path that nobody holds."""

from __future__ import annotations

import random

import pytest

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.reservations import HOLDING, Reservations, overlap
from swarm_core.vocabulary.view import RunView

SAME = [
    ("src/api.py", "src/api.py"),
    ("src", "src/api.py"),
    ("src/", "src/api.py"),
    ("./src/api.py", "src//api.py"),
    ("/src", "src/api.py"),
    ("src/*/api.py", "src/users/page.html"),
    ("src/**", "src/a/b/c"),
    ("src/*.py", "src/deep/one.html"),
    ("src/[ab].py", "src/a.py"),
    ("*.md", "docs/index.md"),
    ("", "anything"),
    (".", "anything"),
]
APART = [
    ("src/api.py", "src/api.pyc"),
    ("src", "source"),
    ("src/a/*", "src/b/*"),
    ("api", "web/api"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_paths_that_can_be_the_same_file_overlap_whichever_is_asked_first(one: str, other: str) -> None:
    assert overlap(one, other)
    assert overlap(other, one)


@pytest.mark.parametrize(("one", "other"), APART)
def test_paths_apart_do_not_overlap(one: str, other: str) -> None:
    assert not overlap(one, other)
    assert not overlap(other, one)


def view_of(*tasks: Task) -> RunView:
    view = RunView()
    for task in tasks:
        view.index.task(None, task)
        view.tasks[task.id] = task
    return view


@pytest.mark.parametrize("status", sorted(TASK.states))
def test_a_path_is_held_from_the_claim_until_the_change_is_merged_or_given_up(status: str) -> None:
    holder = Task("task_001", "one", status=status, writes=("src/api",))
    seeker = Task("task_002", "two", status="ready", writes=("docs", "src/api/users.py"))
    found = Reservations(view_of(holder, seeker)).holder(seeker)

    is_under_way = status in ("running", "verifying", "merging", "blocked", "failed")
    assert (status in HOLDING) == is_under_way
    assert found == (("src/api", "task_001") if is_under_way else None)


def test_a_task_never_waits_for_itself_and_one_that_declared_nothing_waits_for_nobody() -> None:
    mine = Task("task_001", "one", status="running", writes=("src",))
    free = Task("task_002", "two", status="ready")

    assert Reservations(view_of(mine, free)).holder(mine) is None
    assert Reservations(view_of(mine, free)).holder(free) is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_taken_in_one_look_holds_no_path_twice(seed: int) -> None:
    chance = random.Random(seed)
    names = ("a", "b", "c", "*")
    tasks = []
    for number in range(40):
        count = chance.randint(0, 2)
        writes = tuple("/".join(chance.choices(names, k=chance.randint(1, 3))) for _ in range(count))
        tasks.append(Task(f"t{number}", "", status=chance.choice(("ready", "ready", "running")), writes=writes))
    reserved = Reservations(view_of(*tasks))
    taken, refused = [task for task in tasks if task.status == "running"], []
    for task in tasks:
        if task.status == "ready":
            if reserved.holder(task) is None:
                reserved.take(task)
                taken.append(task)
            else:
                refused.append(task)

    begun = [task for task in taken if task.status == "ready"]
    for task in begun:
        others = [path for other in taken if other is not task for path in other.writes]
        assert not any(overlap(mine, theirs) for mine in task.writes for theirs in others)
    for task in refused:
        assert any(overlap(mine, theirs) for mine in task.writes for other in taken for theirs in other.writes)
