"""The same reach as a profile for macOS ``sandbox-exec``.

Written from the published profiles of the system and tested as text. It has not been run: no machine with macOS is
among those this is tested on. The canaries decide there as everywhere, so a profile that does not hold is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .reach import Reach

PROGRAM = "/usr/bin/sandbox-exec"
_ALWAYS = """\
(version 1)
(deny default)
(import "system.sb")
(allow process-exec)
(allow process-fork)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow file-read* (literal "/") (literal "/dev/random") (literal "/dev/urandom"))"""


def profile(reach: Reach) -> str:
    """The profile's text. Later rules win, so what is hidden is denied before what lies inside it is opened again."""
    tree = reach.tree
    roots = [path for path in reach.roots if not any(path.is_relative_to(secret) for secret in reach.hidden)]
    inside = [path for path in reach.roots if path not in roots]
    shown = [tree.joinpath(*parts) for parts in reach.readable]
    written = [*(tree.joinpath(*parts) for parts in reach.writable), reach.scratch]
    out = [_ALWAYS]
    out += _rules("allow file-read*", roots)
    out += _rules("deny file-read*", reach.hidden)
    out += _rules("allow file-read*", [*inside, *shown, tree / ".git", *written])
    out += _rules("allow file-write*", written)
    out += _rules("deny file-write*", [tree / ".git"])
    if reach.is_open:
        out.append('(allow network* (local ip "localhost:*") (remote ip "localhost:*"))')
    elif reach.port:
        out.append(f'(allow network-outbound (remote ip "localhost:{reach.port}"))')
    return "\n".join(out) + "\n"


def wrapped(reach: Reach, argv: Sequence[str]) -> list[str]:
    """``argv`` under the profile."""
    return [PROGRAM, "-p", profile(reach), *argv]


def _rules(what: str, paths: Sequence[Path]) -> list[str]:
    return [f"({what} (subpath {_quoted(path)}))" for path in dict.fromkeys(paths)]


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
