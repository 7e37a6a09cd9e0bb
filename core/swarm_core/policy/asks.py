"""Questions that need the operator's leave: each gets a gate, and loses it when nobody waits for the answer."""

from __future__ import annotations

from collections.abc import Iterator

from swarm_core.vocabulary.asks import Ask
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.view import RunView

from .effects import Effect, EvaluateGate, Record

TITLE_CHARS = 100


def asks(view: RunView, numbers: Iterator[int]) -> Iterator[Effect]:
    """What the open questions call for. ``numbers`` are those of new gates."""
    for name in view.open_asks:
        ask = view.asks[name]
        gate = view.gates.get(ask.gate)
        if gate is None and not _is_gone(view, ask):
            title = clean_line(f"{ask.instance or 'the engine'} · {ask.tool}: {ask.subject}", TITLE_CHARS)
            data = {"gate": numbered("gate", next(numbers)), "place": ask.place, "title": title, "ask": ask.id}
            yield Record((Draft("gate.evaluating", data, task=ask.task or None),))
        elif gate is None or gate.status == "aborted" or _is_gone(view, ask):
            reason = f"{ask.instance} no longer waits for it" if ask.instance else "nobody waits for it"
            drafts = [Draft("permission.withdrawn", {"ask": ask.id, "reason": reason}, task=ask.task or None)]
            if gate is not None and gate.status in ("open", "evaluating"):
                drafts.append(Draft("gate.aborted", {"gate": gate.id, "reason": reason}, task=ask.task or None))
            yield Record(tuple(drafts))
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)


def _is_gone(view: RunView, ask: Ask) -> bool:
    """Whether who asked has left: the task ended, or somebody else works on it now."""
    if not ask.task:
        return False
    task = view.tasks.get(ask.task)
    return task is None or task.status != "running" or task.attempt != ask.attempt
