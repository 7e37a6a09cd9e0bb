"""Which rules of the decision matrix fired, on what fact, what they did, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.rules import Fact, Firing
from swarm_tui import reasons, words
from swarm_tui.widgets.line_pane import Row

from .base import WIDE, Look, Section, block, cells, field, happened, task_line

STATES = {
    "blocks": ("■", "bad"),
    "to do": ("◌", "accent"),
    "under way": ("●", "tool"),
    "waived": ("⊘", "muted"),
    "settled": ("✓", "muted"),
}
TOLD = {"blocks": "blocking"}
RANK = {state: place for place, state in enumerate(STATES)}
WAIVED = "waived"


class Decisions(Section):
    """What keeps the work from landing first."""

    key, title = "decisions", "Decisions"
    groups = frozenset({"rule", "action", "finding", "task", "check", "matrix"})
    empty = "A rule of the decision matrix that fires appears here, with what it did."

    def order(self, look: Look) -> list[str]:
        fired = look.view.firings
        return sorted(fired, key=lambda name: RANK[state_of(look, fired[name])])

    def waiting(self, look: Look) -> int:
        return len(look.view.open_firings)

    def told(self, look: Look) -> str:
        states = [state_of(look, firing) for firing in look.view.firings.values()]
        counts = [f"{states.count(state)} {TOLD.get(state, state)}" for state in STATES if state in states]
        rules = f"{words.some(len(look.view.matrix.rules), 'rule')} of {look.view.matrix.path or 'no matrix'}"
        return " · ".join((*(counts or ["none fired"]), rules))

    def row(self, look: Look, name: str, width: int) -> Row:
        one = look.view.firings[name]
        state = state_of(look, one)
        symbol, style = STATES[state]
        text = "muted" if one.settled else "plain"
        rule = clean_line(one.rule)
        head = [
            (f" {symbol} {state:<9} ", style),
            (f"{words.fit(rule, 40 if width >= WIDE else 30)} ", "muted" if one.settled else "strong"),
        ]
        left = width - cells(head)
        fact = words.fit(clean_line(one.fact.shown), left // 2)
        did = words.fit(clean_line(", ".join(one.actions)), max(1, left - cells([(fact, "")]) - 1))
        return (*head, (f"{fact} ", text), (did, "muted"))

    def why(self, look: Look, name: str) -> str:
        one = look.view.firings[name]
        if one.settled:
            return one.settled
        return f"{one.why}{' · w waives it' if reasons.is_blocking(look.view, one) else ''}"

    def lines(self, look: Look, name: str) -> Iterator[str]:
        view, one = look.view, look.view.firings[name]
        symbol, _ = STATES[state := state_of(look, one)]
        yield f"{clean_line(name)}  {symbol} {state}{' landing' if state == 'blocks' else ''}"
        yield from field("why", one.why)
        yield from field("next", _next(look, one))
        yield from field("rule", one.rule)
        if (rule := next((rule for rule in view.matrix.rules if rule.id == one.rule), None)) is not None:
            yield from field("fires at", rule.when)
            yield from field("raised by", rule.raised_by)
            yield from field("stands in", rule.place)
        yield from field("ended", one.settled)
        yield from ("", "The fact it saw")
        yield from _fact(one.fact)
        yield from field("now", _now(look, one))
        yield from ("", "Tasks and notes: what it did")
        for action in dict.fromkeys((*one.done, *one.pending)):
            mark, said = ("✓", one.outcome.get(action, "")) if action in one.done else ("◌", "still to do")
            yield f"  {mark} {action}{': ' if said else ''}{clean_line(said)}"
        yield from (f"    {task_line(view, task)}" for task in one.tasks)
        if (finding := view.findings.get(one.finding)) is not None:
            yield f"    {clean_line(finding.id)} {clean_line(finding.title)} · {finding.status} {finding.resolution}"
        if (incident := view.incidents.get(one.incident)) is not None:
            yield f"    {clean_line(incident.id)} {incident.status}: {clean_line(incident.reason)}"
        past = look.past.of("firing", name)
        for event in past:
            if event.kind == "message.written":
                yield from block(
                    f"Told {clean_line(str(event.data.get('to', '')), 60)}", str(event.data.get("text", ""))
                )
        if past:
            yield from ("", "History")
            yield from (happened(event, _said(event)) for event in past)


def state_of(look: Look, firing: Firing) -> str:
    if firing.settled:
        return WAIVED if firing.settled.startswith(WAIVED) else "settled"
    if reasons.is_blocking(look.view, firing):
        return "blocks"
    return "to do" if firing.pending else "under way"


def _fact(fact: Fact) -> Iterator[str]:
    yield from field("said", fact.shown)
    yield from field("severity", fact.severity)
    where = {"agent": "with the task's work", "merged": "on the merged work"}.get(fact.tree, fact.tree)
    commit = f"commit {fact.commit[:12]}" if fact.commit else ""
    yield from field("measured", " · ".join(filter(None, (where, commit, fact.document))))
    yield from field("about", " ".join(fact.paths[:10]) + (" …" if len(fact.paths) > 10 else ""))
    yield from field("detail", fact.detail)
    yield from field("whose", " · ".join(filter(None, (fact.owner, fact.task))))
    yield from field("evidence", f"event {fact.seq} · {clean_line(fact.key)}")


def _next(look: Look, firing: Firing) -> str:
    """What ends it; empty if it has ended."""
    if firing.settled:
        return ""
    if reasons.is_blocking(look.view, firing):
        return "nothing lands until this is mended, or until w waives it with a word on why"
    return "it settles when the fact is no longer so; w waives it with a word on why"


def _now(look: Look, firing: Firing) -> str:
    """What is said about the same subject today, or of a task that is over, what is measured on the merged work."""
    facts, fact = look.view.facts, firing.fact
    if (same := facts.get(fact.key)) is not None:
        return "the same: nothing newer was measured" if same.seq == fact.seq else f"{same.shown} (event {same.seq})"
    if fact.kind == "check" and (merged := facts.get(f"check:{fact.key.split(':')[1]}:")) is not None:
        return f"on the merged work {merged.shown} (event {merged.seq})"
    return "not so any more" if fact.kind != "check" else "not measured since its task ended"


def _said(event: Event) -> str:
    data = event.data
    match event.kind:
        case "rule.fired":
            return "fired"
        case "action.done":
            return f"{data.get('action', '')}: {data.get('result', '')}"
        case "rule.waived":
            return f"waived by {event.actor}: {data.get('note', '')}"
        case "message.written":
            return f"told {data.get('to', '')}"
    return f"settled: {data.get('how', '')}"
