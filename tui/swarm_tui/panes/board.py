"""The task board: every task with its state, who does it, and what it waits for."""

from __future__ import annotations

from textual.content import Content

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.view import RunView
from swarm_tui import reasons, words
from swarm_tui.widgets.line_pane import LinePane, Row
from swarm_tui.words import fit

WIDE = 56
COLUMNS = ("pending", "ready", "running", "verifying", "merging", "blocked", "done", "failed")


class TaskBoard(LinePane):
    """One row a task, in the plan's order; the cursor stays on its task."""

    has_cursor = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.tasks: list[Task] = []
        self.view = RunView()
        self.now = ""

    @property
    def row_count(self) -> int:
        return len(self.tasks)

    @property
    def chosen(self) -> Task | None:
        return self.tasks[self.cursor] if self.tasks else None

    def empty_text(self) -> str:
        return "The architect's plan fills this board."

    def tell(self, view: RunView, now: str) -> None:
        before = self.chosen
        self.view, self.now = view, now
        self.tasks = list(view.tasks.values())
        if before is not None:
            self.cursor = next((i for i, task in enumerate(self.tasks) if task.id == before.id), self.cursor)
        counts = [(name, sum(task.status == name for task in self.tasks)) for name in COLUMNS]
        counts.insert(0, ("backlog", sum(finding.resolution == "backlog" for finding in view.findings.values())))
        told = " · ".join(f"{count} {name}" for name, count in counts if count)
        self.border_title = Content(f" Tasks {'· ' + told if told else ''} ")
        self.forget()

    def tick(self, now: str) -> None:
        """Let what counts down count down."""
        if any(reasons.rests_s(self.view.tasks[name], self.now) for name in self.view.index.in_status("ready")):
            self.now = now
            self.forget()

    def forget(self) -> None:
        super().forget()
        self._say_why()

    def move_to(self, index: int) -> None:
        super().move_to(index)
        self._say_why()

    def _say_why(self) -> None:
        """The whole reason of the task under the cursor stands in the lower edge."""
        task = self.chosen
        why = reasons.whole_story(self.view, task, self.now) if task else ""
        said = f" {task.id.removeprefix('task_')} {why} " if task and why else ""
        self.border_subtitle = Content(clean_line(said, max(20, self.content_size.width - 2)))

    def row(self, index: int) -> Row:
        task = self.tasks[index]
        symbol, state, style = words.task_state(task, self.view)
        wide = self.content_size.width
        service = fit(clean_line(_who(task)), 12 if wide >= WIDE else 9)
        left = wide - 9 - len(service)  # for the title and what is said about it
        end = max(22, min(48, wide - 60)) if wide >= WIDE else 9
        why = clean_line(reasons.next_step(self.view, task, self.now))
        if why and (task.status != "pending" or task.held):
            end = end if wide >= WIDE else min(left - max(12, left // 3), max(len(why), end))
            tail = [(fit(why, end), style if style in ("bad", "accent") else "muted")]
        else:
            tail = [(f"{state:<9}", style), (f" {self._more(task):>11} ".ljust(end - 9) if end > 9 else "", "muted")]
        title = max(8, left - end)
        return (
            (f" {symbol} ", style),
            (f"{task.id.removeprefix('task_')} ", "strong"),
            (f"{fit(clean_line(_title(task)), title)} ", "think" if task.is_planning else "plain"),
            (f"{service} ", "muted"),
            *tail,
        )

    def _more(self, task: Task) -> str:
        """The figure that matters in this state."""
        if task.status == "pending":
            return fit(reasons.next_step(self.view, task, self.now), 11).rstrip()
        again = f"r{task.iteration} " if task.iteration > 1 else ""
        if task.stat.files:
            return f"{again}+{task.stat.insertions} −{task.stat.deletions}"
        return f"{again}{words.short(task.usage.tokens)} tok" if task.usage.tokens else again


def _who(task: Task) -> str:
    """Who works on it: a worker outside the engine by its own name."""
    return f"↗ {task.worker}" if task.worker else task.instance or task.assigned_to


def _title(task: Task) -> str:
    return f"plan: {task.title}" if task.is_planning and not task.title.startswith("Plan") else task.title
