"""A wrong input is described in a sentence a model can act on."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_core.tools.schema import violations

SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "tasks": {
            "type": "array",
            "items": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        },
        "note": {"type": ["string", "null"]},
        "flag": {"type": "boolean"},
    },
    "required": ["path"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"path": "x", "count": 3, "mode": "a", "tasks": [{"id": "1", "more": 2}], "note": None, "flag": False}, []),
        ({"path": "x", "count": 3.0}, []),
        ({}, ["path is missing"]),
        ([], ["the input must be object, not []"]),
        ({"path": 1}, ["path must be string, not 1"]),
        ({"path": "x", "count": True}, ["count must be integer, not True"]),
        ({"path": "x", "count": "3"}, ["count must be integer, not '3'"]),
        ({"path": "x", "count": 2.5}, ["count must be integer, not 2.5"]),
        ({"path": "x", "count": float("inf")}, ["count must be integer, not inf"]),
        ({"path": "x", "count": 0}, ["count must be at least 1, not 0"]),
        ({"path": "x", "count": 10}, ["count must be at most 9, not 10"]),
        ({"path": "x", "flag": 1}, ["flag must be boolean, not 1"]),
        ({"path": "x", "mode": "c"}, ["mode must be one of a, b, not 'c'"]),
        ({"path": "x", "note": 1}, ["note must be string or null, not 1"]),
        ({"path": "x", "tasks": [{"id": "1"}, {}]}, ["tasks[1].id is missing"]),
        ({"path": "x", "paht": "y"}, ["paht is not a parameter; did you mean path?"]),
        ({"path": "x", "zz": 1}, ["zz is not a parameter; it takes path, count, mode, tasks, note, flag"]),
    ],
)
def test_every_violation_is_one_sentence(value: Any, said: list[str]) -> None:
    assert violations(SCHEMA, value) == said
