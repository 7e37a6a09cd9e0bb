"""The measures in the text format that Prometheus reads (exposition format 0.0.4), from the metrics' document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def exposition(document: Mapping[str, Any]) -> str:
    """All families, each with help, type and samples; every sample carries the run."""
    run = {"run": str(document["run"])}
    out: list[str] = []
    for name, kind, help_text, samples in _families(document):
        out += [f"# HELP {name} {_escape_help(help_text)}", f"# TYPE {name} {kind}"]
        out += [_sample(f"{name}{suffix}", {**run, **labels}, value) for suffix, labels, value in samples]
    return "\n".join(out) + "\n"


def _families(d: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    usage, tasks, gates, merges = d["usage"], d["tasks"], d["gates"], d["merges"]
    yield "swarm_run_info", "gauge", "The run and its status.", [("", {"status": d["status"]}, 1)]
    yield _gauge("swarm_wall_seconds", "Time since the run began.", d["wall_s"])
    yield _gauge("swarm_down_seconds", "Time of it in which no engine was there.", d["down_s"])
    yield _gauge("swarm_held_seconds", "Time in which the run was paused or halted.", d["held_s"])
    yield _gauge("swarm_active_seconds", "Time in which at least one agent was busy.", d["active_s"])
    yield _gauge("swarm_busy_seconds", "Time of all agents together.", d["busy_s"])
    yield _gauge("swarm_parallelism", "Busy time by active time.", d["parallelism"])
    yield _gauge("swarm_critical_path_seconds", "Length of the critical path.", d["critical_path"]["length_s"])
    yield _gauge("swarm_critical_path_wait_seconds", "Waiting on the critical path.", d["critical_path"]["wait_s"])
    yield _counter("swarm_engine_crashes_total", "Engines that died at work.", d["crashes"])
    yield _counter("swarm_engine_starts_total", "Engines that worked on the run.", d["engine_starts"])
    states = ("created", "done", "cancelled", "claims", "retries", "reopened", "released")
    yield "swarm_tasks_total", "counter", "What happened to tasks.", [("", {"event": s}, tasks[s]) for s in states]
    lengths = {key: {"service": key} for key in tasks["duration_by_service"]}
    yield (
        "swarm_task_duration_seconds",
        "summary",
        "First claim to end of a task.",
        [s for key, labels in lengths.items() for s in _summary(tasks["duration_by_service"][key], labels)],
    )
    waits = [sample for name, each in d["waits"].items() for sample in _summary(each, {"wait": name})]
    yield "swarm_wait_seconds", "summary", "Waiting, by what is waited for.", waits
    latency = [sample for name, each in d["latency"].items() for sample in _summary(each, {"call": name})]
    yield "swarm_call_seconds", "summary", "Model and tool calls.", latency
    services = usage["by_service"]
    tokens: list[Sample] = [
        ("", {"service": key, "type": t[:-7]}, row[t]) for key, row in services.items() for t in TOKENS
    ]
    yield "swarm_tokens_total", "counter", "Tokens that passed a model.", tokens
    cost: list[Sample] = [("", {"service": key}, row["cost_usd"]) for key, row in services.items()]
    yield "swarm_cost_usd_total", "counter", "Cost of model calls in US dollars.", cost
    errors: list[Sample] = [
        ("", {"kind": k, "reason": r}, n) for k, reasons in d["errors"].items() for r, n in reasons.items()
    ]
    yield "swarm_errors_total", "counter", "Errors by kind and reason.", errors
    verdicts = ("opened", "approved", "rejected", "invalidated", "decisions_refused")
    yield "swarm_gates_total", "counter", "What happened to gates.", [("", {"event": v}, gates[v]) for v in verdicts]
    yield "swarm_merges_total", "counter", "Merges by outcome.", [("", {"outcome": k}, n) for k, n in merges.items()]


def _gauge(name: str, text: str, value: float) -> tuple[str, str, str, list[Sample]]:
    return name, "gauge", text, [("", {}, value)]


def _counter(name: str, text: str, value: float) -> tuple[str, str, str, list[Sample]]:
    return name, "counter", text, [("", {}, value)]


def _summary(lengths: Mapping[str, Any], labels: Labels) -> list[Sample]:
    return [
        ("", {**labels, "quantile": "0.5"}, lengths["p50_s"]),
        ("", {**labels, "quantile": "0.95"}, lengths["p95_s"]),
        ("_sum", labels, lengths["sum_s"]),
        ("_count", labels, lengths["count"]),
    ]


def _sample(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{shown}}} {value:.10g}"


def _escape(text: str) -> str:
    """A label's value: backslash, quote and line feed are escaped; other line ends and controls are made visible."""
    plain = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return "".join(char if char.isprintable() else "\ufffd" for char in plain)


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
