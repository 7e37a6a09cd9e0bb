"""Killed after any change to the disk, a step is finished or undone by the next start, and nothing is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
STEPS = ("land", "reset", "commit", "conflict", "open", "landmerge", "add", "remove", "merge")  # the longest first

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Done]]:
    """A step's sweep over its crash points. The next one runs meanwhile, unless several workers share the steps."""

    def run(step: str, place: Path) -> Done:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        own = {"HOME": str(place), "XDG_STATE_HOME": str(place / "state"), "PYTHONPATH": f"{TOP / 'core'}:{TOP}"}
        command = [sys.executable, "-m", "tests.support.crashes", step, str(place)]
        return subprocess.run(command, cwd=TOP, env={**kept, **own}, capture_output=True, text=True, check=False)

    started: dict[str, Future[Done]] = {}
    with ThreadPoolExecutor(2) as pool:

        def result(step: str) -> Done:
            for wanted in (step,) if "PYTEST_XDIST_WORKER" in os.environ else STEPS[STEPS.index(step) :][:2]:
                if wanted not in started:
                    started[wanted] = pool.submit(run, wanted, tmp_path_factory.mktemp(wanted))
            return started[step].result()

        yield result


@pytest.mark.parametrize("step", STEPS)
def test_a_step_killed_after_any_change_is_repaired_by_the_next_start(sweep: Callable[[str], Done], step: str) -> None:
    done = sweep(step)

    assert done.returncode == 0, done.stdout + done.stderr
    points = re.search(r"(\d+) crash points", done.stdout)
    assert points is not None
    assert int(points[1]) >= 3
