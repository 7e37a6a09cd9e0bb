"""Everything that happened, as lines: the journal as it grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.app import ComposeResult

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event
from swarm_tui import commands
from swarm_tui.widgets.bars import Bar, KeyBar
from swarm_tui.widgets.line_pane import Row
from swarm_tui.widgets.log_pane import LogPane

from .base import RoomScreen

LOUD = {"policy.denied": "denied", "task.failed": "bad", "merge.conflicted": "bad", "check.failed": "bad"}
GROUPS = {"gate": "accent", "task": "strong", "merge": "tool", "run": "good", "decision": "accent"}
GROUPS |= {"question": "accent", "finding": "denied", "rule": "accent", "action": "strong", "message": "tool"}
KEPT = 600
# What a rule did reads as a sentence; everything else as its data.
WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "matrix.adopted": lambda d: f"{len(d.get('rules', ()))} rules of {d.get('path')} hold from now on",
    "rule.fired": lambda d: f"{d.get('rule')} fired: {d.get('why')}",
    "action.done": lambda d: f"{d.get('action')}: {d.get('result')}",
    "rule.settled": lambda d: f"{d.get('firing')} {d.get('how')}",
    "rule.waived": lambda d: f"you waived {d.get('firing')}: {d.get('note')}",
    "message.written": lambda d: f"to {d.get('to')}: {d.get('text')}",
}
LONG = frozenset(
    ["tasks", "services", "options", "document", "evidence", "about", "on_yes", "on_no", "checks", "stat", "worktree"]
)


class ActivityScreen(RoomScreen):
    """Unknown kinds of events are shown like all others."""

    BINDINGS = [("escape", "back", "Back"), ("at", "back", "Back")]

    def __init__(self) -> None:
        super().__init__()
        self._seq = 0

    def compose(self) -> ComposeResult:
        yield Bar(id="head")
        yield LogPane(id="activity")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one("#head", Bar).show(((" Activity ", "accent"), (" what was journaled, Esc goes back", "muted")))
        self.query_one(KeyBar).offer(commands.of("global"))
        self.query_one(LogPane).focus()
        self.told()

    def told(self) -> None:
        fresh = [event for event in self.store.activity if event.seq > self._seq]
        if fresh:
            self._seq = fresh[-1].seq
            self.query_one(LogPane).extend(row_of(event) for event in fresh)

    def action_back(self) -> None:
        self.app.pop_screen()


def _pairs(data: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in data.items() if value not in ("", None) and key not in LONG)


def row_of(event: Event) -> Row:
    """``#12 10:02:03 backend-1 task_002 commit.created  …``"""
    style = LOUD.get(event.kind) or GROUPS.get(event.kind.partition(".")[0], "plain")
    say = WORDS.get(event.kind)
    data = say(event.data) if say else _pairs(event.data)
    return (
        (f"{event.seq:>5} {event.ts[11:19]} ", "muted"),
        (f"{clean_line(event.agent or event.actor, 14):<14} ", "plain"),
        (f"{clean_line(event.task or '', 9):<9} ", "muted"),
        (f"{clean_line(event.kind, 24):<20} ", style),
        (clean_line(data, KEPT), "muted"),
    )
