"""Identifiers: short, stable, sortable strings."""

from __future__ import annotations

import hashlib
import os
import re
import time
import unicodedata

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def ulid() -> str:
    """A 26-character identifier whose text order is its order in time (ULID)."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def slug(text: str, limit: int = 32) -> str:
    """Lower-case letters, digits and single dashes: safe as file name, branch and key on any disk."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    out = ""
    for word in words:
        longer = f"{out}-{word}" if out else word[:limit]
        if len(longer) > limit:
            break
        out = longer
    return out or "run"


def run_id(goal: str, stamp: str) -> str:
    """``20261121-030405-add-user-profile`` from a goal and an ISO time."""
    digits = re.sub(r"\D", "", stamp)[:14]
    return f"{digits[:8]}-{digits[8:]}-{slug(goal)}"


def numbered(prefix: str, number: int) -> str:
    """``task_001``, ``gate_012``."""
    return f"{prefix}_{number:03d}"


def trace_id(run: str) -> str:
    """The 32 hex digits by which a run's spans are correlated: a function of its id, so that nothing is stored."""
    return _digest("trace", run)[:32]


def span_id(run: str, *parts: str | int) -> str:
    """16 hex digits that name one stretch of a run; ``span_id(run)`` is the run itself.

    Whoever knows the parts knows the id: the journal, the logs and a trace agree without telling each other.
    """
    return _digest("span", run, *map(str, parts))[:16]


def attempt_span_id(run: str, task: str, attempt: int) -> str:
    """The span of one claim of a task: what its log lines, its model calls and its trace have in common."""
    return span_id(run, task, "attempt", attempt)


def _digest(*parts: str) -> str:
    """SHA-256 of the parts with their lengths, so that no two lists of parts are the same text."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
