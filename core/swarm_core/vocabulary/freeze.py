"""A run's state as plain JSON and back, whatever fields it has.

Everything a JSON document cannot hold by itself is an object with the key ``@``: an entity (``entities.Task``), a
``tuple``, a ``set``, a ``frozenset``, or a ``dict`` whose keys are not all plain text.
"""

from __future__ import annotations

import importlib
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from .state import indexed
from .view import RunView

TAG = "@"
INDEX = "index"  # follows from the rest
_PACKAGE = __package__
_PLAIN = frozenset({str, int, float, bool, type(None)})
_SEQUENCES: dict[str, type] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def freeze(view: RunView) -> dict[str, Any]:
    """The state as plain JSON; sets are sorted, so that equal states are equal documents.

    Raises TypeError for a value that is neither an entity nor one of Python's plain types.
    """
    return {name: _freeze(value) for name, value in vars(view).items() if name != INDEX}


def thaw(data: dict[str, Any]) -> RunView:
    """The state that was frozen. Raises KeyError, TypeError or ValueError if ``data`` is no frozen state."""
    view = RunView()
    names = vars(view).keys() - {INDEX}
    if names != data.keys():
        raise ValueError(f"fields differ: {sorted(names ^ data.keys())}")
    for name in names:
        setattr(view, name, _thaw(data[name]))
    view.index = indexed(view)
    return view


def _freeze(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: _freeze(item) for key, item in value.items()}
        return {TAG: "dict", "of": [[_freeze(key), _freeze(item)] for key, item in value.items()]}
    if kind is list:
        return [_freeze(item) for item in value]
    if kind is tuple:
        return {TAG: "tuple", "of": [_freeze(item) for item in value]}
    if kind in (set, frozenset):
        return {TAG: kind.__name__, "of": [_freeze(item) for item in sorted(value)]}
    if is_dataclass(kind):
        frozen = {name: _freeze(getattr(value, name)) for name in _field_names(kind)}
        return {TAG: _name(kind), **frozen}
    raise TypeError(f"a state cannot hold a {kind.__name__}")


def _thaw(value: Any) -> Any:
    if type(value) is list:
        return [_thaw(item) for item in value]
    if type(value) is not dict:
        return value
    tag = value.get(TAG)
    if tag is None:
        return {key: _thaw(item) for key, item in value.items()}
    if tag == "dict":
        return {_thaw(key): _thaw(item) for key, item in value["of"]}
    if tag in _SEQUENCES:
        return _SEQUENCES[tag](_thaw(item) for item in value["of"])
    return _class(tag)(**{name: _thaw(item) for name, item in value.items() if name != TAG})


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.init)


@cache
def _name(kind: type) -> str:
    package, _, module = kind.__module__.rpartition(".")
    if package != _PACKAGE:
        raise TypeError(f"a state cannot hold a {kind.__module__}.{kind.__name__}: it is not of the vocabulary")
    return f"{module}.{kind.__name__}"


@cache
def _class(tag: str) -> type:
    """The dataclass of the vocabulary with this name; nothing else can be named."""
    module, _, name = tag.partition(".")
    if not module.isidentifier():
        raise ValueError(f"{tag!r} is not an entity")
    try:
        kind = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name, None)
    except ImportError:
        kind = None
    if not isinstance(kind, type) or not is_dataclass(kind) or kind.__module__ != f"{_PACKAGE}.{module}":
        raise ValueError(f"{tag!r} is not an entity")
    return kind
