"""The room starts fast and is no way around the engine: what a process has loaded proves it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import environment, swarm

import swarm_core

FORBIDDEN = ("anthropic", "git", "mcp", "watchfiles")
ENGINE_ROOMS = tuple(
    f"swarm_core.{room}" for room in ("engine", "agents", "workspace", "tools", "policy", "checks", "cli")
)
SAY = "import json, sys; print(json.dumps(sorted(sys.modules)))"
ALL_OF_THE_ROOM = """
import importlib, pkgutil, swarm_tui
for module in pkgutil.walk_packages(swarm_tui.__path__, "swarm_tui."):
    if module.name != "swarm_tui.__main__":
        importlib.import_module(module.name)
"""


def loaded_by(code: str) -> set[str]:
    """The modules of a fresh process after ``code``."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}\n{SAY}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def within(modules: set[str], *packages: str) -> list[str]:
    return sorted(m for m in modules if any(m == p or m.startswith(f"{p}.") for p in packages))


@pytest.mark.parametrize("code", ["import swarm_tui.app", ALL_OF_THE_ROOM], ids=["at the start", "with every screen"])
def test_the_room_loads_no_model_no_git_and_no_part_of_the_engine(code: str) -> None:
    modules = loaded_by(code)
    assert "swarm_tui.app" in modules
    assert within(modules, *FORBIDDEN, *ENGINE_ROOMS) == []


def test_screens_that_are_not_in_sight_are_not_loaded_first() -> None:
    modules = loaded_by("import swarm_tui.app")
    later = [f"swarm_tui.screens.{name}" for name in ("gate", "document", "activity", "help", "start", "evidence")]
    assert within(modules, *later) == []


def test_asking_for_the_version_loads_neither_the_terminal_nor_yaml() -> None:
    code = "import sys; sys.argv = ['swarm-tui', '--version']; from swarm_tui.__main__ import main; main()"
    assert within(loaded_by(code), "textual", "rich", "yaml", *FORBIDDEN) == []


def test_the_version_is_said(tmp_path: Path) -> None:
    done = swarm("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"swarm-tui {swarm_core.__version__}\n")


def test_the_engine_loads_no_terminal() -> None:
    assert within(loaded_by("import swarm_core.engine.runner"), "textual", "rich", "swarm_tui") == []
