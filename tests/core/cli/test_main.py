"""The command line loads what it needs: one command's module for that command, all of them for everything else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_core.cli import COMMANDS, build_parser, commands_needed, main

TOP = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["status", "--json"], ["status"]),
        (["-C", "somewhere", "status"], ["status"]),
        (["-C", "status", "gates"], ["gates"]),
        (["run", "status"], ["run"]),
    ],
)
def test_a_plainly_named_command_is_the_only_one_loaded(arguments: list[str], needed: list[str]) -> None:
    assert list(commands_needed(arguments)) == needed
    assert build_parser(needed).parse_args(arguments).command == needed[0]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--help", "status"], ["-C"], ["-C", "status"], ["statsu"]])
def test_everything_else_knows_all_commands(arguments: list[str]) -> None:
    assert commands_needed(arguments) == COMMANDS


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert [name for name in COMMANDS if not re.search(rf"^    {name}\s", printed, re.M)] == []


def test_status_loads_neither_the_configuration_format_nor_another_command() -> None:
    code = (
        "import sys, swarm_core.cli as cli; cli.main(['-C', '/', 'status']);"
        "print(*sorted(m for m in sys.modules if m == 'yaml' or m.startswith('swarm_core.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(TOP / "core"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "swarm_core.cli.common swarm_core.cli.status"
