"""How states and figures read: one symbol, one word and one style each, so that colour is never the only sign."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len, set_cell_size

from swarm_core.vocabulary.budgets import WARNING_SHARE, Amounts, share
from swarm_core.vocabulary.entities import Instance, Run, Task, Usage
from swarm_core.vocabulary.view import RunView

INSTANCE = {
    "starting": ("◌", "muted"),
    "idle": ("○", "muted"),
    "busy": ("●", "good"),
    "waiting": ("◔", "accent"),
    "stalled": ("◍", "bad"),
    "paused": ("‖", "accent"),
    "failed": ("✗", "bad"),
    "retired": ("·", "muted"),
}
TASK = {
    "pending": ("·", "muted"),
    "ready": ("◇", "tool"),
    "running": ("●", "good"),
    "verifying": ("◈", "accent"),
    "merging": ("⇡", "tool"),
    "done": ("✓", "good"),
    "blocked": ("■", "bad"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "muted"),
    "skipped": ("⊘", "muted"),
}
GATE = {
    "evaluating": ("…", "muted"),
    "open": ("⚑", "accent"),
    "passed": ("✓", "good"),
    "blocked": ("✗", "bad"),
    "aborted": ("⊘", "muted"),
}
CHECK = {
    "pass": ("✓", "good"),
    "fail": ("✗", "bad"),
    "error": ("✗", "bad"),
    "not_measured": ("?", "accent"),
}
ARTIFACT = {
    "declared": ("·", "muted"),
    "draft": ("◌", "plain"),
    "valid": ("✓", "good"),
    "invalid": ("✗", "bad"),
    "sealed": ("◆", "good"),
    "stale": ("△", "accent"),
    "superseded": ("⊘", "muted"),
}
FINDING = {
    "open": ("○", "bad"),
    "fixing": ("●", "tool"),
    "fixed": ("◈", "accent"),
    "unresolved": ("■", "bad"),
    "closed": ("✓", "muted"),
}
SEVERITY = {"CRITICAL": "bad", "HIGH": "bad", "MEDIUM": "accent", "LOW": "muted"}
RUN = {
    "created": ("starting", "plain"),
    "running": ("running", "plain"),
    "awaiting_operator": ("waiting for you", "accent"),
    "paused": ("‖ paused", "accent"),
    "halted": ("■ halted", "bad"),
    "recovering": ("↺ rolling back", "accent"),
    "completed": ("finished, not landed", "plain"),
    "failed": ("failed", "bad"),
    "aborted": ("aborted", "muted"),
}
MODE = {"drain": ("‖ draining", "accent"), "stop": ("■ stopped", "bad")}
"""How a run is held, where that says more than its status."""
LOG = {
    "say": ("  ", "plain"),
    "think": ("~ ", "think"),
    "tool": ("▸ ", "tool"),
    "result": ("  ", "muted"),
    "denied": ("✗ ", "denied"),
    "note": ("· ", "muted"),
    "error": ("! ", "bad"),
    "operator": ("» ", "accent"),
}


def run_state(run: Run) -> tuple[str, str]:
    """A run's state in a word, and its style."""
    if run.landed:
        return ("landed", "good")
    if run.status in ("paused", "halted") and run.pause in MODE:
        return MODE[run.pause]
    return RUN.get(run.status, (run.status, "plain"))


def task_state(task: Task, view: RunView) -> tuple[str, str, str]:
    """A task's mark, word and style. After an emergency stop nobody works, whatever was begun."""
    instance = view.instances.get(task.instance)
    if task.status == "running" and view.run.pause == "stop":
        return ("■", "stopped", "bad")
    if task.status == "running" and instance is not None and instance.status in ("paused", "stalled"):
        symbol, style = INSTANCE[instance.status]
        return (symbol, instance.status, style)
    symbol, style = TASK.get(task.status, ("?", "muted"))
    return ("‖", task.status, "accent") if task.held else (symbol, task.status, style)


def instance_state(instance: Instance, run: Run) -> tuple[str, str]:
    """An instance's mark and word, with the same exception."""
    if run.pause == "stop" and instance.status in ("busy", "waiting", "stalled", "paused"):
        return ("■", "stopped")
    return (INSTANCE.get(instance.status, ("?", ""))[0], instance.status)


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells; characters can be two cells wide."""
    used = len(text) if text.isascii() else cell_len(text)
    if used <= width:
        return text + " " * (width - used)
    return set_cell_size(text, max(0, width - 1)) + "…"


def some(number: int, one: str, many: str = "") -> str:
    """``1 agent``, ``3 agents``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def short(number: int) -> str:
    """``950``, ``12.3k``, ``1.2M``."""
    if number < 1_000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1_000:.1f}k"
    return f"{number / 1_000_000:.1f}M"


def spent(usage: Usage) -> str:
    return f"{short(usage.tokens)} tok ${usage.cost_usd:.2f}"


def tightest(view: RunView) -> tuple[str, str]:
    """The budget of which most is spent (``62% of run.usd``) and its style; empty if there is none."""
    shares = [
        (share(budget, view.spent.get(budget.scope, Amounts()).of(budget.dimension)), budget)
        for budget in view.budgets.values()
    ]
    if not shares:
        return ("", "muted")
    used, budget = max(shares, key=lambda pair: (pair[1].status == "exhausted", pair[0]))
    if budget.status == "exhausted":
        return (f"{budget.id} used up", "bad")
    return (f"{int(used * 100)}% of {budget.id}", "accent" if used >= WARNING_SHARE else "muted")


def cached(usage: Usage) -> str:
    """``cache 87 %``: how much of the prompts came from the provider's cache; nothing where nothing was cached."""
    if usage.cache_hit_rate is None or not usage.cache_read_tokens + usage.cache_write_tokens:
        return ""
    return f"cache {usage.cache_hit_rate * 100:.0f} %"


def elapsed(start: str, end: str) -> str:
    """``1:02:03`` or ``2:03`` between two times of the journal."""
    between_s = seconds_between(start, end)
    if between_s is None:
        return ""
    hours, rest = divmod(max(0, int(between_s)), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def seconds_between(start: str, end: str) -> float | None:
    """Seconds from one time of the journal to another; None if one of them is no time."""
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None
