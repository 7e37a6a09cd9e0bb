"""What lies beside the journal: the projections that are written from it and the documents that gates show."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Protocol

from swarm_core.journal.projections import projections, replace_durably, write
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.view import RunView


class Papers(Protocol):
    """Writes projections and documents, and says which bytes a document has now."""

    async def project(self, view: RunView, repo: RepoLayout) -> None:
        """Write the projections of ``view`` as it is when this is called. Raises OSError."""
        ...

    async def keep(self, document: Path, data: bytes) -> None:
        """Write a document durably, whole or not at all. Raises OSError."""
        ...

    async def sha256(self, document: Path) -> str:
        """The SHA-256 of a file's bytes in hexadecimal; "" if it cannot be read."""
        ...


class PapersOnDisk:
    """The files themselves, in a thread so that a slow device holds up nobody."""

    async def project(self, view: RunView, repo: RepoLayout) -> None:
        await asyncio.to_thread(write, projections(view, repo))

    async def keep(self, document: Path, data: bytes) -> None:
        await asyncio.to_thread(replace_durably, document, data)

    async def sha256(self, document: Path) -> str:
        return await asyncio.to_thread(_sha256, document)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
