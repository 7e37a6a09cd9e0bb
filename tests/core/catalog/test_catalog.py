"""What is shipped as data: the default configuration explains itself, the rehearsal fits any repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm_core import catalog
from swarm_core.vocabulary.spec import ACCESS_LEVELS, ADAPTERS, DEFAULT_MODEL, ServiceSpec, SwarmSpec

HOME = Path(catalog.__file__).parent
CONFIGURATION = (HOME / "multi-agent.yaml").read_text(encoding="utf-8")
DEFAULTS: dict[str, Any] = yaml.safe_load(CONFIGURATION)
PLACEHOLDERS = {"goal", "title", "service", "directory"}


def test_the_shown_values_are_the_real_defaults() -> None:
    swarm, service = SwarmSpec(services={}), ServiceSpec(key="x")
    assert (DEFAULTS["model"], DEFAULTS["script"], DEFAULTS["max_parallel"]) == (
        DEFAULT_MODEL,
        swarm.script,
        swarm.max_parallel,
    )
    assert DEFAULTS["adapter"] == service.adapter
    testing = DEFAULTS["services"]["testing"]
    assert (testing["replicas"], testing["max_turns"]) == (service.replicas, service.max_turns)


def test_every_key_is_explained_before_it_is_first_used() -> None:
    lines = CONFIGURATION.splitlines()
    keys = {key for service in DEFAULTS["services"].values() for key in service} | set(DEFAULTS) - {"services"}
    explained_together = {"frameworks"}  # with programming_languages, the line above
    for key in keys - explained_together:
        first = next(i for i, line in enumerate(lines) if re.match(rf"\s*{key}:", line))
        assert lines[first - 1].lstrip().startswith("#"), key


def test_the_configuration_has_the_shape_people_know() -> None:
    services = DEFAULTS["services"]
    assert list(services) == ["architect", "frontend", "backend", "database", "testing"]
    assert services["architect"]["access_level"] in ACCESS_LEVELS
    assert DEFAULTS["adapter"] in ADAPTERS
    owned = [
        directory for key, service in services.items() if key != "architect" for directory in service["directories"]
    ]
    assert len(owned) == len(set(owned))


def strings(value: Any) -> Iterator[str]:
    """Every text in a loaded YAML value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from strings(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.mark.parametrize("name", ["_architect", "_service"])
def test_a_rehearsal_names_no_service_and_no_directory(name: str) -> None:
    turns = yaml.safe_load((HOME / f"scripts/rehearsal/{name}.yaml").read_text(encoding="utf-8"))
    assert all(turn["when"]["task"] in ("*", "task_000", "Review gate_*") for turn in turns)
    assert [step["tool"] for step in turns[-1]["do"]] == ["plan_tasks" if name == "_architect" else "handoff"]
    texts = list(strings(turns))
    assert {name for text in texts for name in re.findall(r"\{(.*?)\}", text)} <= PLACEHOLDERS
    for service in ("backend", "frontend", "database"):
        assert not [text for text in texts if service in text]


def test_the_rehearsal_plans_one_task_for_each_worker() -> None:
    turns = yaml.safe_load((HOME / "scripts/rehearsal/_architect.yaml").read_text(encoding="utf-8"))
    (planned,) = (step for turn in turns for step in turn["do"] if step["tool"] == "plan_tasks")
    pattern = planned["each_worker"]
    assert (pattern["key"], pattern["assigned_to"]) == ("{service}", "{service}")
    assert pattern["title"] == "Rehearse in {directory}"
    assert pattern["dependencies"] == []
