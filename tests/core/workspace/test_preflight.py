"""Preflight: what makes a run impossible is said before it starts, with the next step, and changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.errors import RepositoryError
from swarm_core.workspace.preflight import check, find_root, parse_version


def test_a_good_repository_is_described(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")

    found = check(repo)

    assert found.root == repo.resolve()
    assert (found.branch, found.head) == ("refs/heads/main", repos.git(repo, "rev-parse", "HEAD"))
    assert parse_version(f"git version {found.git_version}") is not None
    assert not found.is_dirty
    assert found.problems == ()


def test_the_root_is_found_from_below(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "a name")

    assert find_root(repo / "backend") == repo.resolve()


def test_a_dirty_checkout_is_reported_and_not_touched(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    before = repos.fingerprint(repo)

    assert check(repo).is_dirty
    assert repos.fingerprint(repo) == before


def test_a_leaked_git_dir_does_not_mislead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo, other = repos.small(tmp_path / "r"), repos.small(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))

    assert check(repo).root == repo.resolve()
    assert find_root(repo) == repo.resolve()


def test_outside_a_repository_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not in a git repository") as caught:
        find_root(tmp_path)
    assert "git init" in caught.value.hint


def test_a_file_is_no_place_to_start(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not a directory"):
        find_root(repos.write(tmp_path, "file", ""))


def test_inside_the_git_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"inside a \.git directory"):
        find_root(repos.small(tmp_path / "r") / ".git")


def test_without_a_commit_the_hint_makes_one(tmp_path: Path) -> None:
    repos.git(tmp_path, "init", "-q")

    with pytest.raises(RepositoryError, match="no commit yet") as caught:
        check(tmp_path)

    command = caught.value.hint.split("(or: ")[1].rstrip(")")
    subprocess.run(
        ["sh", "-c", command.replace("git ", "git -c user.name=a -c user.email=a@b ")], cwd=tmp_path, check=True
    )
    assert check(tmp_path).head


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    repos.git(tmp_path, "init", "-q", "--bare")

    with pytest.raises(RepositoryError, match="bare"):
        check(tmp_path)


def test_a_partial_clone_is_refused(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.git(repo, "config", "uploadpack.allowFilter", "true")
    repos.git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{repo}", "clone")

    with pytest.raises(RepositoryError, match="partial clone"):
        check(tmp_path / "clone")


def test_a_shallow_clone_is_accepted(tmp_path: Path) -> None:
    repos.git(tmp_path, "clone", "-q", "--depth=1", f"file://{repos.dirty(tmp_path / 'r')}", "clone")

    assert check(tmp_path / "clone").problems == ()


@pytest.mark.parametrize(("said", "is_refused"), [("2.37.9", True), ("2.38.0", False), ("3.0.1", False), ("?", True)])
def test_an_old_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_refused: bool) -> None:
    repo = repos.small(tmp_path / "r")
    real = shutil.which("git")
    fake = repos.write(
        tmp_path,
        "bin/git",
        f'#!/bin/sh\ncase "$*" in *version) echo "git version {said}";; *) exec {real} "$@";; esac\n',
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")

    if is_refused:
        with pytest.raises(RepositoryError, match="too old"):
            check(repo)
    else:
        assert check(repo).git_version == said


def test_a_missing_git_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = repos.small(tmp_path / "r")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RepositoryError, match="git is not on the PATH"):
        find_root(repo)


def test_a_merge_in_progress_and_a_detached_head_are_warnings(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.git(repo, "checkout", "-q", "--detach")
    assert "detached" in check(repo).problems[0]

    (repo / ".git/MERGE_HEAD").write_text(repos.git(repo, "rev-parse", "HEAD"))
    assert "a merge is in progress" in check(repo).problems[0]


def test_a_read_only_repository_is_refused(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    program = "import sys; from pathlib import Path; from swarm_core.workspace.preflight import check\n"
    program += "try: print(check(Path(sys.argv[1])))\nexcept Exception as error: print(type(error).__name__, error)"
    # Root is bound by permissions only without the right to override them.
    bound = ["setpriv", "--bounding-set=-dac_override", "--"] if os.geteuid() == 0 else []
    (repo / ".git/objects").chmod(0o555)
    try:
        done = subprocess.run(
            [*bound, sys.executable, "-c", program, str(repo)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "core")},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        (repo / ".git/objects").chmod(0o755)

    assert done.stdout.startswith(f"RepositoryError {repo}/.git/objects cannot be written to")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a repository that belongs to somebody else")
def test_somebody_elses_repository_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = repos.small(tmp_path / "r")
    for path in (repo, repo / ".git"):
        os.chown(path, 65534, 65534)
    monkeypatch.delenv("SUDO_UID", raising=False)

    with pytest.raises(RepositoryError, match="does not trust") as caught:
        find_root(repo)
    assert f"safe.directory {repo}" in caught.value.hint
