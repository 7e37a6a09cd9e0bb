"""A state that was frozen and thawed is the state: every attribute, every field, every type, also those added later."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core.vocabulary import state as state_module
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.freeze import INDEX, freeze, thaw
from swarm_core.vocabulary.state import State, indexed
from swarm_core.vocabulary.view import RunView

TEXT = st.text(max_size=6)
NUMBER = st.integers(-(2**53), 2**53)
REAL = st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | REAL | TEXT | st.just("@"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT | st.just("@"), inner, max_size=2),
    max_leaves=4,
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: NUMBER,
    float: REAL,
    bool: st.booleans(),
    type(None): st.none(),
    Any: JSON,
    object: JSON,
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type as it is written in the vocabulary."""
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: values(hints[field.name]) for field in fields(hint) if field.init})
    origin, parts = get_origin(hint), get_args(hint)
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(values(parts[0]), max_size=2).map(tuple)
        return st.tuples(*map(values, parts))
    if origin in (dict, Mapping):
        return st.dictionaries(values(parts[0]), values(parts[1]), max_size=2)
    if origin is list:
        return st.lists(values(parts[0]), max_size=2)
    if origin is set:
        return st.sets(values(parts[0]), max_size=2)
    if origin is frozenset:
        return st.frozensets(values(parts[0]), max_size=2)
    return st.one_of(*map(values, parts))


def attributes() -> dict[str, Any]:
    """The attributes of a state with the types that ``State.__init__`` writes beside them."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(State.__init__)))):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            found[node.target.attr] = eval(ast.unparse(node.annotation), vars(state_module))
    return {name: found.get(name, type(value)) for name, value in vars(State()).items() if name != INDEX}


@st.composite
def views(draw: st.DrawFn) -> RunView:
    view = RunView()
    for name, hint in attributes().items():
        setattr(view, name, draw(values(hint), label=name))
    view.index = indexed(view)
    return view


def kinds(value: Any) -> Any:
    """The types of a value and of all that is in it."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), [kinds(getattr(value, field.name)) for field in fields(value)]
    return type(value)


def test_every_attribute_has_a_type_that_is_tried() -> None:
    assert attributes().keys() | {INDEX} == vars(RunView()).keys()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(views())
def test_what_was_frozen_thaws_to_the_same(view: RunView) -> None:
    document = json.loads(json.dumps(freeze(view)))
    again = thaw(document)

    for name, value in vars(view).items():
        assert getattr(again, name) == value, name
        assert kinds(getattr(again, name)) == kinds(value), name
    assert freeze(again) == document


def test_a_state_with_other_fields_is_refused() -> None:
    data = freeze(RunView())
    with pytest.raises(ValueError, match="last_seq"):
        thaw({name: value for name, value in data.items() if name != "last_seq"})
    with pytest.raises(ValueError, match="stranger"):
        thaw({**data, "stranger": 1})


def test_an_entity_with_other_fields_is_refused() -> None:
    view = RunView()
    view.tasks["task_001"] = Task("task_001", "one")
    data = freeze(view)
    data["tasks"]["task_001"]["stranger"] = 1
    with pytest.raises(TypeError, match="stranger"):
        thaw(data)


@pytest.mark.parametrize("tag", ["os.system", "entities.field", "entities.PRIORITIES", "nowhere.Task", "..", "", "x"])
def test_only_entities_of_the_vocabulary_are_made(tag: str) -> None:
    with pytest.raises(ValueError, match="not an entity"):
        thaw({**freeze(RunView()), "run": {"@": tag}})


def test_what_json_cannot_hold_is_refused_when_it_is_frozen() -> None:
    view = RunView()
    view.last_ts = b"bytes"  # type: ignore[assignment]
    with pytest.raises(TypeError, match="bytes"):
        freeze(view)
