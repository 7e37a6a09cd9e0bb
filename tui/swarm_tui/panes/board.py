"""The task board: every task with its state, who does it, and what it waits for."""

from __future__ import annotations

from textual.content import Content

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.view import RunView
from swarm_tui import words
from swarm_tui.widgets.line_pane import LinePane, Row

WIDE = 56
COLUMNS = ("pending", "ready", "running", "verifying", "merging", "blocked", "done", "failed")


class TaskBoard(LinePane):
    """One row a task, in the plan's order; the cursor stays on its task."""

    has_cursor = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.tasks: list[Task] = []

    @property
    def row_count(self) -> int:
        return len(self.tasks)

    @property
    def chosen(self) -> Task | None:
        return self.tasks[self.cursor] if self.tasks else None

    def empty_text(self) -> str:
        return "The architect's plan fills this board."

    def tell(self, view: RunView) -> None:
        before = self.chosen
        self.tasks = list(view.tasks.values())
        if before is not None:
            self.cursor = next((i for i, task in enumerate(self.tasks) if task.id == before.id), self.cursor)
        counts = [(name, sum(task.status == name for task in self.tasks)) for name in COLUMNS]
        told = " · ".join(f"{count} {name}" for name, count in counts if count)
        self.border_title = Content(f" Tasks {'· ' + told if told else ''} ")
        self.forget()

    def row(self, index: int) -> Row:
        task = self.tasks[index]
        symbol, style = words.TASK.get(task.status, ("?", "muted"))
        more = self._more(task)
        wide = self.content_size.width
        figures = f" {more:>11} " if wide >= WIDE else ""
        service = fit(clean_line(task.instance or task.assigned_to), 12 if wide >= WIDE else 9)
        title = max(8, wide - 18 - len(service) - len(figures))
        return (
            (f" {symbol} ", style),
            (f"{task.id.removeprefix('task_')} ", "strong"),
            (f"{fit(clean_line(task.title), title)} ", "plain"),
            (f"{service} ", "muted"),
            (f"{task.status:<9}", style),
            (figures, "muted"),
        )

    def _more(self, task: Task) -> str:
        """The figure that matters in this state."""
        if task.status == "pending":
            done = {t.id for t in self.tasks if t.status == "done"}
            waits = [d.removeprefix("task_") for d in task.dependencies if d not in done]
            return f"needs {','.join(waits)}" if waits else ""
        again = f"r{task.iteration} " if task.iteration > 1 else ""
        if task.stat.files:
            return f"{again}+{task.stat.insertions} −{task.stat.deletions}"
        return f"{again}{words.short(task.usage.tokens)} tok" if task.usage.tokens else again


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` characters."""
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)
