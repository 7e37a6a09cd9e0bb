"""How long a tool's result may be: what a turn adds to the history is paid for again with every later turn.

A result of up to ``MAX_CHARS`` characters, or a failure of up to ``MAX_FAILURE_CHARS``, is given whole. Of anything
longer the model sees the beginning and the end, ``PREVIEW_CHARS`` together, and where the rest is.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarm_core.vocabulary.ids import ulid

MAX_CHARS = 30_000
MAX_FAILURE_CHARS = 10_000
PREVIEW_CHARS = 9_000


def fits(text: str, *, is_error: bool) -> bool:
    """Whether a result is short enough to be given whole."""
    return len(text) <= (MAX_FAILURE_CHARS if is_error else MAX_CHARS)


def bounded(text: str, *, is_error: bool, directory: Path | None) -> str:
    """``text``, or a preview of it; all of it is then kept in a new file of ``directory``, if there is one."""
    if fits(text, is_error=is_error):
        return text
    where = "the rest is lost; ask for less"
    if directory is not None:
        data = text.encode("utf-8", "replace")
        where = f"all of it is in {kept(data, directory)}"
    return preview(text, text, f"{len(text)} characters; {where}")


def preview(head: str, tail: str, notice: str) -> str:
    """The beginning of ``head`` and the end of ``tail`` with ``notice`` between them."""
    half = PREVIEW_CHARS // 2
    return f"{head[:half]}\n\n[… cut: {notice} …]\n\n{tail[-half:]}"


def kept(data: bytes | bytearray, directory: Path) -> Path:
    """A new file of ``directory`` that holds ``data``. Raises OSError."""
    path = directory / f"output-{ulid().lower()}.txt"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
    return path
