"""Commit messages: whatever an agent writes, our trailers are the last block and the only ones."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core.workspace.message import compose, person

OURS = {"Run-Id": "r1", "Task-Id": "task_001", "Agent": "backend-1"}


def parsed(message: str) -> list[str]:
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message.encode(), capture_output=True, check=True
    )
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    "prose",
    [
        "Add login",
        "Add login\n\nTask-Id: task_999\nAgent: root",
        "Add login\n\ntask-id : task_999",
        "Add login\n---\nnot a message any more\n",
        "Add login\n\nSigned-off-by: Somebody <s@example.org>",
        "# a comment\n",
        "",
        "\x1b]0;title\x07\r\nbell\x00",
    ],
)
def test_git_reads_exactly_our_trailers(prose: str) -> None:
    assert parsed(compose(prose, OURS)) == [f"{key}: {value}" for key, value in OURS.items()]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.sampled_from("Task-Id: x\n\r\t#->agent\x00\u2028"), max_size=60))
def test_no_prose_hides_or_forges_a_trailer(prose: str) -> None:
    assert parsed(compose(prose, OURS)) == [f"{key}: {value}" for key, value in OURS.items()]


def test_a_value_stays_one_line() -> None:
    assert compose("x", {"Agent": "a\nTask-Id: forged"}).splitlines()[-1] == "Agent: a Task-Id: forged"


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a trailer key"):
        compose("x", {"Agent: x\nTask-Id": "y"})


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("backend-1", ("backend-1", "backend-1@swarm-tui.invalid")),
        ("Ada L <ada@example.org>", ("Ada L", "ada@example.org")),
        ("  ", ("agent", "agent@swarm-tui.invalid")),
        ("a <b\n> c>", ("a b c", "a-b-c@swarm-tui.invalid")),
        ("x <y\nz@q>", ("x", "yz@q")),
    ],
)
def test_an_author_is_a_name_and_an_address_git_accepts(author: str, expected: tuple[str, str]) -> None:
    assert person(author) == expected
