"""A document shows every line for what it is: nothing in a change can pass for a heading or hide a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.panes import Stage
from tests.support.recorded import PATCH, merge_document
from tests.support.repos import commit_all, git, small, write
from tests.support.room import screen_segments, visit

from swarm_tui.screens.document import FileList
from swarm_tui.widgets.document import Document, patch_of, rows_of


def styled(text: str) -> list[tuple[str, str]]:
    """Each row as its text and the style of its last piece."""
    rows, _ = rows_of(text)
    return [("".join(piece for piece, _ in row), row[-1][1]) for row in rows]


def paths(text: str) -> list[str]:
    return [path for _, path in rows_of(text)[1]]


HEAD = "diff --git a/notes.sql b/notes.sql\nindex 1..2 100644\n--- a/notes.sql\n+++ b/notes.sql\n"


def test_changed_lines_that_look_like_headings_are_changes() -> None:
    patch = (
        HEAD + "@@ -1,3 +1,3 @@\n--- drop the old table\n+++ b/secret.py\n-@@ -1 +1 @@\n+diff --git a/x b/x\n same\n"
    )
    assert [row for row in styled(patch) if row[1] in ("added", "removed")] == [
        ("--- drop the old table", "removed"),
        ("+++ b/secret.py", "added"),
        ("-@@ -1 +1 @@", "removed"),
        ("+diff --git a/x b/x", "added"),
    ]
    assert paths(patch) == ["notes.sql"]


def test_the_headings_of_a_file_are_said_once() -> None:
    texts = [text for text, _ in styled(HEAD + "@@ -1 +1 @@\n-a\n+b\n")]
    assert texts == [" notes.sql ", "@@ -1 +1 @@", "-a", "+b"]


def test_a_hunk_without_counts_is_one_line_on_each_side() -> None:
    patch = HEAD + "@@ -1 +1 @@\n-a\n+b\n" + HEAD.replace("notes", "more") + "@@ -0,0 +1 @@\n+c\n"
    assert paths(patch) == ["notes.sql", "more.sql"]
    assert [text for text, style in styled(patch) if style == "added"] == ["+b", "+c"]


def test_every_file_is_found_where_it_begins() -> None:
    rows, files = rows_of(merge_document(3, "task_002", "Implement the API"))
    assert [path for _, path in files] == ["backend/auth.py", "backend/routes.py"]
    for row, path in files:
        assert [(piece.strip(), style) for piece, style in rows[row]] == [(path, "file")]


def test_no_line_of_the_changes_is_lost() -> None:
    wanted = [line for line in PATCH.split("\n") if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    shown = [text for text, style in styled(PATCH) if style in ("added", "removed")]
    assert shown == [line for line in wanted if line]


def test_what_the_engine_measured_stands_out() -> None:
    rows = dict(styled("gate_001 · task\n\nChecks\n  ✓ tests\n  ✗ lint\n" + "─" * 72 + "\n" + PATCH))
    assert rows["  ✓ tests"] == "good"
    assert rows["  ✗ lint"] == "bad"
    assert rows["Checks"] == "strong"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.py", "plain.py"),
        ("with space.py", "with space.py"),
        ("a b/README.md", "a b/README.md"),
        ("a b/a b/x", "a b/a b/x"),
        ("b/b/b", "b/b/b"),
        ("né.py", "n\\303\\251.py"),
        ("bell\x1b[2J.py", "bell\\033[2J.py"),
        ('quo"te.py', 'quo\\"te.py'),
    ],
)
def test_a_files_name_is_shown_as_git_has_it(tmp_path: Path, name: str, shown: str) -> None:
    repo = small(tmp_path / "repo")
    write(repo, name, "hello\n")
    commit_all(repo, "A file")
    assert paths(git(repo, "show", "--format=", "HEAD")) == [shown]


def test_a_mark_that_an_agent_wrote_is_not_painted_as_a_measurement() -> None:
    rows = dict(styled("gate_001\n\nWhat the agent says\n  ✓ all tests\n\nChecks, measured by the engine\n  ✗ tests"))
    assert rows["  ✓ all tests"] == "plain"
    assert rows["  ✗ tests"] == "bad"


def test_a_renamed_file_is_shown_under_its_new_name() -> None:
    patch = "diff --git a/old.py b/new.py\nsimilarity index 100%\nrename from old.py\nrename to new.py\n"
    assert paths(patch) == ["new.py"]
    assert ("  rename from old.py", "muted") in styled(patch)


def test_what_happens_to_a_file_without_changed_lines_is_shown() -> None:
    patch = "diff --git a/run b/run\nold mode 100644\nnew mode 100755\ndiff --git a/x.png b/x.png\n"
    patch += "index 1..2\nBinary files a/x.png and b/x.png differ\n"
    texts = [text.strip() for text, _ in styled(patch)]
    assert texts == [
        "run",
        "old mode 100644",
        "new mode 100755",
        "",
        "x.png",
        "Binary files a/x.png and b/x.png differ",
    ]


async def test_the_brackets_go_from_file_to_file() -> None:
    patch = "".join(
        f"diff --git a/f{n} b/f{n}\n@@ -0,0 +1,30 @@\n" + "".join(f"+line {i}\n" for i in range(30)) for n in range(4)
    )
    document = Document()
    app = Stage(lambda: document)
    async with app.run_test(size=(60, 12)) as pilot:
        document.show(patch.encode())
        await pilot.pause()
        seen = []
        for key in ("right_square_bracket", "right_square_bracket", "left_square_bracket", "left_square_bracket"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(app.lines[0].strip())
        assert seen == ["f1", "f2", "f1", "f0"]


async def test_another_document_is_shown_from_its_beginning() -> None:
    document = Document()
    app = Stage(lambda: document)
    async with app.run_test(size=(60, 12)) as pilot:
        document.show(("Old\n" * 100).encode())
        await pilot.press("G")
        document.show(b"New")
        await pilot.pause()
        assert app.lines[0] == "New"
        document.show(b"")
        await pilot.pause()
        assert "nothing to show" in app.lines[0]


async def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    document = Document()
    app = Stage(lambda: document)
    async with app.run_test(size=(60, 12)) as pilot:
        document.show(b"\xff\xfe caf\xc3\xa9 \x00 end")
        await pilot.pause()
        assert app.lines[0] == "\ufffd\ufffd café \u2400 end"


async def test_what_a_task_handed_in_is_shown_file_by_file(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("down", "down", "d")
        assert at.place == "DocumentScreen"
        files = at.room.screen.query_one(FileList)
        assert files.files == [("backend/auth.py", 14, 0), ("backend/routes.py", 8, 2)]
        assert "2 files" in at.text
        await at.press("down")
        assert "@@ -12,9 +12,12 @@" in at.text
        await at.press("escape")
        assert at.place == "ControlScreen"
        assert at.focus == "board"


async def test_a_plan_is_a_document_without_files(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("d")
        assert at.place == "DocumentScreen"
        assert "No file was changed." in at.text
        assert "the architect's plan" in at.text


async def test_added_and_removed_lines_have_grounds_of_their_own(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(120, 50)) as at:
        await at.press("down", "down", "d")
        grounds = {}
        for segment in screen_segments(at.room):
            if segment.style and segment.text.startswith(("+def sign", "-    return sorted", "@@ -12")):
                grounds[segment.text[0]] = segment.style.bgcolor
        assert len(grounds) == 3
        assert len(set(grounds.values())) == 3


def test_what_a_plan_changes_is_told_from_the_words_about_it() -> None:
    text = (
        "gate_004 · the architect's plan for: x\n\nGoal\n  task_009  is no task of this plan\n\n"
        "Given to somebody else\n  task_003 → backend  the page needs the API first\n\nDropped\n  task_004  no need\n"
    )
    rows, _ = rows_of(text)
    styles = {"".join(piece for piece, _ in row).strip(): [style for _, style in row] for row in rows}
    assert styles["task_003 → backend  the page needs the API first"] == ["plain", "tool", "plain"]
    assert styles["task_004  no need"] == ["plain", "tool", "plain"]
    assert styles["task_009  is no task of this plan"] == ["plain", "plain"]


def test_one_files_part_of_a_patch_is_its_own_whatever_its_content_says() -> None:
    lying = "diff --git a/x b/x"
    text = (
        f"gate\n  {lying}\n\ndiff --git a/y b/y\n@@ -1,2 +1,2 @@\n {lying}\n+{lying}\n-old\n"
        "diff --git a/x b/x\n@@ -1 +1 @@\n-1\n+2\ndiff --git a/z b/z\n"
    )
    assert patch_of(text, "x") == "diff --git a/x b/x\n@@ -1 +1 @@\n-1\n+2"
    assert patch_of(text, "y").count(lying) == 2
    assert patch_of(text, "w") == ""
