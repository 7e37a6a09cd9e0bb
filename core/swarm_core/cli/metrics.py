"""``swarm-tui metrics``: how long, how much, how often, and what went wrong."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line

from .common import Parsers, add_run_argument, chosen_run, here

READ_BYTES = 1 << 22


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("metrics", help="measure a run: times, waits, tokens, cost, errors")
    add_run_argument(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    form.add_argument("--prometheus", action="store_true", help="in Prometheus' text format")


def run(options: argparse.Namespace) -> int:
    client = here()
    document = measure(client, chosen_run(client, getattr(options, "run", None)))
    if options.as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    elif options.prometheus:
        from swarm_core.telemetry.prometheus import exposition

        print(exposition(document), end="")
    else:
        for line in lines(document):
            print(clean_line(line))
    return 0


def measure(client: SwarmClient, run: str) -> dict[str, Any]:
    """The measures of a run's whole journal. Raises JournalError."""
    from swarm_core.telemetry.metrics import Metrics

    metrics, reader = Metrics(), client.reader(run)
    while events := reader.poll(READ_BYTES):
        for event in events:
            metrics.apply(event)
    reader.close()
    return metrics.document()


def lines(d: Mapping[str, Any]) -> Iterator[str]:
    path, tasks, gates, merges, usage = d["critical_path"], d["tasks"], d["gates"], d["merges"], d["usage"]
    yield f"{d['run']}  {d['status']}  event {d['seq']}"
    yield f"  wall {_s(d['wall_s'])}   critical path {_s(path['length_s'])} (waiting {_s(path['wait_s'])})"
    yield f"  parallelism {d['parallelism']:.2f}   agents busy {_s(d['busy_s'])} in {_s(d['active_s'])}"
    yield f"  engine starts {d['engine_starts']}   crashes {d['crashes']}"
    yield f"  down {_s(d['down_s'])}   held {_s(d['held_s'])}"
    shown = ("created", "done", "cancelled", "claims", "retries", "reopened", "released")
    yield "  tasks  " + "   ".join(f"{name} {tasks[name]}" for name in shown)
    yield "  gates  " + "   ".join(f"{name.replace('_', ' ')} {count}" for name, count in gates.items())
    yield "  merges " + "   ".join(f"{name} {count}" for name, count in merges.items())
    yield "  " + "   ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in d["throughput"].items())
    yield from _lengths(d)
    yield from _usage(usage)
    yield from _errors(d)


def _lengths(d: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{'SECONDS':<26} {'COUNT':>7} {'P50':>10} {'P95':>10} {'MAX':>10} {'SUM':>12}"
    tasks = d["tasks"]
    rows = {"task": tasks["duration"]}
    rows |= {f"  {service}": each for service, each in tasks["duration_by_service"].items()}
    rows |= {"attempt": tasks["attempt"]}
    rows |= {f"waiting: {name.replace('_', ' ')}": each for name, each in d["waits"].items()}
    rows |= {f"engine: {name}": each for name, each in d["engine"].items()}
    rows |= {f"call: {name}": each for name, each in d["latency"].items()}
    for name, each in rows.items():
        if each["count"]:
            times = f"{each['p50_s']:>10.3f} {each['p95_s']:>10.3f} {each['max_s']:>10.3f} {each['sum_s']:>12.3f}"
            yield f"{clean_line(name, 26):<26} {each['count']:>7} {times}"


def _usage(usage: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{'USAGE':<26} {'CALLS':>7} {'INPUT':>10} {'OUTPUT':>10} {'CACHED':>10} {'HIT':>6} {'USD':>12}"
    rows = {"run": usage["run"]}
    for group in ("phase", "feature", "service", "task"):
        rows |= {f"  {group} {key}": row for key, row in usage[f"by_{group}"].items()}
    for name, row in rows.items():
        cached = row["cache_read_tokens"] + row["cache_write_tokens"]
        tokens = f"{row['input_tokens']:>10} {row['output_tokens']:>10} {cached:>10} {_rate(row):>6}"
        yield f"{clean_line(name, 26):<26} {row['calls']:>7} {tokens} {row['cost_usd']:>12.6f}"


def _rate(row: Mapping[str, Any]) -> str:
    """How much of the prompts was read from the provider's cache."""
    return "-" if row["cache_hit_rate"] is None else f"{row['cache_hit_rate']:.0%}"


def _errors(d: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    rates = "   ".join(f"{name} {rate:.1%}" for name, rate in d["error_rates"].items())
    yield f"ERRORS  {rates}"
    for kind, reasons in d["errors"].items():
        for reason, count in reasons.items():
            yield f"  {kind:<16} {count:>5}  {reason}"


def _s(seconds: float) -> str:
    return f"{seconds:.3f} s"
