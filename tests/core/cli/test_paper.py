"""Lines for people: cut between words, counted in cells, and left whole where no terminal limits them."""

from __future__ import annotations

import pytest

from swarm_core.cli.paper import cells, columned, counted, wrapped


def test_a_line_is_broken_between_words_and_goes_on_below_its_text() -> None:
    assert list(wrapped("from  one two three four five six", 6, 30)) == ["from  one two three four five", "      six"]


def test_without_a_width_a_line_is_left_whole() -> None:
    assert list(wrapped("word " * 100, 2, 0)) == ["word " * 100]


@pytest.mark.parametrize("text", ["a" * 200, "界" * 90, "  " + "ab " * 60, "a " + "界" * 50 + " b", "", " " * 50])
@pytest.mark.parametrize("width", [1, 24, 37])
@pytest.mark.parametrize("hang", [0, 8, 100])
def test_nothing_is_lost_and_nothing_is_too_wide(text: str, width: int, hang: int) -> None:
    lines = list(wrapped(text, hang, width))
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max((cells(line) for line in lines), default=0) <= max(width, 24)


def test_cells_stand_below_each_other_whatever_they_hold() -> None:
    lines = [text for text, _ in columned([("界", "a", "x"), ("b", "\x1b[2J", "")])]
    assert lines == ["界  a     x", "b   ␛[2J"]


def test_one_thing_is_not_called_by_its_plural() -> None:
    assert (counted(1, "rule"), counted(0, "rule")) == ("1 rule", "0 rules")
