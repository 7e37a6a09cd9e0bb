"""``swarm-tui status``: the run, its instances and its tasks, for people or as JSON."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from swarm_core.client import EngineStatus
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import CheckResult, Usage
from swarm_core.vocabulary.view import RunView
from swarm_core.vocabulary.waits import limits, waits_for

from .common import Parsers, add_run_option, budget_document, budget_lines, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("status", help="show a run, its instances and tasks")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    view, engine = client.view(run_id), client.engine()
    if options.as_json:
        print(json.dumps(document(view, engine), ensure_ascii=False, indent=2))
    else:
        print("\n".join(clean_line(line) for line in lines(view, engine, client.clock.now())))
    return 0


def document(view: RunView, engine: EngineStatus) -> dict[str, Any]:
    return {
        "run": asdict(view.run),
        "seq": view.last_seq,
        "engine": asdict(engine),
        "usage": _usage(view.usage),
        "budgets": budget_document(view),
        "denials": view.denials,
        "limits": [asdict(limit) for limit in view.limits.values()],
        "held_services": dict(view.held_services),
        "incidents": [asdict(incident) for incident in view.incidents.values()],
        "phases": [asdict(phase) for phase in view.phases.values()],
        "instances": [{**asdict(i), "usage": _usage(i.usage)} for i in view.instances.values()],
        "tasks": [
            {**asdict(task), "usage": _usage(task.usage), "waits_for": waits_for(view, task)}
            for task in view.tasks.values()
        ],
        "findings": [asdict(finding) for finding in view.findings.values()],
        "gates": [asdict(gate) for gate in view.gates.values()],
    }


def _usage(usage: Usage) -> dict[str, Any]:
    rate = usage.cache_hit_rate
    return {**asdict(usage), "cache_hit_rate": None if rate is None else round(rate, 4)}


def lines(view: RunView, engine: EngineStatus, now: str) -> list[str]:
    run, usage = view.run, view.usage
    cached = f"  cache {usage.cache_hit_rate:.0%}" if usage.cache_read_tokens and usage.cache_hit_rate else ""
    alive = f"engine {engine.pid}" if engine.is_alive else "no engine"
    out = [
        f"{run.id}  {run.status}{f' ({run.outcome})' if run.outcome else ''}  {alive}",
        f"  {run.title}",
        f"  {usage.tokens} tokens  ${usage.cost_usd:.4f}{cached}  {len(view.open_gates)} gates waiting"
        f"  {view.denials} denials",
    ]
    if view.budgets:
        out += [f"  budget {line}" for line in budget_lines(view)]
    if run.reason:
        out.append(f"  {run.reason}")
    if view.is_held:
        out.append(f"  held ({run.pause or run.status}): swarm-tui resume goes on")
    out += [f"  {told}" for told in limits(view, now)]
    out += [f"  service {name}: {reason}" for name, reason in view.held_services.items()]
    out += [f"  {name} changed since the run began; the run goes on with its own copy" for name in run.drift]
    out += [
        f"  {i.id} ({i.severity.lower()}, {i.scope}): {i.reason}"
        for i in view.incidents.values()
        if i.status != "closed"
    ]
    out += ["", "INSTANCE        STATE      TASK       TOKENS  WORKTREE"]
    for i in view.instances.values():
        out.append(f"{i.id:<15} {i.status:<10} {i.task or '-':<9} {i.usage.tokens:>7}  {i.worktree}")
    out += ["", "TASK      STATE      SERVICE      ROUND  TITLE"]
    for t in view.tasks.values():
        told = [waits_for(view, t, now), t.reason if t.status in ("blocked", "failed", "cancelled") else ""]
        why = f"  ({'; '.join(part for part in told if part)})" if any(told) else ""
        out.append(f"{t.id:<9} {t.status:<10} {t.assigned_to:<12} {t.iteration:>5}  {t.title}{why}")
    backlog = [f for f in view.findings.values() if f.resolution == "backlog"]
    if backlog:
        out += ["", "BACKLOG", *(f"{f.id:<9} {f.severity:<10} {f.title}  {f.location}".rstrip() for f in backlog)]
    if view.open_gates:
        out += ["", "GATES WAITING"]
        for g in view.open_gates:
            out.append(f"{g.id:<9} {g.place:<10} {g.title}  {g.summary}")
            out += [f"          {check_line(check)}" for check in g.checks]
    return out


def check_line(check: CheckResult) -> str:
    """A measurement against its threshold, in one line."""
    word = check.status.replace("_", " ") or ("pass" if check.has_passed else "fail")
    return f"{word:<12} {check.name}{' (required)' if check.required else ''}  {check.detail}"
