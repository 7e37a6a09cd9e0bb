"""Changes are measured honestly, commits hold what is allowed and nothing else, and nothing out of scope stays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.workspace.facts import Commit, Tree
from swarm_core.workspace.hub import Hub

TRAILERS = {"Run-Id": repos.RUN, "Task-Id": "task_001", "Agent": "backend-1"}
ODD_NAMES = [
    "with space",
    "ünïcode/雪.txt",
    "new\nline",
    "-leading-dash",
    "--help",
    'quo"te',
    "tab\there",
    "*",
    ":(top)x",
]


async def backend(tmp_path: Path) -> tuple[Hub, Tree]:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    return hub, await hub.add_tree("backend-1")


async def commit(hub: Hub, scope: str = "", *, trailers: Mapping[str, str] = TRAILERS) -> Commit | None:
    return await hub.commit(
        "backend-1", "Do it", allowed=lambda path: path.startswith(scope), trailers=trailers, author="backend-1"
    )


async def changed(hub: Hub) -> dict[str, str]:
    return {change.path: change.kind for change in await hub.changes("backend-1")}


async def test_every_kind_of_change_is_seen_as_what_it_is(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "backend/app.py", "edited\n")
    (tree.path / "backend/util.py").rename(tree.path / "backend/helper.py")
    (tree.path / "run.sh").chmod(0o644)
    (tree.path / "README.md").unlink()
    (tree.path / "README.md").symlink_to("run.sh")
    (tree.path / "empty").mkdir()
    repos.write(tree.path, "noise.log", "ignored")

    assert await changed(hub) == {
        "README.md": "retyped",
        "backend/app.py": "modified",
        "backend/helper.py": "added",
        "backend/util.py": "deleted",
        "run.sh": "modified",
    }


async def test_a_touched_file_is_no_change(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    os.utime(tree.path / "backend/app.py", (1, 1))

    assert await hub.changes("backend-1") == []


async def test_flags_in_the_agents_index_hide_nothing(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.git(tree.path, "update-index", "--assume-unchanged", "backend/app.py")
    repos.git(tree.path, "update-index", "--skip-worktree", "backend/util.py")
    repos.write(tree.path, "backend/app.py", "hidden\n")
    repos.write(tree.path, "backend/util.py", "hidden\n")

    assert await changed(hub) == {"backend/app.py": "modified", "backend/util.py": "modified"}


async def test_an_agents_own_commits_hide_nothing(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "frontend/page.html", "out of scope\n")
    stray = repos.commit_all(tree.path, "Sneak it in")

    assert await changed(hub) == {"frontend/page.html": "modified"}
    repos.write(tree.path, "backend/app.py", "in scope\n")
    made = await commit(hub, "backend/")

    assert made is not None
    assert made.paths == ("backend/app.py",)
    assert repos.git(tree.path, "rev-parse", "HEAD") == made.oid
    assert repos.git(tree.path, "rev-parse", "HEAD^") == hub.base
    assert stray in repos.git(hub.layout.hub, "reflog", tree.branch, "--format=%H").split()


async def test_looking_never_takes_the_agents_index_lock(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    index = hub.layout.hub / "worktrees/backend-1/index"
    os.utime(tree.path / "backend/app.py", (1, 1))
    before = (index.read_bytes(), index.stat().st_mtime_ns)

    await hub.changes("backend-1")

    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


async def test_a_commit_holds_what_is_allowed_and_leaves_the_rest(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "backend/app.py", "one\ntwo\n")
    repos.write(tree.path, "backend/new.py", "new\n")
    (tree.path / "backend/util.py").unlink()
    repos.write(tree.path, "frontend/page.html", "not mine\n")

    made = await commit(hub, "backend/")

    assert made is not None
    assert made.paths == ("backend/app.py", "backend/new.py", "backend/util.py")
    assert (made.stat.files, made.stat.insertions, made.stat.deletions) == (3, 3, 40)
    assert await changed(hub) == {"frontend/page.html": "modified"}
    assert await hub.tip("backend-1") == made.oid == repos.git(tree.path, "rev-parse", "HEAD")
    assert repos.git(tree.path, "status", "--porcelain") == " M frontend/page.html"


async def test_a_commit_names_its_author_and_ends_in_our_trailers(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "x", "x")
    made = await commit(hub)

    assert made is not None
    shown = repos.git(hub.layout.hub, "show", "-s", "--format=%an|%cn|%(trailers:only)", made.oid)
    assert shown.split("|") == ["backend-1", "swarm-tui", "".join(f"{k}: {v}\n" for k, v in TRAILERS.items())]
    assert made.message == repos.git(hub.layout.hub, "show", "-s", "--format=%B", made.oid)


async def test_nothing_to_commit_is_none(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "frontend/page.html", "not mine\n")
    repos.write(tree.path, "debug.log", "ignored")

    assert await commit(hub, "backend/") is None
    assert await hub.tip("backend-1") == hub.base


async def test_odd_names_links_modes_and_binaries_are_committed_as_they_are(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    for name in ODD_NAMES:
        repos.write(tree.path, name, name)
    undecodable = Path(os.fsdecode(os.fsencode(tree.path) + b"/caf\xe9"))
    undecodable.write_bytes(b"\xff\x00")
    repos.write(tree.path, "tool", "#!/bin/sh\n").chmod(0o755)
    (tree.path / "dangling").symlink_to("../../nowhere")
    repos.write(tree.path, "empty", "")

    made = await commit(hub)

    assert made is not None
    assert made.skipped == ()
    assert await hub.changes("backend-1") == []
    again = await hub.add_tree("frontend-1", at=made.oid)
    assert repos.files(again.path) == repos.files(tree.path)


async def test_a_file_can_become_a_directory_and_back(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    (tree.path / "README.md").unlink()
    repos.write(tree.path, "README.md/part", "part\n")
    for name in ("app.py", "util.py"):
        (tree.path / "backend" / name).unlink()
    (tree.path / "backend").rmdir()
    repos.write(tree.path, "backend", "a file now\n")

    made = await commit(hub)

    assert made is not None
    assert await hub.changes("backend-1") == []
    await hub.reset_tree("backend-1", hub.base)
    assert repos.files(tree.path) == repos.files(tmp_path / "r")
    await hub.reset_tree("backend-1", made.oid)
    assert (tree.path / "README.md/part").read_text() == "part\n"


async def test_a_directory_never_takes_the_place_of_a_file_out_of_scope(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    (tree.path / "README.md").unlink()
    repos.write(tree.path, "README.md/mine", "x")
    repos.write(tree.path, "README.txt", "x")

    made = await hub.commit(
        "backend-1", "Do it", allowed=lambda path: path != "README.md", trailers=TRAILERS, author="backend-1"
    )

    assert made is not None
    assert made.paths == ("README.txt",)
    assert [(skip.path, skip.reason) for skip in made.skipped] == [
        ("README.md/mine", "it takes the place of README.md")
    ]


async def test_what_a_linked_directory_points_to_is_never_read_or_written(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tmp_path, "secret/app.py", "secret\n")
    repos.write(tmp_path, "secret/key", "secret\n")
    for name in ("app.py", "util.py"):
        (tree.path / "backend" / name).unlink()
    (tree.path / "backend").rmdir()
    (tree.path / "backend").symlink_to(tmp_path / "secret")

    assert await changed(hub) == {"backend": "added", "backend/app.py": "deleted", "backend/util.py": "deleted"}
    moved = await hub.quarantine("backend-1", ["backend/app.py", "backend/key", "backend/util.py"])

    assert moved == ["backend", "backend/app.py", "backend/util.py"]
    assert sorted(path.name for path in (tmp_path / "secret").iterdir()) == ["app.py", "key"]
    assert (tmp_path / "secret/app.py").read_text() == "secret\n"
    assert repos.files(tree.path) == repos.files(tmp_path / "r")


async def test_a_committed_link_to_outside_is_a_link_and_not_its_target(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tmp_path, "secret/key", "secret\n")
    (tree.path / "lnk").symlink_to(tmp_path / "secret")

    made = await commit(hub)

    assert made is not None
    assert made.paths == ("lnk",)
    assert repos.git(hub.layout.hub, "show", f"{made.oid}:lnk") == str(tmp_path / "secret")


async def test_what_cannot_be_committed_is_skipped_with_the_reason(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "huge.bin", bytes((8 << 20) + 1))
    repos.write(tree.path, "fits.bin", bytes(8 << 20))
    repos.git(tree.path, "init", "-q", "inner")
    repos.write(tree.path, "inner/file", "x")
    (tree.path / "README.md").unlink()
    os.mkfifo(tree.path / "README.md")
    repos.write(tree.path, "a/GIT~1/x", "x")

    made = await commit(hub)

    assert made is not None
    assert made.paths == ("fits.bin",)
    assert {skip.path: skip.reason for skip in made.skipped} == {
        "README.md": "neither a file nor a link",
        "a/GIT~1/x": "git refuses the name",
        "huge.bin": "larger than 8 MiB",
        "inner/": "a repository inside the worktree",
    }
    (tree.path / "README.md").unlink()


async def test_a_planted_repository_inside_a_tracked_directory_is_not_run(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    mark = tmp_path / "ran"
    repos.git(tree.path / "backend", "init", "-q")
    program = repos.write(tmp_path, "program", f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    repos.git(tree.path / "backend", "config", "core.fsmonitor", str(program))
    repos.write(tree.path, "backend/app.py", "changed\n")

    made = await commit(hub)

    assert made is not None
    assert made.paths == ("backend/app.py",)
    assert not mark.exists()


async def test_a_submodule_is_left_alone_and_its_configuration_never_read(tmp_path: Path) -> None:
    repo, inner = repos.small(tmp_path / "r"), repos.small(tmp_path / "inner")
    repos.git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    repos.commit_all(repo, "Add a submodule")
    hub = await Hub.open(repos.layout(repo))
    tree = await hub.add_tree("backend-1")
    mark = tmp_path / "ran"
    program = repos.write(tmp_path, "program", f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    sub = tree.path / "sub"
    repos.git(sub, "init", "-q")
    repos.git(sub, "fetch", "-q", str(inner), "main")
    repos.git(sub, "reset", "-q", "--hard", "FETCH_HEAD")  # as recorded: only its files are left to ask about
    repos.git(sub, "config", "filter.evil.clean", str(program))
    repos.write(sub, ".gitattributes", "* filter=evil\n")
    repos.write(sub, "README.md", "# smalL\n")
    repos.write(tree.path, "new", "")

    made = await commit(hub)
    await hub.reset_tree("backend-1", hub.base)

    assert made is not None
    assert made.paths == ("new",)
    assert not mark.exists()


async def test_quarantine_moves_what_was_done_and_restores_what_was_there(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.write(tree.path, "frontend/page.html", "defaced\n")
    repos.write(tree.path, "frontend/deep/new.html", "new\n")
    (tree.path / "run.sh").unlink()
    repos.write(tree.path, "backend/app.py", "mine\n")

    moved = await hub.quarantine(
        "backend-1", ["frontend/page.html", "frontend/deep/new.html", "run.sh", "README.md", "../r/README.md", "/etc/x"]
    )

    assert moved == ["frontend/page.html", "frontend/deep/new.html", "run.sh"]
    assert await changed(hub) == {"backend/app.py": "modified"}
    assert (tree.path / "run.sh").stat().st_mode & 0o100
    place = hub.layout.state_dir / "quarantine/backend-1/001"
    assert repos.files(place).keys() == {"frontend/page.html", "frontend/deep/new.html"}
    assert (place / "frontend/page.html").read_text() == "defaced\n"
    assert not (tree.path / "frontend/deep").exists()


async def test_each_quarantine_has_a_place_of_its_own(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    for content in ("one", "two"):
        repos.write(tree.path, "x", content)
        assert await hub.quarantine("backend-1", ["x"]) == ["x"]

    home = hub.layout.state_dir / "quarantine/backend-1"
    assert [(home / number / "x").read_text() for number in ("001", "002")] == ["one", "two"]
    assert await hub.quarantine("backend-1", ["x"]) == []
    assert len(list(home.iterdir())) == 2


async def test_a_repository_inside_the_tree_can_be_quarantined(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    repos.git(tree.path, "init", "-q", "inner")
    repos.write(tree.path, "inner/file", "x")

    assert await hub.quarantine("backend-1", ["inner/"]) == ["inner/"]
    assert await hub.changes("backend-1") == []


async def test_what_is_written_after_a_crash_in_a_move_is_kept(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    stand = hub.layout.state_dir / "desk.git/trees/backend-1/stand.json"
    stand.write_text(stand.read_text().replace('"is_settled": true', '"is_settled": false'))
    repos.write(tree.path, "late.txt", "late\n")

    assert await hub.changes("backend-1") == []
    assert repos.git(hub.layout.hub, "show", "refs/swarm/snap/backend-1:late.txt") == "late"


async def test_a_damaged_record_is_reported_and_the_tree_kept(tmp_path: Path) -> None:
    hub, tree = await backend(tmp_path)
    (hub.layout.state_dir / "desk.git/trees/backend-1/stand.json").write_text("{")

    hub = await Hub.open(hub.layout)
    with pytest.raises(WorkspaceError, match="is damaged"):
        await hub.add_tree("backend-1")
    assert (tree.path / "README.md").exists()


async def test_without_a_tree_every_question_says_so(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))

    for question in (hub.tip("x-1"), hub.changes("x-1"), hub.quarantine("x-1", ["a"]), hub.reset_tree("x-1", hub.base)):
        with pytest.raises(WorkspaceError, match="x-1 has no worktree"):
            await question
