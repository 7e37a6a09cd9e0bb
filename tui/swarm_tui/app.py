"""The control room: screens over a store that follows the journal.

One timer reads what the journal and the logs gained and tells the screens; panes never read files on their own. The
swarm does not notice whether this program runs.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.app import SystemCommand
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen

from swarm_core.client import SwarmClient
from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.clock import Clock, SystemClock
from swarm_core.vocabulary.errors import SwarmError
from swarm_tui import commands, theme
from swarm_tui.local import LocalWorks
from swarm_tui.past import Past
from swarm_tui.runs import FOLLOWED, Runs
from swarm_tui.screens.base import RoomScreen
from swarm_tui.screens.control import ControlScreen
from swarm_tui.screens.small import SmallScreen, is_too_small
from swarm_tui.store import KEPT_EVENTS, Store
from swarm_tui.ways import Ways

FRAME_S = 1 / 15
PULSE_S = 0.5
RUNS_PULSES = 4
"""At every so many pulses the other runs are looked at."""


class ControlRoom(LocalWorks, Ways):
    """One repository's swarm on one terminal. ``run`` None shows the list of runs."""

    TITLE = "swarm-tui"
    CSS_PATH = "css/room.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = commands.bindings("global")
    SCREENS: ClassVar = {}

    def __init__(self, client: SwarmClient, run: str | None, clock: Clock | None = None) -> None:
        super().__init__()
        for palette in theme.load_all():
            self.register_theme(palette)
        self.theme = theme.DARK
        self.client, self.run_id = client, run
        self.clock = clock or SystemClock()
        self.store: Store | None = None
        self.runs = Runs(client)
        self.past: Past | None = None
        self._reader: JournalReader | None = None
        self._is_loading = False
        self._is_looking = False
        self._pulses = 0

    async def on_mount(self) -> None:
        if self.run_id is None:
            from swarm_tui.screens.start import StartScreen

            await self._begin_with(StartScreen())
            self.call_after_refresh(_settle)
        else:
            self.show_run(self.run_id)
        self.set_interval(FRAME_S, self.frame)
        self.set_interval(PULSE_S, self.pulse)

    def show_run(self, run: str) -> None:
        """Follow a run; what it is so far is read off the event loop, and the room before stays until then."""
        if not self._is_loading:
            self._is_loading = True
            self._load(run)

    @work(exclusive=True, group="load")
    async def _load(self, run: str) -> None:
        try:
            view, events, reader = await asyncio.to_thread(self.client.follow, run, KEPT_EVENTS)
            store = Store(run, view, events)
            store.engine = await asyncio.to_thread(self.client.engine)
            store.new_gates()
            await self._move_in(store, reader)
        except SwarmError as error:
            if self.store is None:
                self.give_up(error)
            else:
                self.complain(error)
        finally:
            self._is_loading = False

    async def _move_in(self, store: Store, reader: JournalReader) -> None:
        """Leave the room one is in for that of another run."""
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        if self._reader is not None:
            self._reader.close()
        if self.past is not None:
            self.past.close()
        self.past = Past(self.client, store.run)
        self.store, self._reader, self.run_id = store, reader, store.run
        await self._begin_with(ControlScreen())
        self.call_after_refresh(_settle)

    def give_up(self, error: SwarmError) -> None:
        """Leave, with the reason on the terminal."""
        self.exit(return_code=error.exit_code, message=clean(f"swarm-tui: {error}"))

    # -- the terminal's size

    async def _begin_with(self, screen: RoomScreen) -> None:
        if isinstance(self.screen, SmallScreen):
            await self.pop_screen()
        await self.push_screen(screen)
        self._judge_size(self.size)

    def on_resize(self, event: Resize) -> None:
        self._judge_size(event.size)

    def _judge_size(self, size: Size) -> None:
        if not self.screen_stack:  # the room closes
            return
        is_covered = isinstance(self.screen, SmallScreen)
        if is_too_small(size) and not is_covered:
            self.push_screen(SmallScreen())
        elif is_covered and not is_too_small(size):
            self.pop_screen()

    # -- following

    def frame(self) -> None:
        """Read what was added and tell the screens, once."""
        if self.store is None or self._reader is None:
            return
        try:
            events = self._reader.poll()
        except SwarmError as error:
            self.give_up(error)
            return
        screens = self._screens()
        if events:
            self.store.apply(events)
            for screen in screens:
                screen.told()
            if self.store.new_gates():
                self.bell()
        if screens and isinstance(screens[-1], ControlScreen):
            screens[-1].tail()

    def _screens(self) -> list[RoomScreen]:
        """Those in sight or beneath: few, and none while the room closes and takes them apart."""
        if not self.is_running:
            return []
        return [screen for screen in self.screen_stack if isinstance(screen, RoomScreen) and screen.is_mounted]

    def pulse(self) -> None:
        """Look for the engine's sign of life, and now and then at the other runs."""
        if self.store is None:
            return
        self.store.engine = self.client.engine()
        for screen in self._screens():
            screen.pulse()
        if self._pulses % RUNS_PULSES == 0:
            self.look_at_runs(FOLLOWED)
        self._pulses += 1

    @work(group="runs")
    async def look_at_runs(self, limit: int | None) -> None:
        """Read what the runs gained and tell the screen in sight; one look at a time."""
        if self._is_looking:
            return
        self._is_looking = True
        try:
            await asyncio.to_thread(self.runs.look, limit)
        finally:
            self._is_looking = False
        for screen in self._screens()[-1:]:
            screen.told()

    # -- commands of every place

    def action_next_gate(self) -> None:
        gate = self.store.next_gate() if self.store else None
        if gate is None:
            self.notify("No gate waits for you.", markup=False)
        else:
            self.open_gate(gate.id)

    def action_help(self) -> None:
        self.open_help(self.screen.scope if isinstance(self.screen, RoomScreen) else "room")

    def action_evidence(self) -> None:
        if self.store is None:
            self.notify(
                "Open a run first: its artifacts, findings, questions and decisions are shown here.", markup=False
            )
        else:
            self.open_evidence(self.screen.section_wanted if isinstance(self.screen, RoomScreen) else "")

    def action_toggle_theme(self) -> None:
        self.theme = theme.LIGHT if self.theme == theme.DARK else theme.DARK

    async def action_quit(self) -> None:
        """Textual's own key for quitting; it comes first."""
        self.action_leave()

    def action_leave(self) -> None:
        over = self.store is None or self.store.view.is_over
        self.exit(message=None if over else "The swarm goes on. swarm-tui attach opens the room again.")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette offers the commands whose keys hold where one is."""
        holding = {active.binding.id: active.node for active in screen.active_bindings.values()}
        for command in commands.COMMANDS:
            node = holding.get(f"{command.scope}.{command.id}")
            if node is not None and command.id != "command_palette":
                title = f"{command.title} ({command.shown_key})"
                yield SystemCommand(title, command.help, getattr(node, f"action_{command.id}"))


def _settle() -> None:
    """What exists now lives as long as the room: no pause to look at it again."""
    gc.enable()
    gc.collect()
    gc.freeze()
