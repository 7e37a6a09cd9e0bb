"""Skills are found, filled in and loaded as text; nothing inside them runs or leads out of the tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.tools import Bench, bench

from swarm_core.definitions.frontmatter import read
from swarm_core.tools.skills import Skill


def skill(room: Bench, name: str, text: str) -> Path:
    path = room.tree / ".claude/skills" / name / "SKILL.md"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    made = bench(tmp_path)
    skill(
        made,
        "release",
        "---\nname: other\ndescription: How we release: carefully\n---\nRelease $0 to ${CLAUDE_SKILL_DIR}.\n",
    )
    return made


async def test_skills_are_listed_and_loaded_by_the_name_of_their_directory(room: Bench) -> None:
    listed = (await room.call("Skill", skill="list")).text
    assert "- release: How we release: carefully" in listed
    assert "- handing-off: How to end a task" in listed
    loaded = await room.call("Skill", skill="release", args="1.2 'to all'")
    where = ".claude/skills/release"
    assert loaded.text == f"Skill release (of this repository, {where}):\n\nRelease 1.2 to {room.tree}/{where}."
    assert loaded.target == "release"
    unknown = await room.call("Skill", skill="other")
    assert unknown.is_error
    assert "does not exist" in unknown.text
    assert "- release: " in unknown.text


async def test_shipped_skills_are_whole_and_a_repository_may_replace_them(room: Bench) -> None:
    shipped = await room.call("Skill", skill="writing-a-migration", args="add phone_number")
    assert not shipped.is_error
    assert "For: add phone_number" in shipped.text
    assert not read((await room.call("Skill", skill="handing-off")).text).meta
    skill(room, "handing-off", "ours\n")
    assert (await room.call("Skill", skill="handing-off")).text.endswith(":\n\nours")


@pytest.mark.parametrize("name", ["../release", "a/b", "..", ".", "", "x" * 65, "release/../release", "\0"])
async def test_a_name_is_never_a_path(room: Bench, name: str) -> None:
    assert (await room.call("Skill", skill=name)).is_error


async def test_links_and_odd_files_are_no_skills(room: Bench) -> None:
    (room.outside / "SKILL.md").write_text("outside")
    (room.tree / ".claude/skills/away").symlink_to(room.outside)
    skill(room, "swapped", "x").unlink()
    (room.tree / ".claude/skills/swapped/SKILL.md").symlink_to(room.outside / "secret")
    skill(room, "folder", "x").unlink()
    (room.tree / ".claude/skills/folder/SKILL.md").mkdir()
    skill(room, "people", "---\ndisable-model-invocation: yes\n---\nx")
    listed = (await room.call("Skill", skill="list")).text
    for name in ("away", "swapped", "folder", "people"):
        result = await room.call("Skill", skill=name)
        assert result.is_error
        assert "untouched" not in result.text
        assert f"- {name}" not in listed


async def test_a_service_that_may_not_read_the_repository_has_the_shipped_ones(tmp_path: Path) -> None:
    room = bench(tmp_path, access_level="none")
    skill(room, "release", "secret steps")
    assert (await room.call("Skill", skill="release")).is_error
    assert not (await room.call("Skill", skill="handing-off")).is_error


FILLED: dict[str, tuple[str, str, str]] = {
    "all": ("Do $ARGUMENTS now", "a b", "Do a b now"),
    "by number": ("$0-$1-$2|$ARGUMENTS[1]", "a 'b c'", "a-b c-|b c"),
    "by name": ("fix $issue for $who ($other)", "12 me", "fix 12 for me ($other)"),
    "appended": ("Just do it.", "  a b ", "Just do it.\n\nARGUMENTS: a b"),
    "nothing to append": ("Just do it.", "", "Just do it."),
    "escaped": ("costs \\$1 and \\$ARGUMENTS", "", "costs $1 and $ARGUMENTS"),
    "not filled twice": ("$0 $1", "'$1' b", "$1 b"),
    "a lone quote": ("$0", "it's", "it's"),
    "money": ("$ 5 and $", "", "$ 5 and $"),
    "places": ("${CLAUDE_PROJECT_DIR}/${CLAUDE_SKILL_DIR} ${HOME}", "", "/tree//skill ${HOME}"),
}


@pytest.mark.parametrize(("body", "args", "filled"), FILLED.values(), ids=FILLED)
def test_arguments_are_put_in_their_places(body: str, args: str, filled: str) -> None:
    document = read(f"---\narguments: [issue, who]\n---\n{body}")
    assert Skill("s", Path("/skill"), document).filled(args, Path("/tree")) == filled


def test_commands_inside_a_skill_are_shown_and_not_run() -> None:
    body = "Status: !`touch ran`\n!`git log $0`\nwow!`this is text`\n```!\ntouch ran\ntouch more\n```\nend"
    text = Skill("s", Path("/skill"), read(body)).filled("x", Path("/tree"))
    assert text.count("not run") == 3
    assert "[not run: `git log x`." in text
    assert "wow!`this is text`" in text
    assert not Path("ran").exists()
