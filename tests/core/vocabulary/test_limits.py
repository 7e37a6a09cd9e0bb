"""What keeps models from being asked: how it gets into the state and out of it, and how it reads."""

from __future__ import annotations

from typing import Any

from swarm_core.vocabulary.entities import Limit
from swarm_core.vocabulary.events import KINDS, Event
from swarm_core.vocabulary.freeze import freeze, thaw
from swarm_core.vocabulary.view import RunView
from swarm_core.vocabulary.waits import limits

NOW, UNTIL, LATER = "2026-11-21T10:00:00.000Z", "2026-11-21T10:00:30.000Z", "2026-11-21T10:00:31.000Z"


def told(*events: tuple[str, dict[str, Any]]) -> RunView:
    assert all(kind in KINDS for kind, _ in events)
    made = (Event(seq, NOW, "r", kind, data) for seq, (kind, data) in enumerate(events, 1))
    return RunView.of(made)


LIMIT = ("limit.reached", {"gate": "p/m", "until": UNTIL, "wait_s": 30.0, "reason": "slow down"})
OPEN = ("breaker.opened", {"gate": "p", "until": UNTIL, "wait_s": 30.0, "failures": 4, "reason": "529"})


def test_a_limit_is_told_until_it_has_passed() -> None:
    view = told(LIMIT)
    assert view.limits == {"p/m": Limit("p/m", "limit", UNTIL, "slow down")}
    assert limits(view, NOW) == ["p/m is limited until 10:00:30"]
    assert limits(view, LATER) == []


def test_a_limit_of_another_day_names_the_day() -> None:
    view = told(("limit.reached", {"gate": "p/m", "until": "2026-11-22T09:00:00.000Z"}))
    assert limits(view, NOW) == ["p/m is limited until 2026-11-22 09:00"]


def test_a_breaker_is_told_until_it_closes() -> None:
    assert limits(told(OPEN), NOW) == ["p is in trouble, nobody asks it until 10:00:30"]
    assert limits(told(OPEN), LATER) == ["p is in trouble, one call finds out"]
    assert told(OPEN, ("breaker.closed", {"gate": "p"})).limits == {}


def test_a_new_engine_remembers_limits_and_makes_up_its_own_mind_about_servers() -> None:
    view = told(LIMIT, OPEN, ("engine.started", {"pid": 7}))
    assert list(view.limits) == ["p/m"]


def test_limits_survive_a_snapshot_and_come_even_after_the_end() -> None:
    view = told(LIMIT, OPEN)
    assert thaw(freeze(view)).limits == view.limits
    over = told(("run.created", {}), ("run.aborted", {"reason": "r"}), LIMIT)
    assert over.limits
