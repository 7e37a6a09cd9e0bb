"""The command line: one file a command. A command is a module with ``add(parsers)`` and ``run(options) -> exit code``.

``swarm-tui`` with no command opens the control room. This room never imports the terminal's: the function that opens
the room is handed in.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from swarm_core import __version__
from swarm_core.vocabulary.errors import SwarmError, UsageError

OpenRoom = Callable[[Path, str | None], int]
COMMANDS = (
    "init",
    "run",
    "attach",
    "status",
    "gates",
    "findings",
    "finding",
    "questions",
    "approve",
    "reject",
    "decide",
    "pause",
    "resume",
    "halt",
    "abort",
    "rollback",
    "task",
    "events",
    "replay",
    "logs",
    "trace",
    "metrics",
    "cost",
    "budget",
    "permissions",
    "check",
    "artifact",
    "matrix",
    "decisions",
    "worktree",
    "backup",
    "restore",
    "archive",
    "demo",
    "simulate",
    "doctor",
    "stop",
)
INTERRUPTED_EXIT = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it exits, as its parent does
        self.exit(2, f"swarm-tui: {message}\n  next: {self.prog} --help\n")


def build_parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with these commands: the whole one for ``--help`` and for the documentation's test."""
    parser = _Parser(
        prog="swarm-tui",
        description="A terminal control room from which one person runs a swarm of coding agents on a git repository.",
        epilog="Without a command, inside a repository: opens the control room.",
    )
    parser.add_argument("--version", action="version", version=f"swarm-tui {__version__}")
    parser.add_argument("-C", dest="directory", metavar="DIR", type=Path, help="work in DIR instead of here")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in commands:
        importlib.import_module(f"swarm_core.cli.{name}").add(parsers)
    return parser


def commands_needed(arguments: Sequence[str]) -> Sequence[str]:
    """The commands whose modules a command line can need: the one it plainly names, else all.

    Whatever follows a command belongs to it, so the others' parsers could not say anything about it.
    """
    place = 2 if arguments[:1] == ["-C"] else 0
    named = arguments[place : place + 1]
    return named if named and named[0] in COMMANDS else COMMANDS


def _enter(directory: Path) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise UsageError(f"-C {directory}: {error.strerror}", hint="name a directory that is there") from error


def main(argv: Sequence[str] | None = None, open_room: OpenRoom | None = None) -> int:
    """Run one command and return its exit code; errors are one clear message, never a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:  # the common question is answered without loading the commands
        sys.stdout.write(f"swarm-tui {__version__}\n")
        return 0
    options = build_parser(commands_needed(arguments)).parse_args(arguments)
    options.open_room = open_room
    try:
        if options.directory is not None:
            _enter(options.directory)
        module = importlib.import_module(f"swarm_core.cli.{options.command or 'attach'}")
        return int(module.run(options))
    except SwarmError as error:
        sys.stderr.write(f"swarm-tui: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        sys.stderr.write(f"swarm-tui: {error.strerror or error}: {error.filename or ''}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
