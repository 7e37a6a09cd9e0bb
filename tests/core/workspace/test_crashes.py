"""Killed after any change to the disk, a step is finished or undone by the next start, and nothing is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]


@pytest.mark.parametrize("step", ["open", "add", "commit", "reset", "remove", "conflict", "merge", "land", "landmerge"])
def test_a_step_killed_after_any_change_is_repaired_by_the_next_start(tmp_path: Path, step: str) -> None:
    command = [sys.executable, "-m", "tests.support.crashes", step, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": f"{TOP / 'core'}:{TOP}"}

    done = subprocess.run(command, cwd=TOP, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    points = re.search(r"(\d+) crash points", done.stdout)
    assert points is not None
    assert int(points[1]) >= 3
