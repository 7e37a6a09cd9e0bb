"""Gives every service of a repository a script: its own, or one of the patterns that fit any service.

``_architect.yaml`` and ``_service.yaml`` are patterns. Their texts may name ``{service}``, ``{directory}`` (the
service's first), ``{goal}`` and ``{title}``; a call with ``each_worker`` instead of ``args`` plans one task for each
service that writes. Names are replaced as they stand, so that other braces mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swarm_core.vocabulary.spec import ServiceSpec

from .script import Script, ScriptedCall, ScriptedTurn

ARCHITECT_PATTERN, SERVICE_PATTERN = "_architect", "_service"


def cast(scripts: Mapping[str, Script], services: Mapping[str, ServiceSpec], goal: str) -> dict[str, Script]:
    """The scripts of ``services``; one that has neither its own nor a pattern is left out."""
    workers = {key: _names(service) for key, service in services.items() if service.writes}
    out: dict[str, Script] = {}
    for key, service in services.items():
        pattern = scripts.get(ARCHITECT_PATTERN if service.is_architect else SERVICE_PATTERN)
        if key in scripts:
            out[key] = scripts[key]
        elif pattern is not None:
            names = {**_names(service), "goal": goal}
            turns = tuple(_turn(turn, names, workers) for turn in pattern.turns)
            out[key] = Script(key, turns, is_pattern=True)
    return out


def with_title(turn: ScriptedTurn, title: str) -> ScriptedTurn:
    """A pattern's turn for one task."""
    return _turn(turn, {"title": title}, {})


def _names(service: ServiceSpec) -> dict[str, str]:
    first = next(iter(service.directories), "/")
    return {"service": service.key, "directory": "." if first == "/" else first}


def _turn(turn: ScriptedTurn, names: Mapping[str, str], workers: Mapping[str, Mapping[str, str]]) -> ScriptedTurn:
    return replace(
        turn,
        think=_fill(turn.think, names),
        say=_fill(turn.say, names),
        do=tuple(_call(call, names, workers) for call in turn.do),
    )


def _call(call: ScriptedCall, names: Mapping[str, str], workers: Mapping[str, Mapping[str, str]]) -> ScriptedCall:
    if call.each_worker is None:
        return ScriptedCall(call.tool, _fill(call.args, names))
    tasks = [_fill(_fill(call.each_worker, worker), names) for worker in workers.values()]
    return ScriptedCall(call.tool, {"tasks": tasks})


def _fill(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, list):
        return [_fill(item, names) for item in value]
    if isinstance(value, Mapping):
        return {key: _fill(item, names) for key, item in value.items()}
    return value
