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
from swarm_core.vocabulary.gating import needs_a_reason, offered
from swarm_tui import commands, reasons, words
from swarm_tui.widgets.bars import Heading, KeyBar
from swarm_tui.widgets.document import Document
from swarm_tui.widgets.line_pane import Row

from .base import RoomScreen

DEAD_S = 0.5
TALL = 30
MOST_BLOCKERS = 4
"""What stands in the way may not push the document out of sight; the document names the rest."""
# What the line below the document asks for, by verdict.
ASKS = {
    "request_changes": (
        "What shall change? Enter sends, Esc goes back",
        "Say what shall change; the agent works from it.",
    ),
    "reject": (
        "What shall change? Enter sends, Esc goes back",
        "Say what shall change; the agent works from your words.",
    ),
    "force": ("The gate's id, and a space and a reason if you like", "Type {gate} to pass it with {failed}."),
    "defer": (
        "30m, 2h, a time, a task or a gate; Enter alone: an hour",
        "Until when? The gate stays open and comes last.",
    ),
}


class GateScreen(RoomScreen):
    """Shows one gate and takes its decision."""

    BINDINGS = commands.bindings("gate")
    scope = "gate"

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate_id = gate
        self.shown_evidence = ""
        self.sent = ""
        self.sent_verdict = ""
        self.asking = "reject"
        self._opened_seq = -1
        self._armed_at = 0.0

    @property
    def gate(self) -> Gate:
        return self.store.view.gates[self.gate_id]

    @property
    def section_wanted(self) -> str:
        return "decisions" if self.gate.blockers else ""

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
        place = "+".join((gate.place, *gate.aspects))
        rows: list[Row] = [
            (
                (f" {symbol} {gate.id} ", style),
                (f"{place} gate · {gate.status} · asked by {clean_line(asks or 'the engine')}", "muted"),
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
        most = MOST_BLOCKERS if self.size.height >= TALL else MOST_BLOCKERS // 2
        rows += [((" ✗ ", "bad"), (clean_line(blocker), "bad")) for blocker in gate.blockers[:most]]
        if (left := len(gate.blockers) - most) > 0:
            rows.append(((f" ✗ {left} more {'is' if left == 1 else 'are'} in the way", "bad"),))
        rows += [((" ⚑ ", "accent"), (clean_line(hold), "accent")) for hold in gate.holds[:most]]
        rows += [
            ((f" {key} ", "accent"), (clean_line(said), "plain"))
            for key, said in reasons.ways_on(self.store.view, gate)
        ]
        if gate.deferred_until:
            rows.append(((f" put off until {clean_line(gate.deferred_until)}", "accent"),))
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
        self._ask("reject")

    def action_changes(self) -> None:
        self._ask("request_changes")

    def action_force(self) -> None:
        self._ask("force")

    def action_later(self) -> None:
        self._ask("defer")

    def action_measure(self) -> None:
        if self._is_armed():
            self.send("retry", "")

    def action_to_diff(self) -> None:
        document = self.query_one(Document)
        document.move_to(document.files[0][0] if document.files else document.row_count)

    def action_to_evidence(self) -> None:
        self.query_one(Document).move_to(0)

    def _ask(self, verdict: str) -> None:
        """Open the line for the words that a verdict goes with."""
        gate = self.gate
        if not self._is_armed():
            return
        if verdict not in offered(gate.place):
            self.say(f"A {gate.place} gate takes no {verdict.replace('_', ' ')}.")
            return
        self.asking = verdict
        hint, said = ASKS[verdict]
        comment = self.query_one("#comment", Input)
        comment.placeholder = hint
        comment.display = True
        comment.focus()
        failed = ", ".join((*gate.failed_checks, *gate.holds)) or "what it shows"
        self.say(said.format(gate=gate.id, failed=failed), "accent")

    @on(Input.Submitted, "#comment")
    def _commented(self, event: Input.Submitted) -> None:
        event.stop()
        words_, verdict = event.value.strip(), self.asking
        if not words_ and needs_a_reason(self.gate.place, verdict):
            what = "A rejection" if verdict == "reject" else "A request for changes"
            self.say(f"{what} needs a comment: the agent has nothing else to work from.", "bad")
            return
        typed, _, reason = words_.partition(" ")
        if verdict == "force" and typed != self.gate_id:
            self.say(f"Type {self.gate_id} to force it; Esc goes back.", "bad")
            return
        if not self._is_armed():  # the words stay where they are
            return
        self._close_comment()
        if verdict == "force":
            self.send(verdict, reason.strip(), typed=typed)
        elif verdict == "defer":
            self.send(verdict, "", until=words_)
        else:
            self.send(verdict, words_)

    def _close_comment(self) -> None:
        comment = self.query_one("#comment", Input)
        comment.value = ""
        comment.display = False
        self.query_one(Document).focus()

    @work
    async def send(self, verdict: str, note: str, scope: str = "", *, typed: str = "", until: str = "") -> None:
        """Drop the decision into the inbox; the engine's word comes with the journal."""
        self.sent_verdict, self.sent = verdict, "…"
        self.say(f"{verdict}: sending …")
        try:
            evidence = self.shown_evidence
            self.sent = await asyncio.to_thread(
                self.client.decide,
                self.store.run,
                self.gate_id,
                verdict,
                note,
                evidence,
                scope,
                typed=typed,
                until=until,
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
            self.say(f"{self.sent_verdict}: accepted #{gate.decided_seq or view.last_seq}{more}", "good")
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
