"""A configuration that changes under a run is noticed once, and the run goes on with what it began with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.crew import Run
from tests.support.story import spec

from swarm_core.engine.drift import Drift
from swarm_core.vocabulary.events import Draft


async def begun_with(root: Path, text: str, name: str = "r1") -> Run:
    run = await Run.open(root, spec("a"), name=name, created={"spec_sha256": hashlib.sha256(text.encode()).hexdigest()})
    await run.runner.record(Draft("run.started", {"base": "b"}))
    return run


async def test_a_change_is_journaled_once_for_each_run_and_its_end_too(tmp_path: Path) -> None:
    config = tmp_path / "multi-agent.yaml"
    config.write_text("one")
    old, new = await begun_with(tmp_path, "one"), await begun_with(tmp_path, "two!", "r2")
    drift, runners = Drift(config), [old.runner, new.runner]
    for text in ("one", "two!", "two!", "three", "one"):
        config.write_text(text)
        for _ in range(3):
            await drift.look(runners)

    assert [bool(e.data["sha256"] == e.data["was"]) for e in old.events("spec.drift")] == [False, True]
    assert [bool(e.data["sha256"] == e.data["was"]) for e in new.events("spec.drift")] == [False, True, False]
    assert (old.runner.view.run.drift, new.runner.view.run.drift) == ((), ("multi-agent.yaml",))
    await old.stop()
    await new.stop()


async def test_a_configuration_that_is_removed_has_drifted(tmp_path: Path) -> None:
    config = tmp_path / "multi-agent.yaml"
    config.write_text("one")
    run = await begun_with(tmp_path, "one")
    drift = Drift(config)
    config.unlink()
    await drift.look([run.runner])
    drifted = [list(run.runner.view.run.drift)]
    config.write_text("one")
    await drift.look([run.runner])
    drifted.append(list(run.runner.view.run.drift))

    assert drifted == [["multi-agent.yaml"], []]
    await run.stop()


async def test_a_run_that_joins_later_is_compared_after_forgetting(tmp_path: Path) -> None:
    config = tmp_path / "multi-agent.yaml"
    config.write_text("one")
    drift = Drift(config)
    await drift.look([])
    run = await begun_with(tmp_path, "another")
    await drift.look([run.runner])
    assert run.events("spec.drift") == [], "nothing changed since it looked"
    drift.forget()
    await drift.look([run.runner])

    assert len(run.events("spec.drift")) == 1
    await run.stop()


async def test_a_run_that_is_over_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "multi-agent.yaml"
    config.write_text("two")
    run = await begun_with(tmp_path, "one")
    await run.runner.record(Draft("run.aborted"))
    await Drift(config).look([run.runner])

    assert run.events("spec.drift") == []
    await run.stop()
