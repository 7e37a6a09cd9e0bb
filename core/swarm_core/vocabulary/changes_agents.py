"""How events change instances, and what their calls cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .budgets import Amounts, OpenCall, scopes_of
from .entities import Instance, Usage
from .errors import IllegalTransition
from .machines import AGENT
from .state import AnyEvent, Sink, State, instance_of, on


@on("agent.starting")
def _agent_starting(view: State, event: AnyEvent, out: Sink) -> None:
    if event.agent is None or event.agent in view.instances:
        raise IllegalTransition(f"instance {event.agent} cannot be started")
    data: Any = event.data
    out.instance(
        Instance(
            id=event.agent,
            service=data.get("service", ""),
            worktree=data.get("worktree", ""),
            branch=data.get("branch", ""),
            model=data.get("model", ""),
        )
    )


@on(
    "agent.ready",
    "agent.busy",
    "agent.idle",
    "agent.waiting",
    "agent.stalled",
    "agent.paused",
    "agent.resumed",
    "agent.failed",
    "agent.restarted",
    "agent.retired",
)
def _agent_moved(view: State, event: AnyEvent, out: Sink) -> None:
    instance = instance_of(view, event)
    status = AGENT.step(instance.status, event.kind, subject=instance.id)
    task = instance.task
    if event.kind in ("agent.idle", "agent.ready", "agent.retired"):
        task = ""
    elif event.kind == "agent.busy":
        task = event.task or instance.task
    out.instance(
        replace(
            instance,
            status=status,
            task=task,
            reason=event.data.get("reason", ""),
            until=event.data.get("until", ""),
        )
    )


@on("llm.call", fits_always=True)
def _llm_call(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    usage = Usage(
        int(data.get("input_tokens", 0)),
        int(data.get("output_tokens", 0)),
        int(data.get("cache_read_tokens", 0)),
        int(data.get("cache_write_tokens", 0)),
        float(data.get("cost_usd", 0.0)),
        1,
        int(data.get("cache_write_1h_tokens", 0)),
    )
    out.usage(usage)
    micro_usd = round(usage.cost_usd * 1_000_000)
    out.spend(_scopes(view, event), Amounts(usage.tokens, micro_usd, max(0, round(float(data.get("ms", 0)))), 1))
    out.open_call(event.agent or "", None)
    if event.agent in view.instances:
        instance = view.instances[event.agent]
        out.instance(replace(instance, usage=instance.usage + usage))
    if event.task in view.tasks:
        task = view.tasks[event.task]
        out.task(replace(task, usage=task.usage + usage))


@on("llm.started", fits_always=True)
def _llm_started(view: State, event: AnyEvent, out: Sink) -> None:
    """Written before a call is made where there is a budget. What was begun and never settled counts in full."""
    agent = event.agent or ""
    if (cut := view.open_calls.get(agent)) is not None:
        out.spend(cut.scopes, cut.most)
    out.open_call(agent, OpenCall(_scopes(view, event), Amounts.read(event.data)))


@on("llm.cut", fits_always=True)
def _llm_cut(view: State, event: AnyEvent, out: Sink) -> None:
    agent = event.agent or ""
    if (cut := view.open_calls.get(agent)) is not None:
        out.spend(cut.scopes, Amounts.read(event.data))
        out.open_call(agent, None)


def _scopes(view: State, event: AnyEvent) -> tuple[str, ...]:
    task, instance = view.tasks.get(event.task or ""), view.instances.get(event.agent or "")
    service = instance.service if instance is not None else (event.agent or "").rpartition("-")[0]
    return scopes_of(task, service) if task is not None else ("run",)


@on("policy.denied", fits_always=True)
def _denied(view: State, event: AnyEvent, out: Sink) -> None:
    out.denial()
    if event.agent in view.instances:
        instance = view.instances[event.agent]
        out.instance(replace(instance, denials=instance.denials + 1))
