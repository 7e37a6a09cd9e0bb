"""A task that is the operator's: the room shows where it lies and takes a word when it is handed in or given back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.room import Visit, visit

from swarm_core.vocabulary.events import OPERATOR, Draft

MINE = (
    Draft("task.released", {"reason": "you take it"}, task="task_003"),
    Draft("task.claimed", {"attempt": 2, "base": "b", "worker": OPERATOR}, task="task_003", agent="frontend-1"),
)


async def mine(at: Visit) -> None:
    await at.happen(*MINE)


async def test_the_pane_shows_where_it_lies_and_the_keys(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(200, 40)) as at:
        await mine(at)
        assert at.room.store is not None
        worktree = at.room.store.view.instances["frontend-1"].worktree

        assert f"yours: {worktree}"[:40] in at.text
        assert "i hand in · I give back" in at.text


@pytest.mark.parametrize(("key", "kind", "field"), [("i", "task.submit", "what_i_did"), ("I", "task.fail", "reason")])
async def test_words_go_with_it(tmp_path: Path, key: str, kind: str, field: str) -> None:
    async with visit(tmp_path, "two at work") as at:
        await mine(at)
        await at.press(key, *"all of it", "enter")

        (item,) = at.inbox()
        assert (item["kind"], item["data"]) == (kind, {"task": "task_003", "attempt": 2, field: "all of it"})
        assert at.focus == "board"


async def test_nothing_is_sent_without_a_word_and_escape_goes_back(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await mine(at)
        await at.press("i", "enter")
        assert at.inbox() == []
        assert "It needs a word" in at.text
        await at.press("escape")

        assert at.focus == "board"
        await at.press("p")
        assert [item["kind"] for item in at.inbox()] == ["run.pause"], "letters are keys again"


async def test_a_task_that_is_an_agents_is_not_handed_in(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("4", "i")

        assert "No task is yours now." in at.text
        assert at.inbox() == []
