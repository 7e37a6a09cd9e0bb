"""Which secrets the engine knows: those of its own environment, and those in the repository's ``.env`` files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from swarm_core.vocabulary.secrets import Secrets

MAX_DEPTH = 3
MAX_FILES = 64
MAX_FILE_BYTES = 256 * 1024
MAX_ENTRIES = 20_000
_SKIPPED = frozenset(
    {".git", ".runs", ".multi-agent", "node_modules", ".venv", "venv", "target", "dist", "__pycache__"}
)


def secrets_of(root: Path) -> Secrets:
    """Read the environment and ``.env``, ``.env.*`` and ``*.env`` near the top of the repository. Blocks."""
    return Secrets.of(os.environ, _texts(root))


def _texts(root: Path) -> Iterator[str]:
    for count, path in enumerate(_env_files(root)):
        if count == MAX_FILES:
            return
        try:
            with path.open("rb") as file:
                yield file.read(MAX_FILE_BYTES).decode("utf-8", "surrogateescape")
        except OSError:
            continue


def _env_files(root: Path) -> Iterator[Path]:
    todo, seen = [(root, 0)], 0
    while todo and seen < MAX_ENTRIES:
        directory, depth = todo.pop(0)
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError:
            continue
        seen += len(entries)
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH and name not in _SKIPPED:
                    todo.append((Path(entry.path), depth + 1))
            elif (name == ".env" or name.startswith(".env.") or name.endswith(".env")) and entry.is_file():
                yield Path(entry.path)
