"""Where a worktree stands, as it is remembered on the desk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a worktree stands: its commit and the tree its files are compared with.

    Between ``start_conflict`` and the commit that resolves it, ``onto`` is the second parent and ``tree`` holds both
    sides with markers in ``conflicts``. While ``is_settled`` is False the files are still being moved there.
    """

    tip: str
    tree: str
    onto: str = ""
    conflicts: tuple[str, ...] = ()
    is_settled: bool = True
