"""What steers the swarm: artifacts, findings, questions of agents, and rules that fired.

A list of one section, and all that is known of the row under the cursor beside or instead of it. What is said about
one of them goes to the engine with words that the operator types.
"""

from __future__ import annotations

import asyncio

from textual import on, work
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Input

from swarm_core.vocabulary.entities import Gate
from swarm_tui import commands, reasons
from swarm_tui.panes.evidence import Detail, EvidenceList, SectionBar
from swarm_tui.past import GROUPS
from swarm_tui.sections.artifacts import Artifacts, shown_at
from swarm_tui.sections.base import Look, Section
from swarm_tui.sections.decisions import Decisions
from swarm_tui.sections.findings import Findings
from swarm_tui.sections.questions import Questions
from swarm_tui.widgets.bars import Heading, KeyBar
from swarm_tui.widgets.document import patch_of
from swarm_tui.widgets.line_pane import LinePane

from .answers import Answers

TALL = 20
"""From so many lines on what is under the cursor is shown below the list."""
ACTS = {"answer": "questions", "close_finding": "findings", "waive": "decisions"}
"""The commands that belong to one section."""


class EvidenceScreen(Answers):
    """``section`` is the one to begin with; by default one in which something waits."""

    BINDINGS = [
        *commands.bindings("evidence"),
        *((str(number), f"section({number})", f"Section {number}") for number in range(1, 5)),
    ]
    scope = "evidence"

    def __init__(self, section: str = "") -> None:
        super().__init__()
        self.sections: tuple[Section, ...] = (Artifacts(), Findings(), Questions(), Decisions())
        self.section_first = section
        self.number = 0
        self._seen = -1
        self._detail: tuple[str, str, str] = ("", "", "")
        self._patches: tuple[str, tuple[tuple[str, str], ...], str] = ("", (), "")
        self._is_looking = False
        self._looked = -1

    def compose(self) -> ComposeResult:
        yield SectionBar(id="head")
        yield EvidenceList(id="evidence")
        yield Detail(id="detail")
        yield Heading(id="said")
        yield Input(id="words", compact=True)
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one("#said").display = False
        self.query_one("#words").display = False
        self.go_to(self._first())
        self.query_one(EvidenceList).focus()
        self.look_back()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height >= TALL, "-tall")
        self._show_detail()

    def on_screen_resume(self) -> None:
        """Back in sight, perhaps because of something in another section."""
        if self.section_first and self.is_mounted:
            self.go_to(self._first())

    # -- showing

    @property
    def section(self) -> Section:
        return self.sections[self.number]

    @property
    def look(self) -> Look:
        assert self.room.past is not None
        return Look(self.store.view, self.room.past)

    @property
    def is_open(self) -> bool:
        """Whether what is under the cursor fills the screen."""
        return self.has_class("-open")

    def _first(self) -> int:
        """The section asked for, else the one that most needs a look."""
        keys = [section.key for section in self.sections]
        if self.section_first:
            wanted, self.section_first = self.section_first, ""
            return keys.index(wanted)
        view = self.store.view
        waits = {
            "questions": any(one.get("needs_human") and not one.get("answer") for one in view.questions.values()),
            "decisions": any(reasons.is_blocking(view, view.firings[name]) for name in view.open_firings),
        }
        urgent = [key for key, is_waiting in waits.items() if is_waiting]
        waiting = [section.key for section in self.sections if section.waiting(self.look)]
        filled = [section.key for section in self.sections if section.order(self.look)]
        return keys.index([*urgent, *waiting, *filled, "artifacts"][0])

    def go_to(self, number: int) -> None:
        """Show another section, from its beginning."""
        self.number = number % len(self.sections)
        self._seen = self.store.last_move(self.section.groups)
        self.remove_class("-open")
        self.query_one(EvidenceList).tell(self.section, self.look)
        self._show_sections()
        self._show_detail()
        here = [
            command for command in commands.of("evidence") if ACTS.get(command.id, self.section.key) == self.section.key
        ]
        self.query_one(KeyBar).offer([*here, *commands.of("global")])

    def told(self) -> None:
        moved = self.store.last_move(self.section.groups)
        if moved != self._seen:
            self._seen = moved
            self.query_one(EvidenceList).tell(self.section, self.look)
        self._show_sections()
        self._show_detail()
        self.judge_answers()
        if self.store.last_move(GROUPS) > self._looked:
            self.look_back()

    def _show_sections(self) -> None:
        look = self.look
        told = [(section.title, section.waiting(look)) for section in self.sections]
        self.query_one(SectionBar).tell(told, self.number)

    def _show_detail(self) -> None:
        """All of the thing under the cursor, if that is in sight and says something else than before."""
        name = self.query_one(EvidenceList).chosen
        if not (self.is_open or self.has_class("-tall")):
            return
        key = self.section.key
        text = "\n".join(self.section.lines(self.look, name)) if name else ""
        if self._patches[0] == name and key == "artifacts":
            text += self._patches[2]
        if (key, name, text) != self._detail:
            is_same = (key, name) == self._detail[:2]
            self._detail = (key, name, text)
            self.query_one(Detail).tell(text, is_same=is_same)
        if self.is_open and key == "artifacts" and name:
            self._show_patches(name)

    @work(group="past")
    async def look_back(self) -> None:
        """Read what happened to single things; one look at a time, and another if more came meanwhile."""
        past = self.room.past
        if self._is_looking or past is None:
            return
        self._is_looking = True
        try:
            while (moved := self.store.last_move(GROUPS)) > self._looked:
                await asyncio.to_thread(past.look)
                is_first, self._looked = self._looked < 0, moved
                if not self.is_mounted:
                    return
                if is_first:  # what is registered is known now
                    self.query_one(EvidenceList).tell(self.section, self.look)
                    if past.problem:
                        self.say(past.problem.replace("\n", " · "), "bad")
                self._show_detail()
        finally:
            self._is_looking = False

    def _show_patches(self, path: str) -> None:
        gates = shown_at(self.look, path)
        wanted = tuple((gate.id, gate.evidence) for gate in gates)
        if self._patches[:2] != (path, wanted):
            self._patches = (path, wanted, self._patches[2] if self._patches[0] == path else "")
            self._read_patches(path, wanted, gates)

    @work(exclusive=True, group="patches")
    async def _read_patches(self, path: str, wanted: tuple[tuple[str, str], ...], gates: list[Gate]) -> None:
        """The changes of an artifact, from the documents of the gates that showed them."""
        text = await asyncio.to_thread(self._patches_of, path, gates)
        if self._patches[:2] == (path, wanted):
            self._patches = (path, wanted, text)
            if self.is_mounted:
                self._show_detail()

    def _patches_of(self, path: str, gates: list[Gate]) -> str:
        parts = []
        for gate in gates:
            document = self.client.document(self.store.run, gate).decode("utf-8", "replace")
            if patch := patch_of(document, path):
                parts.append(f"as shown at {gate.id}, {gate.status}\n{patch}")
        if not parts:
            return "\n\nChanges\n  They appear here when the work of a task that wrote it has come to its gate."
        return "\n\nChanges, the newest first\n  " + "\n".join(parts)

    # -- what the keys mean

    @property
    def section_key(self) -> str:
        return self.section.key

    @property
    def name_here(self) -> str:
        return self.query_one(EvidenceList).chosen

    def focus_back(self) -> None:
        (self.query_one(Detail) if self.is_open else self.query_one(EvidenceList)).focus()

    # -- moving

    @on(LinePane.Moved)
    def _moved(self, event: LinePane.Moved) -> None:
        event.stop()
        self._show_detail()

    @on(LinePane.Opened)
    def _opened(self, event: LinePane.Opened) -> None:
        event.stop()
        self.action_open_row()

    @on(SectionBar.Chosen)
    def _chosen(self, event: SectionBar.Chosen) -> None:
        event.stop()
        self.action_section(event.number + 1)

    def action_section(self, number: int) -> None:
        self.go_to(number - 1)
        self.query_one(EvidenceList).focus()

    def action_next_section(self) -> None:
        self.action_section(self.number + 2)

    def action_previous_section(self) -> None:
        self.action_section(self.number)

    def action_open_row(self) -> None:
        if self.is_open or not self.query_one(EvidenceList).chosen:
            return
        self.add_class("-open")
        self._show_detail()
        self.query_one(Detail).focus()

    def action_back(self) -> None:
        if self.close_words():
            self.say("Nothing was sent.")
        elif self.is_open:
            self.remove_class("-open")
            self.query_one(EvidenceList).focus()
        elif self.query_one(Detail).has_focus:
            self.query_one(EvidenceList).focus()
        else:
            self.app.pop_screen()

    def pulse(self) -> None:
        self.tick()
