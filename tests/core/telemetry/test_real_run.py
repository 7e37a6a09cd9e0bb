"""Spans, measures and logs of a real run: the demonstration, played once."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support.cli import swarm

from swarm_core.client import SwarmClient
from swarm_core.telemetry.logs import LEVELS, Wanted, log_files, merged
from swarm_core.telemetry.metrics import Metrics
from swarm_core.telemetry.prometheus import exposition
from swarm_core.telemetry.trace import Trace
from swarm_core.vocabulary.events import Event

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home, directory = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("real") / "demo"
    state = str(home / "state")
    done = swarm("demo", "--speed", "0", "--dir", str(directory), cwd=home, HOME=str(home), XDG_STATE_HOME=state)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return directory


@pytest.fixture
def client(played: Path) -> SwarmClient:
    return SwarmClient(played)


@pytest.fixture
def events(client: SwarmClient) -> list[Event]:
    run = client.latest()
    assert run is not None
    reader, found = client.reader(run), list[Event]()
    while more := reader.poll():
        found += more
    reader.close()
    return found


def test_every_call_tool_and_claim_has_its_span_in_the_right_place(events: list[Event]) -> None:
    trace = Trace.of(events)
    root, *others = trace.spans.values()
    kinds = [span.kind for span in others]

    assert root.status == "ok"
    assert all(span.end_ms is not None and span.parent in trace.spans for span in others)
    assert kinds.count("chat") == sum(e.kind == "llm.call" for e in events)
    assert kinds.count("tool") == sum(e.kind in ("tool.used", "policy.denied") for e in events)
    assert kinds.count("attempt") == sum(e.kind == "task.claimed" for e in events)
    assert kinds.count("gate") == sum(e.kind == "gate.opened" for e in events)
    assert {trace.spans[s.parent].kind for s in others if s.kind in ("chat", "tool")} == {"attempt"}


def test_the_critical_path_covers_the_run_from_its_beginning_to_its_end(events: list[Event]) -> None:
    trace = Trace.of(events)
    path = trace.critical_path()
    root = next(iter(trace.spans.values()))

    assert (path[0].task, path[-1].task) == ("task_000", "landing")
    assert path[0].start_ms == root.start_ms
    assert path[-1].end_ms == root.end_ms
    for one, next_ in pairwise(path):
        assert one.end_ms == next_.start_ms
    assert all(sum(link.spent_s.values()) == pytest.approx(link.total_s) for link in path)


def test_measures_agree_with_the_fold_the_room_shows(client: SwarmClient, events: list[Event]) -> None:
    d, view = Metrics.of(events).document(), client.view(events[0].run)

    assert d["usage"]["run"]["tokens"] == view.usage.tokens
    assert d["usage"]["run"]["cost_usd"] == pytest.approx(view.usage.cost_usd)
    for task, row in d["usage"]["by_task"].items():
        assert row["tokens"] == view.tasks[task].usage.tokens
    assert d["tasks"]["done"] == len(view.tasks)
    assert sum(d["errors"]["policy.denied"].values()) == view.denials
    assert d["gates"]["opened"] == len(view.gates)
    assert d["crashes"] == 0
    assert 1 <= d["parallelism"] <= 4
    assert "swarm_tokens_total" in exposition(d)


def test_every_log_line_parses_and_its_span_is_one_of_the_trace(client: SwarmClient, events: list[Event]) -> None:
    spans = Trace.of(events).spans
    records = list(merged(log_files(client.layout, events[0].run), Wanted(run=events[0].run)))
    for path in client.layout.run(events[0].run).logs.glob("*.log"):
        for line in path.read_text().splitlines():
            body = json.loads(line)
            assert body.keys() == {"ts", "level", "run", "task", "span", "instance", "kind", "text"}
            assert body["level"] in LEVELS

    assert len({record.instance for record in records}) >= 5
    assert [record.ts for record in records] == sorted(record.ts for record in records)
    for record in records:
        if record.span:
            span = spans[record.span]
            assert (span.kind, span.task, span.attributes["agent"]) == ("attempt", record.task, record.instance)


def test_the_commands_work_on_it(played: Path) -> None:
    for command in (["trace"], ["trace", "--json"], ["metrics"], ["metrics", "--prometheus"], ["logs"]):
        done = swarm(*command, cwd=played)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert len(done.stdout.splitlines()) > 20
