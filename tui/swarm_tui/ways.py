"""Going from screen to screen; the code of each is loaded when one first goes there."""

from __future__ import annotations

from textual.app import App

from swarm_core.vocabulary.entities import Gate


class Ways(App[None]):
    """The part of the room that knows which screens there are."""

    def open_gate(self, gate: str) -> None:
        from swarm_tui.screens.gate import GateScreen

        self.push_screen(GateScreen(gate))

    def open_document(self, gate: Gate) -> None:
        from swarm_tui.screens.document import DocumentScreen

        self.push_screen(DocumentScreen(gate))

    def open_activity(self) -> None:
        from swarm_tui.screens.activity import ActivityScreen

        self.push_screen(ActivityScreen())

    def open_runs(self) -> None:
        from swarm_tui.screens.start import RunsScreen

        self.push_screen(RunsScreen())

    def open_evidence(self, section: str = "") -> None:
        """What steers the swarm; back from it if one is there. One that lies beneath is come back to."""
        from swarm_tui.screens.evidence import EvidenceScreen

        beneath = next((screen for screen in self.screen_stack if isinstance(screen, EvidenceScreen)), None)
        if beneath is None:
            self.push_screen(EvidenceScreen(section))
        elif beneath is self.screen:
            self.pop_screen()
        else:
            beneath.section_first = section
            while self.screen is not beneath:
                self.pop_screen()

    def open_help(self, scope: str) -> None:
        from swarm_tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(scope))
