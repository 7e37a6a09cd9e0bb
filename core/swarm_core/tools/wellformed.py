"""Whether a text is what its format says, before anybody reads its meaning."""

from __future__ import annotations

import json
from typing import Any

from swarm_core.definitions.marked import compose
from swarm_core.vocabulary.errors import ConfigurationError

_YAML = frozenset({"yaml", "yml", "openapi"})


def why_malformed(format: str, text: str, path: str) -> str:
    """What is wrong with ``text`` and where, empty if it is well-formed ``format``."""
    if not text.strip():
        return "it is empty"
    if "\0" in text:
        return "it holds a NUL character"
    if format == "json":
        return _why_not_json(text)
    if format in _YAML:
        return _why_not_yaml(text, path)
    return ""


def _why_not_json(text: str) -> str:
    try:
        json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return f"it is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return f"it is not JSON: {error}"
    except RecursionError:
        return "it is nested too deeply"
    return ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != len(found := dict(pairs)):
        twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        raise ValueError(f"the key {twice[:60]!r} is given twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _why_not_yaml(text: str, path: str) -> str:
    try:
        compose(text, path)
    except ConfigurationError as error:
        return str(error.message)
    except RecursionError:
        return "it is nested too deeply"
    return ""
