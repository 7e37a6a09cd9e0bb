"""How events change the questions that wait for the operator's leave."""

from __future__ import annotations

from dataclasses import replace

from .asks import Ask
from .clean import clean_line
from .errors import IllegalTransition
from .state import AnyEvent, Sink, State, on

KEPT_CHARS = 200


@on("permission.requested")
def _requested(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    name = str(data.get("ask", ""))
    if not name or name in view.asks:
        raise IllegalTransition(f"question {name or '?'} cannot be asked")
    out.ask(
        Ask(
            id=name,
            tool=data.get("tool", ""),
            subject=data.get("subject", ""),
            details=data.get("details", ""),
            rule=data.get("rule", ""),
            why=data.get("why", ""),
            proposed=tuple(data.get("proposed", ())),
            service=data.get("service", ""),
            directory=data.get("directory", ""),
            sha256=data.get("sha256", ""),
            task=event.task or "",
            instance=event.agent or "",
            attempt=int(data.get("attempt", 0)),
        )
    )


@on("permission.withdrawn")
def _withdrawn(view: State, event: AnyEvent, out: Sink) -> None:
    """Nobody waits for the answer any more."""
    answer(view, str(event.data.get("ask", "")), "withdrawn", "", event.data.get("reason", ""), out)


def begin_asking(view: State, ask: str, gate: str, out: Sink) -> None:
    """A gate is about to open for a question."""
    found = _open(view, ask)
    if found.gate:
        raise IllegalTransition(f"question {ask} has its gate already: {found.gate}")
    out.ask(replace(found, gate=gate))


def answer(view: State, ask: str, verdict: str, scope: str, note: str, out: Sink) -> None:
    """What became of a question."""
    found = _open(view, ask)
    scope = (scope or "once") if verdict == "approve" else ""
    subject = clean_line(found.subject, KEPT_CHARS)
    out.ask(replace(found, answer=verdict, scope=scope, note=note, subject=subject, details=""))


def _open(view: State, ask: str) -> Ask:
    found = view.asks.get(ask)
    if found is None or found.answer:
        raise IllegalTransition(f"question {ask or '?'} is not open")
    return found
