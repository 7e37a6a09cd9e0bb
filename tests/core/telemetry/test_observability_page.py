"""docs/observability.md names commands and stations that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from swarm_core.cli import build_parser
from swarm_core.telemetry.stations import ARRIVES

PAGE = (Path(__file__).resolve().parents[3] / "docs/observability.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_is_understood() -> None:
    blocks = re.findall(r"```\n(.*?)```", PAGE, flags=re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 10
    for command in commands:
        name, *arguments = shlex.split(command.partition(" > ")[0])
        assert name == "swarm-tui"
        build_parser().parse_args(arguments)


def test_every_station_that_a_trace_shows_is_explained() -> None:
    explained = {row.split("|")[1].strip() for row in PAGE.splitlines() if row.startswith("| ")}
    shown = {station.replace("_", " ") for station in ARRIVES.values()} - {"settle", "work"}
    assert shown | {"attempt", "down"} <= explained
