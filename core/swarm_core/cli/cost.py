"""``swarm-tui cost``: what a run cost, by what it was spent on; every table adds up to the same total."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

from .common import Parsers, add_run_argument, chosen_run, here

READ_BYTES = 1 << 22
GROUPS = ("phase", "feature", "service", "model", "task")


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("cost", help="what a run cost: by phase, feature, service, model and task")
    add_run_argument(parser)
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    parser.add_argument("--calls", action="store_true", dest="each_call", help="each call too")


def run(options: argparse.Namespace) -> int:
    client = here()
    document = account(client, chosen_run(client, getattr(options, "run", None)), each_call=options.each_call)
    if options.as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        for line in lines(document):
            print(clean_line(line))
    return 0


def account(client: SwarmClient, run: str, *, each_call: bool = False) -> dict[str, Any]:
    """The account of a run's whole journal. Raises JournalError.

    ``run`` and ``by_phase by_feature by_service by_model by_task`` have counts, ``tokens``, ``cost_usd`` and
    ``cache_hit_rate``; ``unpriced`` are the tokens of models without a known price, which count as 0 US dollars.
    """
    from swarm_core.agents.prices import as_of, is_priced
    from swarm_core.telemetry.spending import Spending

    spending, view, calls, reader = Spending(GROUPS), RunView(), list[dict[str, Any]](), client.reader(run)
    while events := reader.poll(READ_BYTES):
        for event in events:
            view.apply(event)
            if event.kind == "llm.call":
                keys = keys_of(view, event)
                spending.add(event.data, **keys)
                if each_call:
                    calls.append({"seq": event.seq, "agent": event.agent, **keys, **event.data})
    reader.close()
    document = spending.document()
    unpriced = {
        name: row["tokens"]
        for name, row in document["by_model"].items()
        if row["tokens"] and not row["cost_usd"] and not is_priced(name)
    }
    more = {"calls": calls} if each_call else {}
    return {"format": 1, "id": run, "prices_as_of": as_of(), **document, "unpriced": unpriced, **more}


def keys_of(view: RunView, event: Event) -> dict[str, str]:
    """What a call was spent on; the feature is what the loop said it was for (plan, mend, work, rework, reminder)."""
    task, instance = view.tasks.get(event.task or ""), view.instances.get(event.agent or "")
    service = instance.service if instance else task.assigned_to if task else "unknown"
    phase = "plan" if task is not None and task.is_planning else "build"
    feature = str(event.data.get("feature") or ("plan" if phase == "plan" else "work"))
    model = str(event.data.get("model") or "unknown")
    return {"phase": phase, "feature": feature, "service": service, "model": model, "task": event.task or "none"}


def lines(d: Mapping[str, Any]) -> Iterator[str]:
    yield f"{d['id']}  prices of {d['prices_as_of']}"
    yield ""
    yield f"{'':<26} {'CALLS':>7} {'INPUT':>10} {'OUTPUT':>9} {'CACHED':>10} {'WRITTEN':>10} {'HIT':>5} {'USD':>12}"
    yield _line("run", d["run"])
    for group in GROUPS:
        yield f"by {group}"
        rows = sorted(d[f"by_{group}"].items(), key=lambda item: (-item[1]["cost_usd"], item[0]))
        yield from (_line(f"  {name}", row) for name, row in rows)
    for call in d.get("calls", ()):
        cost = float(call.get("cost_usd") or 0.0)
        yield f"  #{call['seq']:<6} {call['task']:<9} {call['agent']:<16} {call['feature']:<10} {cost:>12.6f}"
    for model, tokens in d["unpriced"].items():
        yield f"no price is known for {model}: its {tokens} tokens count as 0 USD"


def _line(name: str, row: Mapping[str, Any]) -> str:
    counts = f"{row['calls']:>7} {row['input_tokens']:>10} {row['output_tokens']:>9}"
    cached = f"{row['cache_read_tokens']:>10} {row['cache_write_tokens']:>10} {row['cache_hit_rate'] or 0.0:>5.0%}"
    return f"{clean_line(name, 26):<26} {counts} {cached} {row['cost_usd']:>12.6f}"
