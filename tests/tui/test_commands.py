"""One registry: keys, palette, help and documentation say the same, and nothing is bound twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.cli import TOP, environment
from tests.support.room import Visit, visit

from swarm_tui import commands
from swarm_tui.app import ControlRoom
from swarm_tui.screens.control import ControlScreen
from swarm_tui.screens.document import DocumentScreen
from swarm_tui.screens.evidence import EvidenceScreen
from swarm_tui.screens.gate import GateScreen
from swarm_tui.screens.help import help_rows
from swarm_tui.screens.start import RunsScreen, StartScreen
from swarm_tui.widgets.document import Document
from swarm_tui.widgets.line_pane import LinePane

OWNERS = {
    "list": (LinePane,),
    "room": (ControlScreen,),
    "run": (ControlScreen,),
    "runs": (StartScreen, RunsScreen),
    "gate": (GateScreen,),
    "evidence": (EvidenceScreen,),
    "diff": (Document, DocumentScreen),
    "global": (ControlRoom,),
}
COVERED = (
    ("list", "runs"),
    ("runs", "global"),
    ("list", "run"),
    ("run", "room"),
    ("run", "global"),
    ("list", "room"),
    ("list", "gate"),
    ("list", "global"),
    ("room", "global"),
    ("diff", "gate"),
    ("gate", "global"),
    ("list", "evidence"),
    ("diff", "evidence"),
    ("evidence", "global"),
)
"""Scopes that hold at once: the first is asked first."""


def offered(at: Visit) -> list[str]:
    return [command.title for command in at.room.get_system_commands(at.room.screen)]


def titles(*scopes: str) -> set[str]:
    found = {f"{c.title} ({c.shown_key})" for scope in scopes for c in commands.of(scope)}
    return found - {"Commands (^p)"}  # the palette does not offer itself


@pytest.mark.parametrize("scope", commands.SCOPES)
def test_a_key_means_one_thing_in_its_scope(scope: str) -> None:
    keys = Counter(key for command in commands.of(scope) for key in command.keys)
    assert keys
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize(("upper", "lower"), COVERED)
def test_a_key_of_two_scopes_that_hold_together_is_the_same_command(upper: str, lower: str) -> None:
    above, below = ({key: c.id for c in commands.of(scope) for key in c.keys} for scope in (upper, lower))
    assert {key for key in above.keys() & below.keys() if above[key] != below[key]} == set()


@pytest.mark.parametrize("scope", commands.SCOPES)
def test_every_command_is_done_by_its_owner(scope: str) -> None:
    for owner in OWNERS[scope]:
        for command in commands.of(scope):
            assert callable(getattr(owner, f"action_{command.id}", None)), f"{owner.__name__}: {command.id}"


def test_every_command_belongs_to_a_scope_that_is_explained() -> None:
    assert {command.scope for command in commands.COMMANDS} == set(commands.SCOPES)


async def test_the_palette_of_the_room_offers_what_holds_there(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        assert set(offered(at)) == titles("list", "room", "run", "global")


async def test_the_palette_of_a_gate_offers_what_holds_there(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("n")
        assert set(offered(at)) == titles("list", "gate", "diff", "global")


async def test_the_palettes_together_hold_every_command_and_none_twice(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        seen = offered(at)
        assert len(seen) == len(set(seen))
        await at.press("n")
        gate = offered(at)
        assert len(gate) == len(set(gate))
        await at.press("escape", "s")
        runs = offered(at)
        assert len(runs) == len(set(runs))
        await at.press("escape", "v")
        evidence = offered(at)
        assert len(evidence) == len(set(evidence))
        assert {*seen, *gate, *runs, *evidence} == titles(*commands.SCOPES)


async def test_the_palette_does_what_it_offers(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("ctrl+p", *"activity")
        await at.press("enter")
        assert at.place == "ActivityScreen"


async def test_a_command_without_a_place_to_go_back_to_is_not_offered(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        assert not [title for title in offered(at) if title.startswith("Back")]


@pytest.mark.parametrize("first", ["room", "gate", "evidence"])
def test_the_help_lists_every_command_and_the_place_one_came_from_first(first: str) -> None:
    rows = ["".join(text for text, _ in row) for row in help_rows(first)]
    assert rows[0].strip() == commands.SCOPES[first]
    for command in commands.COMMANDS:
        keys = " ".join(commands.show_key(key) for key in command.keys)
        assert any(keys in row and command.title in row and command.help in row for row in rows), command.id


def test_the_documentation_of_the_keys_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swarm_tui.commands"],
        env=environment(PYTHONIOENCODING="utf-8"),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    written = (TOP / "docs/keys.md").read_text(encoding="utf-8")
    assert written == done.stdout, "write it anew: python -m swarm_tui.commands > docs/keys.md"


def test_the_documentation_names_every_command() -> None:
    text = commands.documentation()
    for command in commands.COMMANDS:
        assert f"| {command.title} | {command.help} |" in text
        assert all(f"`{commands.show_key(key)}`" in text for key in command.keys)


async def test_the_keys_below_are_commands_that_do_something_here(tmp_path: Path) -> None:
    async with visit(tmp_path, size=(80, 24)) as at:
        keys = at.text.splitlines()[-1]
        for word in ("Enter open", "n gate", "b board", "? help", "q leave"):
            assert word in keys
        await at.press("n")
        keys = at.text.splitlines()[-1]
        for word in ("a approve", "x reject", "Esc back"):
            assert word in keys
