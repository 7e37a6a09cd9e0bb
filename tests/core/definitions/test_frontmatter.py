"""Heads of markdown files as they are found in the wild are read, whatever YAML thinks of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core.definitions.frontmatter import read

HEADS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "plain": ("name: a\ndescription: does it", {"name": "a", "description": "does it"}, False),
    "lists": ("tools: [Read, Grep]\nmodel: sonnet", {"tools": ["Read", "Grep"], "model": "sonnet"}, False),
    "a block": ("name: a\ndescription: |\n  one\n  two\n", {"name": "a", "description": "one\ntwo\n"}, False),
    "nothing": ("", {}, False),
    "a comment": ("# only this\nname: a", {"name": "a"}, False),
    "words that are no booleans": ("name: on\nuser-invocable: yes", {"name": "on", "user-invocable": "yes"}, False),
    "dates stay text": ("name: a\ndate_added: 2026-02-27", {"name": "a", "date_added": "2026-02-27"}, False),
    "a version stays what it is": ("version: 1.10.0", {"version": "1.10.0"}, False),
    "a hint with a bar": (
        "argument-hint: [a] | --b\ndescription: x",
        {"argument-hint": "[a] | --b", "description": "x"},
        True,
    ),
    "two hints": ("argument-hint: [a] [b]\nname: c", {"argument-hint": "[a] [b]", "name": "c"}, True),
    "a star": ("name: a\ntools: *", {"name": "a", "tools": "*"}, True),
    "colons": (
        "name: a\ndescription: Use it. Examples: <example>Context: the user asks</example>\nmodel: opus",
        {"name": "a", "description": "Use it. Examples: <example>Context: the user asks</example>", "model": "opus"},
        True,
    ),
    "a colon in the next line": (
        "name: a\ndescription: Use it: now\n  and then: later\ntools: [Read]",
        {"name": "a", "description": "Use it: now and then: later", "tools": ["Read"]},
        True,
    ),
    "a template": ("name: {{NAME}} agent\ndescription: x", {"name": "{{NAME}} agent", "description": "x"}, True),
    "an open quote": ("name: \"a\ndescription: it's", {"name": '"a', "description": "it's"}, True),
    "quotes around colons": ("name: a: 'b'\nk: 'c: d'", {"name": "a: 'b'", "k": "c: d"}, True),
    "a tab": ("name: a\n\tb: c\nmodel: x", {"name": "a b: c", "model": "x"}, True),
    "an at sign": ("name: @a\nmodel: x", {"name": "@a", "model": "x"}, True),
    "a list below": ("tools:\n  - Read\n  - Grep\nx: [", {"tools": ["Read", "Grep"], "x": "["}, True),
    "an alias": ("a: &x [1]\nb: *x", {"a": [1], "b": "*x"}, True),
    "a python tag": ("a: !!python/object:os.system x\nb: c", {"a": "!!python/object:os.system x", "b": "c"}, True),
    "not a mapping": ("- a\n- b", {}, True),
    "a key twice": ("name: a\nname: b: c", {"name": "a"}, True),
}


@pytest.mark.parametrize(("head", "meta", "is_repaired"), HEADS.values(), ids=HEADS)
def test_a_head_is_read_strictly_or_key_by_key(head: str, meta: dict[str, Any], is_repaired: bool) -> None:
    found = read(f"---\n{head}\n---\nbody\n")
    assert (dict(found.meta), found.body, bool(found.problem)) == (meta, "body\n", is_repaired)
    assert read(f"---\r\n{head}\r\n---\r\nbody".replace("\n", "\r\n").replace("\r\r", "\r")).body == "body"


@pytest.mark.parametrize(
    "text", ["", "no head\n---\n", "--- \nname: a\n", "text\n---\nname: a\n---\n", "----\na: b\n---\n"]
)
def test_a_file_without_a_head_is_all_body(text: str) -> None:
    assert (read(text).meta, read(text).body) == ({}, text)


def test_values_are_read_as_what_they_are_needed_as() -> None:
    found = read("---\ntools: Read, Grep ,\nhint: [a, b]\nyes: On\nno: 0\nother: maybe\nn: 3\nnull_: ~\n---\n")
    assert found.texts("tools") == ("Read", "Grep")
    assert found.texts("hint") == ("a", "b")
    assert (found.text("hint"), found.text("n"), found.text("null_"), found.text("none")) == ("a, b", "3", "", "")
    assert (found.flag("yes"), found.flag("no", True), found.flag("other"), found.flag("none", True)) == (
        True,
        False,
        False,
        True,
    )


def test_a_bomb_of_aliases_costs_nothing() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{('*' + chr(97 + n) + ',') * 9}]\n" for n in range(20)
    )
    assert len(repr(read(f"---\n{bomb}---\n").meta)) < 5_000


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}*&!|>'\"#\n \t,%@`~\\"), max_size=60))
def test_no_head_makes_it_fail(head: str) -> None:
    read(f"---\n{head}\n---\nbody")
