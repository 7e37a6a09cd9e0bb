"""What agents asked the operator, and what they go on with meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView
from swarm_tui import reasons, words
from swarm_tui.widgets.line_pane import Row

from .base import WIDE, Look, Section, block, cells, field, happened, task_line

STATES = {
    "waits": ("⚑", "accent"),
    "goes on": ("◌", "tool"),
    "answered": ("✓", "muted"),
}
RANK = {state: place for place, state in enumerate(STATES)}


class Questions(Section):
    """Those for which no default is safe first, answered ones last."""

    key, title = "questions", "Questions"
    groups = frozenset({"question", "task"})
    empty = "What agents ask you appears here; meanwhile they go on with a default."

    def order(self, look: Look) -> list[str]:
        asked = look.view.questions
        return sorted(asked, key=lambda name: RANK[state_of(asked[name])])

    def waiting(self, look: Look) -> int:
        return reasons.unanswered(look.view)

    def told(self, look: Look) -> str:
        asked = look.view.questions.values()
        counts = [(sum(state_of(one) == state for one in asked), state) for state in STATES]
        names = {"waits": "only you can answer", "goes on": "with a default", "answered": "answered"}
        return " · ".join(f"{count} {names[state]}" for count, state in counts if count) or "none"

    def row(self, look: Look, name: str, width: int) -> Row:
        one = look.view.questions[name]
        state = state_of(one)
        symbol, style = STATES[state]
        text = "muted" if state == "answered" else "plain"
        head = [
            (f" {symbol} {state:<9} ", style),
            (f"{words.fit(clean_line(name), 13)} ", "muted" if text == "muted" else "strong"),
        ]
        if width >= WIDE:
            head.append((f"{words.fit(clean_line(str(one.get('agent', ''))), 14)} ", "muted"))
        said = " ".join(str(one.get("text", ""))[:2_000].split())
        more = str(one.get("answer", "")) or str(one.get("default", ""))
        tail = f"  → {' '.join(more[:200].split())}" if more else ""
        left = width - cells(head)
        asked = words.fit(clean_line(said), max(1, left - min(len(tail), left // 3)))
        return (*head, (asked, text), (words.fit(clean_line(tail), max(1, left - cells([(asked, "")]))), "muted"))

    def why(self, look: Look, name: str) -> str:
        one = look.view.questions[name]
        if answer := str(one.get("answer", "")):
            return f"answered: {answer}"
        return reaches_nobody(look.view, one) or f"goes on with: {one.get('default') or 'nothing'} · a answers"

    def lines(self, look: Look, name: str) -> Iterator[str]:
        view, one = look.view, look.view.questions[name]
        symbol, _ = STATES[state := state_of(one)]
        needs = " · no default is safe" if one.get("needs_human") and state != "answered" else ""
        yield f"{clean_line(name)}  {symbol} {state}{needs}"
        if state != "answered":
            yield from field(
                "next", reaches_nobody(view, one) or "a answers; it reaches whoever asked with the next message"
            )
        yield from field("asked by", str(one.get("agent", "")))
        yield from field("in", task_line(view, str(one["task"])) if one.get("task") else "")
        yield from block("Question", str(one.get("text", "")))
        yield from block("Options", "\n".join(str(option) for option in one.get("options", ())))
        yield from block("Goes on with", str(one.get("default", "")))
        yield from block("If that is wrong", str(one.get("risk", "")))
        yield from block("Your answer", str(one.get("answer", "")))
        if past := look.past.of("question", name):
            yield from ("", "History")
            yield from (happened(e, f"{e.kind.removeprefix('question.')} by {e.agent or e.actor}") for e in past)


def state_of(question: Mapping[str, Any]) -> str:
    if question.get("answer"):
        return "answered"
    return "waits" if question.get("needs_human") else "goes on"


def reaches_nobody(view: RunView, question: Mapping[str, Any]) -> str:
    """That whoever asked is done and hears no answer; empty while somebody does."""
    task = view.tasks.get(str(question.get("task", "")))
    if task is not None and task.status not in TASK.terminal:
        return ""
    return "whoever asked is done: a answers for the record, ask for a change at a gate if it needs one"
