"""An agent killed at any write of its work goes on: no finished call is made again, and none is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm_core.agents.calls import INTERRUPTED

CALLS = 1 + 1 + 2 + 3 + 3 + 1
TURNS = 7


@pytest.fixture(scope="module", params=["", "second life"])
def lives(request: Any, tmp_path_factory: Any) -> list[dict[str, Any]]:
    """What became of an agent that was killed once at every write, and in the second case once more on its way back."""
    top = tmp_path_factory.mktemp("lives")
    command = [sys.executable, "-m", "tests.support.killed_loop", str(top), *([request.param] if request.param else [])]
    here = Path(__file__).parents[2]
    path = os.pathsep.join([str(here / "core"), str(here)])
    run = subprocess.run(command, cwd=here, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_every_write_was_a_place_to_die(lives: list[dict[str, Any]]) -> None:
    assert len(lives) > 3 * (CALLS + 2 * TURNS)
    assert all(life["ended"] for life in lives)
    assert any(life["before"] for life in lives)


def test_no_finished_call_is_made_again_and_its_result_stays(lives: list[dict[str, Any]]) -> None:
    for life in lives:
        for name in ("one", "two", "three"):
            assert life["effects"].count(name) <= 1, life["at"]
        for id, text in life["before"].items():
            assert life["results"][id] == text, life["at"]


def test_every_call_has_one_result_and_only_an_interrupted_one_may_have_had_no_effect(
    lives: list[dict[str, Any]],
) -> None:
    for life in lives:
        assert len(life["results"]) == CALLS, life["at"]
        texts = list(life["results"].values())
        for name in ("one", "two", "three"):
            if f"ran {name}" in texts:
                assert life["effects"].count(name) == 1, life["at"]
        told = sum(text == INTERRUPTED for text in texts)
        assert sum(f"ran {name}" in texts for name in ("one", "two", "three")) >= 3 - told
    assert any(INTERRUPTED in life["results"].values() for life in lives), "the sweep hits a command"


def test_an_edit_takes_effect_exactly_once_wherever_it_was_interrupted(lives: list[dict[str, Any]]) -> None:
    for life in lives:
        assert life["list"] == "item\n" * 3 + "end\n", life["at"]


def test_every_turn_is_paid_for_and_none_is_asked_for_more_often_than_it_was_lost(lives: list[dict[str, Any]]) -> None:
    for life in lives:
        assert TURNS <= life["calls"] <= TURNS + 2, life["at"]
