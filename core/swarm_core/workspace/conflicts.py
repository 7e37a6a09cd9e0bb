"""Conflict markers that an agent left in the files of a merge it was to resolve."""

from __future__ import annotations

from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import WorkspaceError

from . import files
from .content import MAX_FILE_BYTES, markers
from .desk import Desk
from .stand import Stand


async def refuse_unresolved(desk: Desk, tree: Path, stand: Stand, instance: str) -> None:
    """Raises WorkspaceError with the files that hold more marker lines than either side of the merge has by itself."""
    left = []
    for path in stand.conflicts:
        file = tree / path
        if files.obstacle(tree, path) or file.is_symlink() or not file.is_file():
            continue
        content = file.read_bytes() if file.stat().st_size <= MAX_FILE_BYTES else b""
        known = await _known(desk, stand, path)
        if any(now > before for now, before in zip(markers(content), known, strict=True)):
            left.append(clean_line(path))
    if left:
        raise WorkspaceError(
            f"conflict markers are left in {', '.join(left)} (worktree of {instance})",
            hint="edit these files until no line starts with <<<<<<<, |||||||, ======= or >>>>>>>",
        )


async def _known(desk: Desk, stand: Stand, path: str) -> list[int]:
    """How many lines of each kind of marker the two sides of a conflicted path have by themselves."""
    sides = []
    for side in (stand.tip, stand.onto):
        found = await desk.git("cat-file", "blob", f"{side}:{path}", ok=(0, 128))
        sides.append(markers(found.stdout if found.code == 0 else b""))
    return [max(pair) for pair in zip(*sides, strict=True)]
