"""What runs in the process of a still check: reads a request, looks at the tree in which it stands, prints one line.

Run as ``python -I -S -c … REQUEST``; imports nothing but the standard library and pure modules of this room.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import TreeFile, files
from .measured import Measured, broken, not_measured

MAX_MEMORY_BYTES = 2 << 30
RECURSION = 4000
_SCANS = {
    "compile": "compiled",
    "complexity": "complexity",
    "secret_scan": "secrets",
    "sast_min": "sast",
    "license": "licences",
    "migration_up_down": "migrations",
    "html_a11y": "html",
    "bundle_size": "bundle",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What to look at. ``root`` is the tree, ``private`` a directory to write in."""

    kind: str
    root: Path
    private: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    threshold: str = ""
    is_clean: bool = False

    def files(self, default: Sequence[str] = ()) -> list[TreeFile]:
        paths = self.options.get("paths") or default
        return list(files(self.root, paths, self.options.get("exclude", ()), every=self.is_clean))


Scan = Callable[[Request], Measured]


def main(text: str) -> None:
    for limit, size in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit stands already
            resource.setrlimit(limit, (size, size))
    request = json.loads(text)
    private = Path(request.pop("private"))
    sys.stdout.write("\n" + json.dumps(answer(Request(root=Path.cwd(), private=private, **request))) + "\n")


def answer(request: Request) -> dict[str, Any]:
    """The scan's outcome as plain data; a scan that breaks says so."""
    try:
        if request.kind == "names":
            return _names(request)
        scan: Scan = importlib.import_module(f"swarm_core.checks.{_SCANS[request.kind]}").scan
        return scan(request).json()
    except (RecursionError, MemoryError) as error:
        return broken(
            f"the measurement broke: {type(error).__name__}", "a file is made to break it: narrow paths"
        ).json()
    except (OSError, ValueError) as error:
        return broken(str(error), "narrow paths, or mend what is named").json()


def _names(request: Request) -> dict[str, Any]:
    from .collect import test_names

    names: list[str] = []
    for file in request.files():
        text = file.text
        if text is None:
            return broken(f"{file.path} is no text that can be read", "restore it or narrow paths").json()
        try:
            names += test_names(file.path, text)
        except (SyntaxError, ValueError, RecursionError) as error:
            return not_measured(
                f"{file.path} cannot be parsed: {error}", "mend the file: its tests cannot be told"
            ).json()
    return {"names": names}
