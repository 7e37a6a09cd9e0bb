"""OTLP JSON lines: what others may know of a run, and nothing else; complete after any number of interruptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.journals import extend_journal, write_journal
from tests.support.tales import RUN, Tale, a_run

from swarm_core.journal.tail import JournalReader
from swarm_core.telemetry import semconv
from swarm_core.telemetry.otlp import SPANS_PER_LINE, LiveTraces, write_file
from swarm_core.telemetry.trace import Trace
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.ids import span_id, trace_id


def spans(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text().splitlines():
        for group in json.loads(line)["resourceSpans"]:
            assert {"key": "service.name", "value": {"stringValue": "swarm-tui"}} in group["resource"]["attributes"]
            found += [span for scope in group["scopeSpans"] for span in scope["spans"]]
    return found


def about(span: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in span["attributes"]}


def test_each_span_has_the_ids_times_and_names_of_the_format(tmp_path: Path) -> None:
    trace = Trace.of(a_run().events)
    assert write_file(tmp_path / "t.jsonl", trace, trace.now_ms) == len(trace.spans)
    by_id = {span["spanId"]: span for span in spans(tmp_path / "t.jsonl")}
    root = by_id[span_id(RUN)]

    assert {span["traceId"] for span in by_id.values()} == {trace_id(RUN)}
    assert "parentSpanId" not in root
    assert root["startTimeUnixNano"] == "1795255200000000000"
    assert root["endTimeUnixNano"] == "1795255270000000000"
    assert all(span["parentSpanId"] in by_id for span in by_id.values() if span is not root)
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]


def test_operations_are_named_as_the_conventions_say(tmp_path: Path) -> None:
    trace = Trace.of(a_run().events)
    write_file(tmp_path / "t.jsonl", trace, trace.now_ms)
    operations = {about(s)[semconv.OPERATION_NAME]: s for s in spans(tmp_path / "t.jsonl") if "gen_ai" in str(s)}
    assert set(operations) == {"invoke_workflow", "invoke_agent", "chat", "execute_tool"}
    chat, agent = about(operations["chat"]), about(operations["invoke_agent"])

    assert operations["chat"]["name"] == "chat m"
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == ("7", "3")
    assert (agent["gen_ai.agent.id"], agent["swarm.task.id"], agent["swarm.attempt"]) == ("backend-1", "task_002", "3")
    assert (chat["gen_ai.provider.name"], chat["swarm.run.id"]) == ("anthropic", RUN)
    failed = [s for s in spans(tmp_path / "t.jsonl") if s["status"] == {"code": 2}]
    assert {about(s)["error.type"] for s in failed} == {"stalled", "reject", "policy.denied", "_OTHER"}


def test_no_prompt_argument_title_or_note_leaves(tmp_path: Path) -> None:
    secret = "SECRET-7f3a"
    tale = Tale()("run.created", title=f"title {secret}", goal=secret)
    tale("task.created", "task_001", title=secret, description=secret, assigned_to="backend")("task.ready", "task_001")
    tale("task.claimed", "task_001", "backend-1", attempt=1)
    tale("llm.retry", "task_001", "backend-1", kind="overload", wait_s=1.0, message=secret)
    tale("llm.call", "task_001", "backend-1", model="m", note=secret, ms=1)
    tale("tool.used", "task_001", "backend-1", name="Bash", target=f"curl {secret}", ok=True, ms=1)
    tale("policy.denied", "task_001", "backend-1", tool="Bash", target=secret, rule="r", message=secret)
    tale("task.submitted", "task_001", "backend-1")("gate.evaluating", "task_001", gate="gate_001", title=secret)
    tale("check.failed", "task_001", name="lint", command=secret, seconds=0.1)
    tale("gate.opened", "task_001", gate="gate_001", summary=secret, on_yes=secret)
    tale("gate.decided", "task_001", gate="gate_001", verdict="reject", note=secret)("run.failed", reason=secret)
    trace = Trace.of(tale.events)
    write_file(tmp_path / "t.jsonl", trace, trace.now_ms)

    assert len(spans(tmp_path / "t.jsonl")) == len(trace.spans) > 8
    assert secret not in (tmp_path / "t.jsonl").read_text()


def test_a_span_that_goes_on_says_so(tmp_path: Path) -> None:
    trace = Trace.of(a_run().events[:9])
    write_file(tmp_path / "t.jsonl", trace, trace.now_ms + 5)
    still = [span for span in spans(tmp_path / "t.jsonl") if about(span).get(semconv.IS_OPEN)]

    assert {span["name"] for span in still} == {"invoke_workflow swarm", "task", "invoke_agent architect-1"}
    assert {int(span["endTimeUnixNano"]) for span in still} == {(trace.now_ms + 5) * 1_000_000}


def test_lines_are_bounded(tmp_path: Path) -> None:
    tale = Tale()("run.created")
    for _ in range(3 * SPANS_PER_LINE):
        tale("tool.used", None, "a-1", name="Read", ok=True, ms=0)
    trace = Trace.of(tale.events)
    write_file(tmp_path / "t.jsonl", trace, trace.now_ms)

    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 4


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SwarmError, match="cannot be written"):
        write_file(tmp_path / "none" / "t.jsonl", Trace.of(a_run().events), 0)


# -- live


def test_spans_are_written_as_they_end(tmp_path: Path) -> None:
    tale, journal, out = a_run(), tmp_path / "events.jsonl", tmp_path / "traces.jsonl"
    write_journal(journal, RUN, tale.drafts[:20], tale.stamps)
    live = LiveTraces(JournalReader(journal), out)
    live.poll()
    early = len(spans(out))
    assert 0 < early < len(Trace.of(tale.events).spans)
    for draft, ts in zip(tale.drafts[20:], tale.stamps[20:], strict=True):
        extend_journal(journal, draft, ts=ts)
    assert not live.is_over
    live.poll()

    assert live.is_over
    assert {span["spanId"] for span in spans(out)} == set(Trace.of(tale.events).spans)


def test_a_killed_writer_goes_on_without_loss_or_double(tmp_path: Path) -> None:
    tale, journal, out = a_run(), tmp_path / "events.jsonl", tmp_path / "traces.jsonl"
    for cut in range(1, len(tale.events)):
        write_journal(journal, RUN, tale.drafts[:cut], tale.stamps)
        LiveTraces(JournalReader(journal), out).poll()
        if cut % 7 == 0 and out.exists():
            out.write_bytes(out.read_bytes() + b'{"resourceSpans":[{"torn')
    write_journal(journal, RUN, tale.drafts, tale.stamps)
    LiveTraces(JournalReader(journal), out).poll()
    found = [span["spanId"] for span in spans(out)]

    assert len(found) == len(set(found))
    assert set(found) == set(Trace.of(tale.events).spans)


def test_a_file_that_is_not_ours_is_written_anew(tmp_path: Path) -> None:
    tale, out = a_run(), tmp_path / "traces.jsonl"
    write_journal(tmp_path / "events.jsonl", RUN, tale.drafts, tale.stamps)
    out.write_text('{"resourceSpans": []}\n')
    LiveTraces(JournalReader(tmp_path / "events.jsonl"), out).poll()

    assert len(spans(out)) == len(Trace.of(tale.events).spans)
