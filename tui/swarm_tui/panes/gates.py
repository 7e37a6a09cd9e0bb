"""The gates: those that wait for the operator first, then what was decided."""

from __future__ import annotations

from textual.content import Content

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.view import RunView
from swarm_tui import words
from swarm_tui.widgets.line_pane import LinePane, Row


class GateQueue(LinePane):
    """One row a gate; the count that waits stands in the title."""

    has_cursor = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.gates: list[Gate] = []

    @property
    def row_count(self) -> int:
        return len(self.gates)

    @property
    def chosen(self) -> Gate | None:
        return self.gates[self.cursor] if self.gates else None

    def empty_text(self) -> str:
        return "Decisions for you queue here."

    def tell(self, view: RunView) -> None:
        before = self.chosen
        waiting = view.open_gates
        others = [gate for gate in view.gates.values() if gate.status != "open"]
        self.gates = [*waiting, *reversed(others)]
        if before is not None:
            self.cursor = next((i for i, gate in enumerate(self.gates) if gate.id == before.id), 0)
        count = f"· {len(waiting)} waiting · n opens " if waiting else "· none waits "
        self.border_title = Content(f" Gates {count}")
        self.set_class(bool(waiting), "-waiting")
        self.forget()

    def row(self, index: int) -> Row:
        gate = self.gates[index]
        symbol, style = words.GATE.get(gate.status, ("?", "muted"))
        subject = gate.title if gate.place == "landing" else gate.task
        words_ = clean_line(f"{'+'.join((gate.place, *gate.aspects))} {subject or gate.subject}")
        text = "strong" if gate.status == "open" else "muted"
        return (
            (f" {symbol} ", style),
            (f"{gate.id.removeprefix('gate_')} ", text),
            (f"{words_} ", text),
            (clean_line(_told(gate)), "muted"),
        )


def _told(gate: Gate) -> str:
    if gate.status != "open":
        return gate.note
    return f"later: {gate.deferred_until} · {gate.summary}" if gate.deferred_until else gate.summary
