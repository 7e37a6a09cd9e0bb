"""The size of what is shipped: the bytes of all files that match, against the limit."""

from __future__ import annotations

from fractions import Fraction

from .measured import Found, Measured, not_measured
from .worker import Request

SHOWN = 10


def scan(request: Request) -> Measured:
    shipped = request.files()
    if not shipped:
        patterns = ", ".join(request.options.get("paths", ()))
        return not_measured(f"no file matches {patterns}", "correct paths, or give the check a command that builds it")
    largest = sorted(shipped, key=lambda file: -file.size_bytes)[:SHOWN]
    found = tuple(Found(f"{file.size_bytes} bytes", file.path, severity="LOW") for file in largest)
    return Measured("", Fraction(sum(file.size_bytes for file in shipped)), "bytes", found, f"{len(shipped)} files")
