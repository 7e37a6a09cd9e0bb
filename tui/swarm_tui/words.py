"""How states and figures read: one symbol, one word and one style each, so that colour is never the only sign."""

from __future__ import annotations

from datetime import datetime

from swarm_core.vocabulary.entities import Usage

INSTANCE = {
    "starting": ("◌", "muted"),
    "idle": ("○", "muted"),
    "busy": ("●", "good"),
    "waiting": ("◔", "accent"),
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
RUN = {
    "created": "starting",
    "running": "running",
    "awaiting_operator": "waiting for you",
    "completed": "completed",
    "failed": "failed",
    "aborted": "aborted",
}
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


def short(number: int) -> str:
    """``950``, ``12.3k``, ``1.2M``."""
    if number < 1_000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1_000:.1f}k"
    return f"{number / 1_000_000:.1f}M"


def spent(usage: Usage) -> str:
    return f"{short(usage.tokens)} tok ${usage.cost_usd:.2f}"


def elapsed(start: str, end: str) -> str:
    """``1:02:03`` or ``2:03`` between two times of the journal."""
    try:
        seconds = int((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
    except ValueError:
        return ""
    hours, rest = divmod(max(0, seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
