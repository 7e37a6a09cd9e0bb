"""The room itself: agents above, the task board and the gates below."""

from __future__ import annotations

from math import ceil

from textual import on
from textual.app import ComposeResult
from textual.containers import Grid, Horizontal
from textual.widget import Widget
from textual.widgets import Input

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Gate, Task
from swarm_tui import commands, reasons, words
from swarm_tui.panes.agent import AgentPane
from swarm_tui.panes.board import TaskBoard
from swarm_tui.panes.gates import GateQueue
from swarm_tui.widgets.bars import Bar, Heading, KeyBar, spread
from swarm_tui.widgets.line_pane import LinePane, Row

from .yours import Yours

WIDE = 110


class ControlScreen(Yours):
    """Nothing here takes the focus by itself: a gate that opens changes a count, a colour and rings once."""

    BINDINGS = [
        *commands.bindings("room", "run"),
        *((str(n), f"focus_agent({n})", f"Agent {n}") for n in range(1, 10)),
    ]

    def compose(self) -> ComposeResult:
        yield Bar(id="state")
        yield Heading(id="banner")
        yield Grid(id="agents")
        with Horizontal(id="below"):
            yield TaskBoard(id="board")
            yield GateQueue(id="gates")
        yield Heading(id="said")
        yield Input(id="words", compact=True)
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one("#said").display = False
        self.query_one("#words").display = False
        self.query_one(TaskBoard).focus()
        self.told()

    # -- showing

    @property
    def panes(self) -> list[AgentPane]:
        return list(self.query(AgentPane))

    def told(self) -> None:
        view = self.store.view
        panes = {pane.instance.id: pane for pane in self.panes}
        for number, instance in enumerate(view.instances.values(), 1):
            pane = panes.get(instance.id)
            if pane is None:
                pane = AgentPane(number, instance, self.client, self.store.run)
                self.query_one("#agents", Grid).mount(pane)
            pane.tell(instance, view.tasks.get(instance.task) or self._unfinished_task_of(instance.id), view.run)
        self._arrange()
        self.query_one(TaskBoard).tell(view, self.room.clock.now())
        self.query_one(GateQueue).tell(view)
        self._show_banner()
        self.judge_answers()
        self.show_state()

    def _show_banner(self) -> None:
        rows = reasons.banner(self.store.view, self.room.clock.now())
        banner = self.query_one("#banner", Heading)
        banner.display = bool(rows)
        banner.show(*rows)
        useless = "pause_run" if self.store.view.is_held else "resume_run"
        offered = [*commands.of("room"), *commands.of("global"), *commands.of("run")]
        self.query_one(KeyBar).offer(command for command in offered if command.id != useless)

    def _arrange(self) -> None:
        """Show who works; those who left make room, until nobody works any more."""
        zoomed = [pane for pane in self.panes if pane.has_class("-zoomed")]
        live = [pane for pane in self.panes if pane.instance.status != "retired"]
        shown = zoomed or live or self.panes
        for pane in self.panes:
            pane.display = pane in shown
        columns = 1 if len(shown) < 2 else 2 if len(shown) < 5 or self.size.width < WIDE else 3
        grid = self.query_one("#agents", Grid)
        grid.styles.grid_size_columns = columns
        grid.styles.grid_size_rows = max(1, ceil(len(shown) / columns))

    def tail(self) -> None:
        """Let the panes in sight read their logs."""
        for pane in self.panes:
            if pane.display:
                pane.tail()

    def pulse(self) -> None:
        """Twice a second: what changes by time alone."""
        self.query_one(TaskBoard).tick(self.room.clock.now())
        self.tick()
        if self.store.view.limits:
            self._show_banner()
        self.show_state()

    def show_state(self) -> None:
        """The line above: what a glance must tell."""
        bar = self.query_one("#state", Bar)
        bar.show(spread(self._left(), self._right(), self.size.width))

    def _left(self) -> Row:
        run = self.store.view.run
        title = clean_line(run.title or self.store.run)
        over = f"  {': '.join(filter(None, (run.outcome, run.reason)))}" if self.store.view.is_over else ""
        return ((" swarm-tui ", "accent"), (f" {title}", "strong"), (clean_line(over), "muted"))

    def _right(self) -> Row:
        store = self.store
        view, run = store.view, store.view.run
        state, style = words.run_state(run)
        end = run.ended_at or self.room.clock.now()
        waiting = len(view.open_gates)
        row: list[tuple[str, str]] = [
            (f"{state} ", style),
            (f"· {words.elapsed(run.created_at, end)} · {words.spent(view.usage)} ", "muted"),
        ]
        budget, look = words.tightest(view)
        if budget:
            row.append((f"· {clean_line(budget)} ", look))
        if waiting:
            row.append((f"⚑ {words.some(waiting, 'gate')} ", "accent"))
        if elsewhere := self.room.runs.waiting(self.store.run):
            row.append((f"⚑ {words.some(elsewhere, 'other run')} (s) ", "accent"))
        row.append(self._engine())
        return row

    def _engine(self) -> tuple[str, str]:
        engine = self.store.engine
        if not self.store.is_engine_lost:
            if not engine.is_alive:
                return ("○ no engine ", "muted")
            troubled = engine.message.startswith("paused")
            return (f"■ {clean_line(engine.message, 40)} ", "bad") if troubled else ("● engine ", "good")
        if engine.is_alive:
            return (f"✗ engine silent for {engine.heartbeat_age_s:.0f} s, E ", "bad")
        if not engine.pid or engine.message == "stopped":
            return ("✗ no engine, E starts it ", "bad")
        return (f"✗ engine lost {engine.heartbeat_age_s:.0f} s ago, E starts it ", "bad")

    # -- doing

    def action_focus_agent(self, number: int) -> None:
        for pane in self.panes:
            if pane.number == number and pane.display:
                if pane.has_focus:
                    self.action_zoom()
                pane.focus()

    def action_next_pane(self) -> None:
        self._step(1)

    def action_previous_pane(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        shown = [pane for pane in self.panes if pane.display]
        if not shown:
            return
        at = next((i for i, pane in enumerate(shown) if pane.has_focus), -1 if by > 0 else 0)
        shown[(at + by) % len(shown)].focus()

    def action_zoom(self) -> None:
        pane = self.focused if isinstance(self.focused, AgentPane) else None
        zoomed = [p for p in self.panes if p.has_class("-zoomed")]
        for other in zoomed:
            other.remove_class("-zoomed")
        if not zoomed and pane is not None:
            pane.add_class("-zoomed")
        elif not zoomed:
            self.notify("Go to an agent's pane first: its number, or ]", markup=False)
        self.set_class(bool(self.query("AgentPane.-zoomed")), "-zoom")
        self._arrange()

    def key_escape(self) -> None:
        if not self.close_words() and not self.withdraw() and self.query("AgentPane.-zoomed"):
            self.action_zoom()

    def action_focus_gates(self) -> None:
        self.query_one(GateQueue).focus()

    def action_focus_board(self) -> None:
        self.query_one(TaskBoard).focus()

    def action_open(self) -> None:
        queue = self.query_one(GateQueue)
        if queue.has_focus:
            if queue.chosen is not None:
                self.room.open_gate(queue.chosen.id)
            return
        self.action_diff()

    def action_diff(self) -> None:
        focused: Widget | None = self.focused
        board = self.query_one(TaskBoard)
        task = board.chosen
        if isinstance(focused, AgentPane):
            task = self.store.view.tasks.get(focused.instance.task) or self._last_task_of(focused.instance.id)
        gate = self.store.document_of(task) if task else None
        if gate is None:
            self.notify("Nothing was handed off here yet: there is no document to show.", markup=False)
            return
        if gate.status == "open":
            self.room.open_gate(gate.id)
        else:
            self.room.open_document(gate)

    def _unfinished_task_of(self, instance: str) -> Task | None:
        """What an idle instance handed in and still waits for."""
        tasks = self.store.view.tasks.values()
        return next((t for t in tasks if t.instance == instance and t.status not in ("done", "cancelled")), None)

    def _last_task_of(self, instance: str) -> Task | None:
        done = [task for task in self.store.view.tasks.values() if task.instance == instance]
        return done[-1] if done else None

    def action_activity(self) -> None:
        self.room.open_activity()

    def action_runs(self) -> None:
        self.room.open_runs()

    # -- what the keys mean

    def focus_back(self) -> None:
        self.query_one(TaskBoard).focus()

    def task_here(self) -> Task | None:
        focused = self.focused
        tasks = self.store.view.tasks
        if isinstance(focused, AgentPane):
            return tasks.get(focused.instance.task) or self._unfinished_task_of(focused.instance.id)
        if isinstance(focused, GateQueue):
            return tasks.get(focused.chosen.task) if focused.chosen else None
        return self.query_one(TaskBoard).chosen

    def service_here(self) -> str:
        if isinstance(self.focused, AgentPane):
            return self.focused.instance.service
        task = self.task_here()
        return task.assigned_to if task else ""

    def gate_here(self) -> Gate | None:
        return self.query_one(GateQueue).chosen

    @on(LinePane.Moved)
    def _moved(self, event: LinePane.Moved) -> None:
        event.stop()

    @on(LinePane.Opened)
    def _opened(self, event: LinePane.Opened) -> None:
        event.stop()
        self.action_open()
