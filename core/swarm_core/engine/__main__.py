"""``python -P -m swarm_core.engine ROOT``: the engine of one repository, until nothing is left to do."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from pathlib import Path

from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import EngineError, JournalPoisoned, SwarmError
from swarm_core.vocabulary.layout import RepoLayout

from .keeper import POISONED_EXIT, keep
from .lock import EngineLock


def main(argv: list[str] | None = None) -> int:
    """Returns the engine's exit code; see ``keeper`` for an engine that is killed."""
    parser = argparse.ArgumentParser(prog="python -m swarm_core.engine", description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--linger-s", type=float, default=30.0, help="stay this long with nothing to do")
    parser.add_argument("--alone", action="store_true", help="without a keeper: killed is killed")
    options = parser.parse_args(argv)
    layout = RepoLayout(options.root.resolve())
    if options.alone:
        return _life(layout, options.linger_s)
    _warm_up()
    return keep(lambda: _life(layout, options.linger_s))


def _warm_up() -> None:
    """Before the fork: everything a life begins with, so that the next one begins in milliseconds."""
    import anyio._backends._asyncio  # noqa: F401 -- what the inbox's watcher asks for first

    from swarm_core.definitions.artifacts import shipped_registry
    from swarm_core.journal.snapshot import program

    from . import supervisor  # noqa: F401

    program()
    shipped_registry()
    gc.collect()
    gc.freeze()  # what is here stays; no life has to look through it again


def _life(layout: RepoLayout, linger_s: float) -> int:
    try:
        return _serve(layout, linger_s)
    except JournalPoisoned as error:
        sys.stderr.write(f"swarm-tui engine: {error}\n")
        sys.stderr.flush()
        os._exit(POISONED_EXIT)
    except SwarmError as error:
        sys.stderr.write(f"swarm-tui engine: {error}\n")
        return error.exit_code


def _serve(layout: RepoLayout, linger_s: float) -> int:
    clock = SystemClock()
    try:
        prepare(layout)
    except OSError as error:
        raise EngineError(
            f"{layout.control} cannot be written: {error.strerror}",
            hint="make the repository writable and check free space",
        ) from error
    from .diagnostics import set_up
    from .known_secrets import secrets_of
    from .supervisor import Supervisor

    lock = EngineLock.acquire(layout.engine_lock, layout.root)
    try:
        set_up(layout.engine_log, clock, secrets_of(layout.root))
        asyncio.run(Supervisor(layout, clock, linger_s=linger_s).serve())
    finally:
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
