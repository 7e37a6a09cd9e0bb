"""Checks that only read the tree, each in a process of its own: what agents wrote may hang or break a parser.

The process may write in its scratch directory only and reach nobody. See ``worker`` for what happens in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .collect import TEST_FILES
from .confined import private, reader, shell
from .measured import Measured, broken
from .site import Site

_CORE = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from swarm_core.checks.worker import main; main(sys.argv[2])"
MAX_ANSWER_BYTES = 8 << 20


async def measure(site: Site) -> Measured:
    """A command, where the kind takes one, makes what is looked at."""
    if site.spec.command:
        made = await shell(site, site.spec.command)
        if trouble := made.trouble(site.spec.name):
            return trouble
        if made.exit_code:
            hint = "mend the command: see its output"
            return broken(f"the command ended with exit {made.exit_code}", hint, made.text, made.exit_code)
    answer = await _ask(site, site.spec.kind)
    if isinstance(answer, Measured):
        return answer
    try:
        return Measured.of(answer)
    except (KeyError, TypeError, ValueError):
        return _broken("its answer is not one")


async def names_in(site: Site) -> dict[str, bool] | Measured:
    """The tests that stand in the files; every one is said to run."""
    answer = await _ask(site, "names", default_paths=TEST_FILES)
    if isinstance(answer, Measured):
        return answer
    if "names" in answer:
        return {str(name): True for name in answer["names"]}
    return Measured.of(answer)


async def _ask(site: Site, what: str, default_paths: tuple[str, ...] = ()) -> dict[str, Any] | Measured:
    options = {"paths": default_paths, **site.spec.options} if default_paths else dict(site.spec.options)
    request = {
        "kind": what,
        "options": options,
        "threshold": site.spec.threshold,
        "is_clean": site.around.is_clean,
        "private": str(private(site, "work")),
    }
    argv = [sys.executable, "-I", "-S", "-W", "ignore", "-c", _BOOT, _CORE, json.dumps(request)]
    ended = await reader(argv, site, MAX_ANSWER_BYTES)
    if trouble := ended.trouble("the measurement"):
        return trouble
    try:
        answer = json.loads(ended.text.rstrip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return _broken(f"it ended with exit {ended.exit_code}", ended.text[-4000:])
    return answer if isinstance(answer, dict) else _broken("its answer is not one")


def _broken(why: str, output: str = "") -> Measured:
    return broken(f"the measurement broke: {why}", "a file of the tree may be made to break it: narrow paths", output)
