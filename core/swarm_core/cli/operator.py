"""An operator that follows a rule instead of a person's judgement: for the demo and for ``--yes``."""

from __future__ import annotations

from collections.abc import Callable

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.view import RunView

Rule = Callable[[str, str, int], tuple[str, str]]
"""(place, service, round) -> (verdict, note)"""


MAX_ATTEMPTS = 3


def approve_all(place: str, service: str, round_: int) -> tuple[str, str]:
    """Yes to everything but more money. A task that keeps failing is given up: what fails the same way each time would
    cost a call each time and never end. Nobody gives leave in an operator's place: what a rule asks about is refused.
    """
    if place == "budget":
        return "reject", "nobody was there to raise it"
    if place in ("permission", "trust"):
        return "reject", "nobody is there to be asked; the operator can allow it with a rule in multi-agent.yaml"
    if place == "escalation" and round_ >= MAX_ATTEMPTS:
        return "reject", f"{round_} attempts failed and nobody was there to look"
    return "approve", ""


class AutoOperator:
    """Decides each version of each gate's evidence once."""

    def __init__(self, client: SwarmClient, run: str, rule: Rule = approve_all) -> None:
        self.client, self.run, self.rule = client, run, rule
        self._decided: set[tuple[str, str, int]] = set()
        self._halts: set[int] = set()

    def look(self, view: RunView) -> None:
        """Send a decision for every open gate that has none yet.

        A landing that cannot be carried out is refused, with what is in its way as the note: the work is kept, and
        the run ends instead of waiting for a person who is not there. So does a run that halted by itself.
        """
        if view.run.status == "halted" and self._has_broken(view) and len(view.incidents) not in self._halts:
            self._halts.add(len(view.incidents))
            self.client.ask("run.abort", self.run, note=f"halted, and nobody was there to look: {view.run.reason}")
            return
        for gate in view.open_gates:
            key = (gate.id, gate.evidence, gate.opened_seq)
            if key in self._decided:
                continue
            self._decided.add(key)
            service = view.tasks[gate.task].assigned_to if gate.task else ""
            verdict, note = self.rule(gate.place, service, gate.round)
            if gate.blockers and gate.place == "landing":
                verdict, note = "reject", f"not landed: {'; '.join(gate.blockers)}"
            self.client.decide(self.run, gate.id, verdict, note, gate.evidence)

    @staticmethod
    def _has_broken(view: RunView) -> bool:
        """Whether a failure halted the run rather than a person."""
        last = list(view.incidents.values())[-1:]
        return any(incident.trigger not in ("operator", "rollback") for incident in last)
