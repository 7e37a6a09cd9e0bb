"""What lies beside the journal: the projections written from it, the documents that gates show, and its own past."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Protocol

from swarm_core.journal.projections import projections, replace_durably, write
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.view import RunView

from .rollback import settled_at, view_at


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

    async def view_at(self, journal: Path, seq: int) -> RunView:
        """What was true after event ``seq``. Raises JournalError if there is no such event."""
        ...

    async def settled_at(self, journal: Path, gate: Gate) -> int:
        """The event with which the decision of a passed gate had its effect."""
        ...


class PapersOnDisk:
    """The files themselves, in a thread so that a slow device holds up nobody."""

    async def project(self, view: RunView, repo: RepoLayout) -> None:
        await asyncio.to_thread(write, projections(view, repo))

    async def keep(self, document: Path, data: bytes) -> None:
        await asyncio.to_thread(replace_durably, document, data)

    async def sha256(self, document: Path) -> str:
        return await asyncio.to_thread(_sha256, document)

    async def view_at(self, journal: Path, seq: int) -> RunView:
        return await asyncio.to_thread(view_at, journal, seq)

    async def settled_at(self, journal: Path, gate: Gate) -> int:
        return await asyncio.to_thread(settled_at, journal, gate)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
