"""No commit holds a secret that was not in the repository before: what is about to be committed is read first.

It is read twice: the files, so that no object with a secret is made, and then the tree, which is what the commit will
hold even if a file changed in between.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.vocabulary.secrets import Secrets

from .desk import Desk

BATCH = 64
_SUBMODULE = "160000"


class SecretFound(WorkspaceError):
    """A commit would hold secrets; ``paths`` are the files, the message shows places and not what is there."""

    def __init__(self, message: str, *, paths: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.paths = paths


@dataclass(frozen=True, slots=True)
class _Changed:
    path: str
    before: str
    after: str


async def refuse_secrets(desk: Desk, before: str, after: str) -> None:
    """Raise SecretFound if tree ``after`` holds a secret that the same file of tree ``before`` does not."""
    listed = await desk.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", before, after)
    changed = list(_changed(listed.fields))
    places: list[tuple[str, int]] = []
    for start in range(0, len(changed), BATCH):
        some = changed[start : start + BATCH]
        blobs = await _blobs(desk, [oid for change in some for oid in (change.before, change.after)])
        places += await asyncio.to_thread(_places, desk.secrets, some, blobs)
    if places:
        raise _found(places)


async def refuse_secret_files(desk: Desk, root: Path, before: str, paths: Sequence[str]) -> None:
    """The same for files of a worktree that are about to be staged on top of tree ``before``."""
    suspects = await asyncio.to_thread(lambda: [path for path in paths if _line(desk.secrets, root, path, b"") >= 0])
    places = []
    for path in suspects:
        line = await asyncio.to_thread(_line, desk.secrets, root, path, await _committed(desk, before, path))
        if line >= 0:
            places.append((path, line))
    if places:
        raise _found(places)


async def tells_a_secret(desk: Desk, root: Path, before: str, path: str) -> bool:
    """Whether a file of a worktree holds a secret that the same file of tree ``before`` does not."""
    try:
        await refuse_secret_files(desk, root, before, [path])
    except SecretFound:
        return True
    return False


async def _committed(desk: Desk, tree: str, path: str) -> bytes:
    found = await desk.git("cat-file", "blob", f"{tree}:{path}", ok=(0, 128))
    return b"" if found.code else found.stdout


def _line(secrets: Secrets, root: Path, path: str, before: bytes) -> int:
    """The line with a new secret, 0 for the file's name, -1 for none."""
    if secrets.found(path.encode("utf-8", "surrogateescape")):
        return 0
    try:
        file = root / path
        data = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
    except OSError:
        return -1
    return secrets.line_of(data, before) or -1


def _found(places: Sequence[tuple[str, int]]) -> SecretFound:
    shown = [f"{clean_line(path, 200)} line {line}" if line else "the name of a file" for path, line in places[:5]]
    more = f" and {len(places) - 5} more" if len(places) > 5 else ""
    return SecretFound(
        f"nothing was committed: a secret is in {', '.join(shown)}{more}",
        paths=tuple(path for path, _ in places),
        hint="take it out (read it from the environment or from a file that is not committed), then commit again",
    )


def _changed(fields: Sequence[str]) -> Iterator[_Changed]:
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, before, after, _ = facts.split(" ")
        if mode != _SUBMODULE and set(after) != {"0"}:
            yield _Changed(path, before, after)


async def _blobs(desk: Desk, oids: Sequence[str]) -> dict[str, bytes]:
    wanted = [oid for oid in dict.fromkeys(oids) if set(oid) != {"0"}]
    found: dict[str, bytes] = {}
    out = (await desk.git("cat-file", "--batch", input="".join(f"{oid}\n" for oid in wanted).encode())).stdout
    at = 0
    for oid in wanted:
        end = out.index(b"\n", at)
        words = out[at:end].split()
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            found[oid] = out[at : at + size]
            at += size + 1
    return found


def _places(secrets: Secrets, some: Sequence[_Changed], blobs: dict[str, bytes]) -> list[tuple[str, int]]:
    found = []
    for change in some:
        if secrets.found(change.path.encode("utf-8", "surrogateescape")):
            found.append((change.path, 0))
        elif line := secrets.line_of(blobs.get(change.after, b""), blobs.get(change.before, b"")):
            found.append((change.path, line))
    return found
