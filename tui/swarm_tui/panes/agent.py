"""One instance: what it is at, on which branch, for how much, and its log as it grows."""

from __future__ import annotations

from textual.content import Content

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Instance, Run, Task
from swarm_core.vocabulary.events import OPERATOR
from swarm_tui import words
from swarm_tui.widgets.log_pane import LogPane

FRAME_BYTES = 32 << 10
MARKED = ("waiting", "stalled", "paused", "failed")
"""States with an edge of their own, and a reason."""


class AgentPane(LogPane):
    """Tails its instance's log while it is in sight; out of sight it costs nothing."""

    def __init__(self, number: int, instance: Instance, client: SwarmClient, run: str) -> None:
        super().__init__(id=f"agent-{instance.id}", classes="agent")
        self.number, self.instance = number, instance
        self.work: Task | None = None
        self.run = Run()
        self._reader = client.log_reader(run, instance.id)

    def empty_text(self) -> str:
        if self.instance.status == "starting":
            return "The worktree is being made."
        return "What this agent says and does appears here."

    def tell(self, instance: Instance, task: Task | None, run: Run) -> None:
        """Take the instance's state."""
        self.instance, self.work, self.run = instance, task, run
        for status in MARKED:
            self.set_class(instance.status == status, f"-{status}")
        self.news()

    def tail(self) -> None:
        """Read what the log gained; a pane that fell far behind starts near the end."""
        if not self._reader.has_news():
            return
        rows = []
        for line in self._reader.poll(FRAME_BYTES):
            mark, style = words.LOG.get(line.kind, ("? ", "muted"))
            rows.append(((mark, style), (line.text, style)))
        self.extend(rows)

    def news(self) -> None:
        instance, task = self.instance, self.work
        symbol, status = words.instance_state(instance, self.run)
        state = "" if task is None or task.status == "running" else f"{task.status}: "
        what = f" · {task.id} {state}{task.title}" if task else ""
        why = f" ({instance.reason})" if instance.reason and instance.status in MARKED else ""
        why += f" · ↗ {task.worker}" if task and task.worker else ""
        number = f"{self.number} " if self.number < 10 else ""
        title = f" {number}{instance.id} {symbol} {status}{why}{what} "
        self.border_title = Content(clean_line(title, 200))
        new = f"+{self.unseen} new · " if self.unseen else ""
        denied = f"✗ {instance.denials} denied · " if instance.denials else ""
        cached = f" · {told}" if (told := words.cached(instance.usage)) else ""
        where = f"{instance.branch} · {words.spent(instance.usage)}{cached}"
        if task and task.status == "running" and task.worker == OPERATOR:
            where = f"i hand in · I give back · yours: {instance.worktree}"
        subtitle = f" {new}{denied}{where} "
        self.border_subtitle = Content(clean_line(subtitle, 200))

    def on_unmount(self) -> None:
        self._reader.close()
