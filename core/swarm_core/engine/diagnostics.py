"""Structured diagnostics of the engine process: JSON lines in ``.multi-agent/engine.jsonl``.

These are for finding out why the engine misbehaved. What happened to a run is in its journal.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from swarm_core.vocabulary.clock import Clock

LOGGER = logging.getLogger("swarm")
MAX_LOG_BYTES = 4 << 20


class _JsonLines(logging.Formatter):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def format(self, record: logging.LogRecord) -> str:
        body = {"ts": self.clock.now(), "level": record.levelname.lower(), "message": record.getMessage()}
        for key in ("run", "task"):
            if value := getattr(record, key, ""):
                body[key] = value
        if record.exc_info:
            body["traceback"] = self.formatException(record.exc_info)
        return json.dumps(body, ensure_ascii=False)


def set_up(path: Path, clock: Clock) -> None:
    """Send the engine's diagnostics to ``path``; a file past 4 MiB is kept once as ``.1``."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".jsonl.1"))
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_JsonLines(clock))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
