"""How many calls may be under way at once, found out by trying: more after each success, half after trouble.

Where a server names its limits the window soon opens wider than they let anybody go; where it does not, this is what
holds the swarm back (additive increase, multiplicative decrease: Chiu and Jain, 1989).
"""

from __future__ import annotations

START = 8.0
MOST = 1024.0
DECREASE = 0.5
APART_S = 1.0


class Window:
    """``size`` calls at once. It grows by one for each success until the first trouble, then by one for each round."""

    def __init__(self, start: float = START) -> None:
        self.size = start
        self._has_shrunk = False
        self._shrunk_s = float("-inf")

    def succeeded(self, under_way: int) -> None:
        """A call came back; ``under_way`` counts it. A window that is not used says nothing about a larger one."""
        if under_way * 2 >= self.size:
            self.size = min(MOST, self.size + (1.0 / self.size if self._has_shrunk else 1.0))

    def shrink(self, under_way: int, now_s: float) -> None:
        """Trouble. What was under way together fails together, and counts once."""
        if now_s - self._shrunk_s < APART_S:
            return
        self._has_shrunk, self._shrunk_s = True, now_s
        self.size = max(1.0, min(self.size, float(max(under_way, 2))) * DECREASE)
