"""The scope refuses every path that ends outside what the service owns, whatever it is spelled like."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.tools import Bench, bench

from swarm_core.tools.scope import Scope, is_git_name
from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.vocabulary.spec import ServiceSpec


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    made = bench(tmp_path)
    (made.tree / "backend" / "to_outside").symlink_to(made.outside)
    (made.tree / "backend" / "to_frontend").symlink_to("../frontend")
    (made.tree / "backend" / "inner").symlink_to("app.py")
    (made.tree / "backend" / "dangling").symlink_to("../../outside/new")
    (made.tree / "backend" / "loop").symlink_to("loop")
    (made.tree / "backend" / "git").symlink_to("../.git")
    return made


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/etc/passwd", "outside_tree"),
        ("//etc/passwd", "outside_tree"),
        ("../outside/secret", "outside_tree"),
        ("backend/../../outside/secret", "outside_tree"),
        ("backend/to_outside/secret", "symlink"),
        ("backend/to_outside/../tree/frontend/page.ts", "symlink"),
        ("backend/dangling", "symlink"),
        ("backend/loop", "symlink"),
        ("frontend/page.ts", "directories"),
        ("backend/../frontend/page.ts", "directories"),
        ("backend/to_frontend/page.ts", "symlink"),
        ("backendx/app.py", "directories"),
        ("README.md", "directories"),
        (".", "directories"),
        (".git", "git_dir"),
        (".git/config", "git_dir"),
        ("backend/git", "git_dir"),
        ("backend/.GIT/config", "git_dir"),
        ("backend/.git./hooks", "git_dir"),
        ("backend/git~1/config", "git_dir"),
        ("backend/.g\u200cit/config", "git_dir"),
        ("backend/.git::$INDEX_ALLOCATION/x", "git_dir"),
    ],
)
def test_a_write_outside_the_directories_is_refused_with_its_rule(room: Bench, path: str, rule: str) -> None:
    with pytest.raises(PermissionDenied) as refused:
        room.scope.check_write(path)
    assert refused.value.rule == rule
    assert refused.value.target == path
    assert path in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    "path", ["backend/app.py", "./backend//new/deep.py", "frontend/../backend/x", "backend/inner", "backend"]
)
def test_the_services_own_files_may_be_written(room: Bench, path: str) -> None:
    assert room.scope.check_write(path).is_relative_to(room.tree / "backend")
    assert room.scope.check_write(str(room.tree / path)) == room.scope.check_write(path)


def test_reading_reaches_the_whole_tree_but_neither_git_nor_the_outside(room: Bench) -> None:
    assert room.scope.check_read("frontend/page.ts") == room.tree / "frontend/page.ts"
    assert room.scope.check_read("backend/to_frontend/page.ts") == room.tree / "frontend/page.ts"
    for path in (
        ".git",
        "../outside/secret",
        "/etc/hostname",
        "backend/to_outside/secret",
        str(room.outside / "secret"),
    ):
        with pytest.raises(PermissionDenied):
            room.scope.check_read(path)


def test_the_scratch_directory_is_the_agents_own(room: Bench) -> None:
    path = room.scratch / "notes.txt"
    assert room.scope.check_write(str(path)) == path == room.scope.check_read(str(path))
    assert Scope(room.tree, room.scope.service).scratch is None
    with pytest.raises(PermissionDenied):
        Scope(room.tree, room.scope.service).check_read(str(path))


@pytest.mark.parametrize("path", ["", "  ", "a\0b"])
def test_what_is_no_path_is_an_error_of_the_call(room: Bench, path: str) -> None:
    with pytest.raises(ToolError):
        room.scope.check_read(path)


@pytest.mark.parametrize(
    "service",
    [
        ServiceSpec("backend", access_level="global_read", directories=("/",)),
        ServiceSpec("architect", directories=("/",)),
    ],
)
def test_a_service_that_does_not_write_writes_nothing(room: Bench, service: ServiceSpec) -> None:
    scope = Scope(room.tree, service)
    with pytest.raises(PermissionDenied) as refused:
        scope.check_write("backend/app.py")
    assert refused.value.rule == "access_level"
    assert not scope.allows_write("backend/app.py")
    assert scope.writable == ()


def test_a_service_without_access_reads_and_writes_its_own_directories_only(room: Bench) -> None:
    scope = Scope(room.tree, ServiceSpec("backend", access_level="none", directories=("backend",)))

    assert scope.check_write("backend/app.py") == room.tree / "backend" / "app.py"
    for act in (scope.check_read, scope.check_write):
        with pytest.raises(PermissionDenied):
            act("README.md")


def test_access_level_none_reads_its_directories_only(room: Bench) -> None:
    scope = Scope(room.tree, ServiceSpec("backend", access_level="none", directories=("backend",)))
    assert scope.check_read("backend/app.py").is_file()
    for path in ("frontend/page.ts", ".", "backend/to_frontend/page.ts"):
        with pytest.raises(PermissionDenied) as refused:
            scope.check_read(path)
        assert refused.value.rule == "access_level"


@pytest.mark.parametrize("whole", ["/", ".", "./"])
def test_a_slash_or_a_dot_is_the_whole_tree_without_git(room: Bench, whole: str) -> None:
    scope = Scope(room.tree, ServiceSpec("all", directories=(whole,)))
    assert scope.check_write("anything/new") == room.tree / "anything/new"
    assert scope.allows_write("README.md")
    for path in (".git", ".git/hooks/pre-commit", "../outside/secret"):
        with pytest.raises(PermissionDenied):
            scope.check_write(path)


def test_a_directory_that_climbs_or_is_a_link_grants_nothing(room: Bench) -> None:
    (room.tree / "linked").symlink_to(room.outside)
    scope = Scope(room.tree, ServiceSpec("x", directories=("../outside", "linked", "backend/../frontend")))
    for path in ("../outside/secret", "linked/secret", "frontend/page.ts"):
        with pytest.raises(PermissionDenied):
            scope.check_write(path)


@pytest.mark.parametrize(
    ("rel", "allowed"),
    [
        ("backend/app.py", True),
        ("backend/deep/new.py", True),
        ("backend/inner", True),
        ("backend/to_outside", False),
        ("backendx/app.py", False),
        ("frontend/page.ts", False),
        ("backend/../frontend/page.ts", False),
        ("backend/.git/config", False),
        ("backend/.Git", False),
        (".git", False),
        ("/backend/app.py", False),
        ("backend//app.py", False),
        ("", False),
    ],
)
def test_a_commit_takes_only_the_services_paths(room: Bench, rel: str, allowed: bool) -> None:
    assert room.scope.allows_write(rel) is allowed


def test_removing_a_link_is_judged_at_the_link_and_not_where_it_leads(room: Bench) -> None:
    assert room.scope.check_write("backend/to_outside", follow=False) == room.tree / "backend/to_outside"
    with pytest.raises(PermissionDenied):
        room.scope.check_write("backend/to_outside/secret", follow=False)
    with pytest.raises(PermissionDenied):
        room.scope.check_write("backend/to_outside/..", follow=False)


def test_names_that_only_resemble_git_are_ordinary() -> None:
    assert not any(is_git_name(name) for name in (".gitignore", ".github", "git", "agit~1", ".git2", "git~"))


PARTS = st.sampled_from(
    ["..", ".", "", "backend", "frontend", "up", "away", "root", "deep", "back", ".git", "a b", "~", "x" * 300]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(PARTS, max_size=9), is_absolute=st.booleans())
def test_no_chain_of_dots_links_and_absolute_paths_ends_outside(parts: list[str], is_absolute: bool) -> None:
    place = Path(_maze().name)
    tree = place / "tree"
    scope = Scope(tree, ServiceSpec("backend", directories=("backend",)))
    text = "/".join(parts)
    if is_absolute:
        text = f"{tree}/{text}"
    for check, limit in ((scope.check_read, tree), (scope.check_write, tree / "backend")):
        try:
            allowed = check(text)
        except (PermissionDenied, ToolError):
            continue
        truth = Path(os.path.realpath(tree / text))
        assert allowed == truth
        assert truth.is_relative_to(os.path.realpath(limit))
        assert ".git" not in truth.relative_to(os.path.realpath(tree)).parts


_MAZES: list[tempfile.TemporaryDirectory[str]] = []


def _maze() -> tempfile.TemporaryDirectory[str]:
    """One tree for all examples, with links up, away, to the root and back."""
    if not _MAZES:
        made = tempfile.TemporaryDirectory()
        tree = Path(made.name) / "tree"
        (tree / "backend" / "deep").mkdir(parents=True)
        (tree / "frontend").mkdir()
        (tree / ".git").mkdir()
        for directory in (tree, tree / "backend", tree / "backend/deep", tree / "frontend"):
            (directory / "up").symlink_to("..")
            (directory / "away").symlink_to(made.name)
            (directory / "root").symlink_to("/")
            (directory / "back").symlink_to(tree / "backend")
        _MAZES.append(made)
    return _MAZES[0]
