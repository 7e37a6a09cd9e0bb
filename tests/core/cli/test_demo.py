"""The demonstration plays on every machine, also where nothing confines a command; then it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.cli.demo import confinement
from swarm_core.definitions import load
from swarm_core.demo.repository import create
from swarm_core.tools.jail import choice


@pytest.fixture(autouse=True)
def forgetful() -> None:
    choice.choose.cache_clear()


def test_a_machine_that_confines_keeps_the_default(tmp_path: Path) -> None:
    if not choice.candidates("auto"):
        pytest.skip("nothing confines here")
    assert confinement() == ""
    assert load(create(tmp_path / "ecoroute") / "multi-agent.yaml").confinement == "auto"


def test_a_machine_that_cannot_plays_all_the_same_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choice, "candidates", lambda setting: ())
    root = create(tmp_path / "ecoroute", confinement())

    assert "the demo's own commands run unconfined" in capsys.readouterr().out
    assert load(root / "multi-agent.yaml").confinement == "none"
