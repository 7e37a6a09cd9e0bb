"""Notices when a configuration changed under the runs that began with it. They go on with what they began with."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path

from swarm_core.vocabulary.events import Draft

from .runner import Runner


class Drift:
    """Looks at one file. Costs one ``stat`` while nothing changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None

    def forget(self) -> None:
        """Look again even if the file did not change: there is a new run to compare it with."""
        self._seen = None

    async def look(self, runners: Iterable[Runner]) -> None:
        """Journal once for each run that the file is not what it began with, or is so again."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        sha256 = await asyncio.to_thread(self._sha256)
        for runner in runners:
            run = runner.view.run
            if not run.spec_sha256 or runner.view.is_over:
                continue
            has_drifted, is_known = sha256 != run.spec_sha256, self.path.name in run.drift
            if has_drifted != is_known:
                data = {"path": self.path.name, "sha256": sha256, "was": run.spec_sha256}
                await runner.record(Draft("spec.drift", data))

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)

    def _sha256(self) -> str:
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError:
            return ""
