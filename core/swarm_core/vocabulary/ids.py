"""Identifiers: short, stable, sortable strings."""

from __future__ import annotations

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
