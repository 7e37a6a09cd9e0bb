"""What a command prints becomes a value only where its check is named after a metric and it printed one."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_core.checks.run import CheckRun
from swarm_core.engine.figures import measured
from swarm_core.vocabulary.spec import CheckSpec

REPORT = """\
Name             Stmts   Miss  Cover
------------------------------------
backend/app.py      10      3    70%
backend/done.py     10      0   100%
backend/worse.py    10      9    10%
------------------------------------
TOTAL               30     12    60%
"""


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("coverage", REPORT, {"value": 60.0, "unit": "%", "files": ["backend/worse.py", "backend/app.py"]}),
        ("coverage", "line coverage: 79.9%\n", {"value": 79.9, "unit": "%", "files": []}),
        ("coverage", "no data was collected\n", {}),
        ("response-time", "p50 12 ms\np95 240.5 ms\n", {"value": 240.5, "unit": "ms"}),
        ("memory", "peak 512 MB\n", {"value": 512.0, "unit": "mb"}),
        ("tests", "3 passed in 200 ms, 80%\n", {}),
    ],
)
def test_the_last_figure_of_a_named_metric_is_its_value(name: str, output: str, expected: dict[str, Any]) -> None:
    assert measured(CheckSpec(name, "x"), CheckRun(name, "x", 0, 0.1, output)) == expected
