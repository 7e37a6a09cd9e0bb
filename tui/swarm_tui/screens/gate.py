"""A gate: the evidence, what follows from yes and from no, and the decision.

The keys that decide are dead for half a second after the evidence came under the eyes, and again when it changed. The
decision names the SHA-256 of the bytes on the screen; the engine refuses it if that is not what the gate is about.
"""

from __future__ import annotations

import asyncio
import hashlib

from textual import on, work
from textual.app import ComposeResult
from textual.widgets import Input

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import SwarmError
from swarm_tui import commands, words
from swarm_tui.widgets.bars import Heading, KeyBar
from swarm_tui.widgets.document import Document
from swarm_tui.widgets.line_pane import Row

from .base import RoomScreen

DEAD_S = 0.5
NEEDS_COMMENT = ("plan", "merge")


class GateScreen(RoomScreen):
    """Shows one gate and takes its decision."""

    BINDINGS = commands.bindings("gate")

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate_id = gate
        self.shown_evidence = ""
        self.sent = ""
        self.sent_verdict = ""
        self._opened_seq = -1
        self._armed_at = 0.0

    @property
    def gate(self) -> Gate:
        return self.store.view.gates[self.gate_id]

    def compose(self) -> ComposeResult:
        yield Heading(id="head")
        yield Document(id="document")
        yield Heading(id="said")
        yield Input(id="comment", placeholder="What shall change? Enter sends, Esc goes back", compact=True)
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one(KeyBar).offer([*commands.of("gate"), *commands.of("diff"), *commands.of("global")])
        self.query_one("#comment", Input).display = False
        self.query_one(Document).focus()
        self.told()

    # -- showing

    def on_screen_resume(self) -> None:
        """Back in sight, perhaps with other evidence than when it was covered."""
        self._armed_at = self.room.clock.monotonic_s() + DEAD_S

    def told(self) -> None:
        gate = self.gate
        if gate.opened_seq != self._opened_seq:
            is_again = self._opened_seq > 0
            self._opened_seq = gate.opened_seq
            self._show_document(is_again)
        self.query_one("#head", Heading).show(*self._head(gate))
        self._judge_answer(gate)

    def _show_document(self, is_again: bool) -> None:
        data = self.client.document(self.store.run, self.gate)
        self.shown_evidence = hashlib.sha256(data).hexdigest()
        self.query_one(Document).show(data)
        self._armed_at = self.room.clock.monotonic_s() + DEAD_S
        if self.shown_evidence != self.gate.evidence:
            self.say(
                "The document on disk is not what the engine showed at this gate: it will refuse a decision.", "bad"
            )
        elif is_again:
            self.say("The evidence changed: this is the new one. Look again before you decide.", "accent")

    def _head(self, gate: Gate) -> list[Row]:
        symbol, style = words.GATE[gate.status]
        task = self.store.view.tasks.get(gate.task)
        asks = task.instance if task else "the engine"
        rows: list[Row] = [
            (
                (f" {symbol} {gate.id} ", style),
                (f"{gate.place} gate · {gate.status} · asked by {clean_line(asks or 'the engine')}", "muted"),
            ),
            ((" ", "plain"), (clean_line(gate.title), "strong")),
            ((" ", "plain"), (clean_line(gate.summary), "plain")),
        ]
        if gate.checks:
            pieces: list[tuple[str, str]] = [(" checks ", "muted")]
            for check in gate.checks:
                mark, look = words.CHECK.get(check.status, words.CHECK["fail"])
                needed = " (required)" if check.required and not check.has_passed else ""
                pieces.append((f" {mark} {clean_line(check.name)}{needed} {clean_line(check.detail)}", look))
            rows.append(pieces)
        rows += [((f" ✗ {clean_line(blocker)}", "bad"),) for blocker in gate.blockers]
        if gate.status == "open" and self.store.view.is_held:
            state, look = words.run_state(self.store.view.run)
            rows.append(((f" {state}", look), ("  what you decide has its effect when the run is resumed", "plain")))
        if gate.status == "open":
            rows.append(((" yes ", "good"), (clean_line(gate.on_yes), "muted")))
            rows.append(((" no  ", "bad"), (clean_line(gate.on_no), "muted")))
        if gate.status == "open" and gate.ask:
            rows.append(((" a once   s for this run   A always   x no, with a comment", "accent"),))
        elif gate.verdict:
            said = f" {gate.verdict} by {gate.by}{': ' + gate.note if gate.note else ''}"
            rows.append(((clean_line(said), "plain"),))
        return rows

    def say(self, text: str, style: str = "muted") -> None:
        self.query_one("#said", Heading).show(((f" {clean_line(text)}", style),))

    # -- deciding

    def _is_armed(self) -> bool:
        gate = self.gate
        if gate.status != "open":
            said = f" ({gate.verdict} by {gate.by})" if gate.verdict else ""
            self.say(f"{gate.id} is {gate.status}{said}: there is nothing to decide any more.")
            return False
        if self.sent:
            self.say("The decision is sent; wait for the engine's word.")
            return False
        if self.room.clock.monotonic_s() < self._armed_at:
            self.say("Read first: the keys that decide wake half a second after the evidence appears.", "accent")
            return False
        return True

    def action_approve(self) -> None:
        if self._is_armed():
            self.send("approve", "")

    def action_approve_session(self) -> None:
        self._grant("session")

    def action_approve_always(self) -> None:
        self._grant("always")

    def _grant(self, scope: str) -> None:
        if not self.gate.ask:
            self.say("Only a permission is granted for longer: a says yes to what is shown here.")
        elif self._is_armed():
            self.send("approve", "", scope)

    def action_reject(self) -> None:
        if not self._is_armed():
            return
        comment = self.query_one("#comment", Input)
        comment.display = True
        comment.focus()
        self.say("Say what shall change; the agent works from your words.", "accent")

    @on(Input.Submitted, "#comment")
    def _commented(self, event: Input.Submitted) -> None:
        event.stop()
        note = event.value.strip()
        if not note and self.gate.place in NEEDS_COMMENT:
            self.say("A rejection needs a comment: the agent has nothing else to work from.", "bad")
            return
        if self._is_armed():  # if not, the words stay where they are
            self._close_comment()
            self.send("reject", note)

    def _close_comment(self) -> None:
        comment = self.query_one("#comment", Input)
        comment.value = ""
        comment.display = False
        self.query_one(Document).focus()

    @work
    async def send(self, verdict: str, note: str, scope: str = "") -> None:
        """Drop the decision into the inbox; the engine's word comes with the journal."""
        self.sent_verdict, self.sent = verdict, "…"
        self.say(f"{verdict}: sending …")
        try:
            evidence = self.shown_evidence
            self.sent = await asyncio.to_thread(
                self.client.decide, self.store.run, self.gate_id, verdict, note, evidence, scope
            )
        except SwarmError as error:
            self.sent = ""
            self.say(str(error).replace("\n", " · "), "bad")
            return
        self.say(f"{verdict}: sent, waiting for the engine")
        self.told()

    def _judge_answer(self, gate: Gate) -> None:
        view = self.store.view
        if not self.sent or self.sent not in view.commands:
            return
        if reason := view.refused.get(self.sent, ""):
            self.say(f"refused: {reason}", "bad")
        else:
            more = " · n opens the next gate" if view.open_gates else ""
            self.say(f"{self.sent_verdict}: accepted #{gate.decided_seq}{more}", "good")
        self.sent = ""

    # -- leaving

    def action_next_gate(self) -> None:
        gate = self.store.next_gate(self.gate_id)
        if gate is None or gate.id == self.gate_id:
            self.say("No other gate waits.")
            return
        self.app.pop_screen()
        self.room.open_gate(gate.id)

    def action_back(self) -> None:
        if self.query_one("#comment", Input).display:
            self._close_comment()
            self.say("Nothing was sent.")
            return
        self.app.pop_screen()
