"""Structured diagnostics of the engine process: JSON lines in ``.multi-agent/engine.jsonl``.

These are for finding out why the engine misbehaved. What happened to a run is in its journal. A line has ``ts level
kind text`` and, where they are known, ``run task span instance``: the same keys as the agents' logs, so that one view
can show both (``swarm-tui logs``).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets

LOGGER = logging.getLogger("swarm")
MAX_LOG_BYTES = 4 << 20
LEVEL_VARIABLE = "SWARM_TUI_LOG_LEVEL"
LEVELS: Mapping[str, int] = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}
IDS = ("run", "task", "span", "instance")
TEXT_CHARS = 4_000
TRACEBACK_CHARS = 16_000

_NOTHING: Mapping[str, str] = MappingProxyType({})
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NOTHING)


def say_about(**ids: str) -> None:
    """Name what the present asyncio task works on: every line that it logs from here on carries it."""
    _about.set({**_about.get(), **ids})


class _JsonLines(logging.Formatter):
    def __init__(self, clock: Clock, secrets: Secrets) -> None:
        super().__init__()
        self.clock, self.secrets = clock, secrets

    def format(self, record: logging.LogRecord) -> str:
        about = _about.get()
        body = {"ts": self.clock.now(), "level": _level(record.levelno)}
        for key in IDS:
            if value := getattr(record, key, "") or about.get(key, ""):
                body[key] = str(value)
        body["kind"] = record.name.rpartition(".")[2].replace("swarm", "engine")
        body["text"] = clean(self.secrets.redact(record.getMessage())[:TEXT_CHARS])
        if record.exc_info:
            body["traceback"] = clean(self.secrets.redact(self.formatException(record.exc_info))[-TRACEBACK_CHARS:])
        return json.dumps(body, ensure_ascii=False)


def _level(number: int) -> str:
    return next((name for name, least in reversed([*LEVELS.items()]) if number >= least), "DEBUG")


def set_up(path: Path, clock: Clock, secrets: Secrets = NO_SECRETS) -> None:
    """Send the engine's diagnostics to ``path``; a file past 4 MiB is kept once as ``.1``.

    ``$SWARM_TUI_LOG_LEVEL`` is DEBUG, INFO (the default), WARN or ERROR.
    """
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".jsonl.1"))
    handler = logging.FileHandler(path, encoding="utf-8", errors="replace")
    handler.setFormatter(_JsonLines(clock, secrets))
    level = LEVELS.get(os.environ.get(LEVEL_VARIABLE, "").upper(), logging.INFO)
    for logger in (LOGGER, logging.getLogger("swarm_core")):  # ours, and the modules that know no engine
        for old in logger.handlers:
            old.close()
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
