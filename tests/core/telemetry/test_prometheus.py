"""The text format: each line is one that a scraper understands, whatever is in a label."""

from __future__ import annotations

import re

from tests.support.tales import RUN, Tale, a_run

from swarm_core.telemetry.metrics import Metrics
from swarm_core.telemetry.prometheus import exposition

LABEL = r'[a-z]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"([a-z_]+)\{{({LABEL}(?:,{LABEL})*)\}} (-?[0-9.]+(?:e[+-]?[0-9]+)?)")


def samples(text: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    typed = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
            continue
        if line.startswith("# HELP "):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        assert re.sub("_(sum|count)$", "", name) in typed
        assert (name, labels) not in found
        found[name, labels] = float(value)
    return found


def test_every_line_is_a_sample_with_a_declared_type() -> None:
    found = samples(exposition(Metrics.of(a_run().events).document()))

    assert found["swarm_wall_seconds", f'run="{RUN}"'] == 70
    assert found["swarm_wait_seconds_sum", f'run="{RUN}",wait="rate_limit"'] == 5
    assert found["swarm_errors_total", f'run="{RUN}",kind="task.failed",reason="stalled"'] == 1
    assert found["swarm_cost_usd_total", f'run="{RUN}",service="backend"'] == 0.25
    assert found["swarm_tasks_total", f'run="{RUN}",event="retries"'] == 2


def test_labels_from_outside_are_escaped() -> None:
    tale = Tale()("run.created")
    tale("policy.denied", None, "a-1", tool="Bash", rule='a"b\\c\nd\x1b[2J\r\u2028')
    text = exposition(Metrics.of(tale.events).document())

    assert r'reason="a\"b\\c\nd' in text
    assert samples(text)
    assert all(char.isprintable() or char == "\n" for char in text)
