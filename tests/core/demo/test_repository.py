"""The demonstration's repository: made once, from nothing, whatever the person's own git is set to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from swarm_core.demo import GOAL, create
from swarm_core.vocabulary.errors import RepositoryError
from swarm_core.vocabulary.ids import run_id


def git(top: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=top, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_a_repository_with_one_commit_on_main(tmp_path: Path) -> None:
    top = create(tmp_path / "new place" / "eco")
    assert git(top, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git(top, "rev-list", "--count", "HEAD") == "1"
    assert git(top, "status", "--porcelain") == ""
    assert set(git(top, "ls-files").splitlines()) == {
        ".agent-artifacts/registry.yml",
        ".agent-artifacts/validation.json",
        ".gitignore",
        "CLAUDE.md",
        "README.md",
        "multi-agent.yaml",
        "run_tests.py",
        "tests/__init__.py",
        "tests/test_conventions.py",
    }
    assert git(top, "log", "-1", "--format=%an <%ae>") == "EcoRoute <demo@ecoroute.example>"


def test_a_directory_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(RepositoryError, match="not empty"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eco").write_text("")
    with pytest.raises(RepositoryError, match="not a directory"):
        create(tmp_path / "eco")


def test_the_persons_own_git_settings_have_no_say(
    tmp_path: Path, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (clean_environment / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = trunk\n"
    )
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    top = create(tmp_path / "eco")
    monkeypatch.delenv("GIT_DIR")
    assert git(top, "log", "-1", "--format=%an %D") == "EcoRoute HEAD -> main"
    assert not (tmp_path / "elsewhere").exists()


def test_git_missing_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="git was not found"):
        create(tmp_path / "eco")


def test_services_own_disjoint_directories(tmp_path: Path) -> None:
    services = yaml.safe_load((create(tmp_path / "eco") / "multi-agent.yaml").read_text())["services"]
    assert list(services) == ["architect", "database", "backend", "frontend", "testing"]
    owned = [
        directory for key, service in services.items() if key != "architect" for directory in service["directories"]
    ]
    assert len(owned) == len(set(owned)) == 5
    assert all("git commit" in services[key]["tools_restricted"] for key in ("frontend", "backend"))


def test_the_goal_names_the_run() -> None:
    assert run_id(GOAL, "2026-11-21T03:04:05.678Z") == "20261121-030405-build-ecoroute-customers-bins"
