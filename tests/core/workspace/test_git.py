"""Running git: nothing inherited steers it, nothing it prints is lost, nothing it runs outlives its caller's view."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.errors import GitFailed
from swarm_core.workspace.git import git


async def test_output_is_the_bytes_git_wrote(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.write(repo, "blob", b"\xff\x00end\n\n")
    repos.commit_all(repo, "Bytes")

    assert (await git("cat-file", "blob", "HEAD:blob", dir=repo)).stdout == b"\xff\x00end\n\n"


@pytest.mark.parametrize("input", [None, b""])
async def test_a_leaked_git_dir_does_not_steer_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, input: bytes | None
) -> None:
    here, elsewhere = repos.small(tmp_path / "here"), repos.small(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    monkeypatch.setenv("GIT_INDEX_FILE", str(elsewhere / ".git/index"))

    output = await git("rev-parse", "--show-toplevel", dir=here, input=input)

    assert output.text == str(here.resolve())


async def test_a_failed_command_says_command_status_and_reason(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")

    with pytest.raises(GitFailed, match=r"cat-file blob HEAD:missing ended with 128 .*missing"):
        await git("cat-file", "blob", "HEAD:missing", dir=repo)


async def test_a_status_that_is_expected_is_returned(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")

    assert (await git("rev-parse", "--verify", "--quiet", "nothing", dir=repo, ok=(0, 1))).code == 1


async def test_a_directory_that_is_gone_never_means_the_present_one(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="cannot change to"):
        await git("status", dir=tmp_path / "gone")


async def test_reading_more_than_the_limit_stops_the_command(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.write(repo, "big.txt", repos.lines("big", 200_000))
    repos.commit_all(repo, "Big")

    output = await git("cat-file", "blob", "HEAD:big.txt", dir=repo, limit_bytes=1000)

    assert output.is_cut
    assert output.stdout == repos.lines("big", 200).encode()[:1000]


async def test_a_cancelled_caller_waits_until_the_command_is_done(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    caller = asyncio.create_task(git("update-ref", "refs/heads/made", "HEAD", dir=repo))
    await asyncio.sleep(0)

    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert repos.git(repo, "rev-parse", "made") == repos.git(repo, "rev-parse", "HEAD")


async def test_status_leaves_the_index_file_alone(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    (repo / "README.md").touch()
    before = (repo / ".git/index").stat()

    await git("status", dir=repo)

    assert (repo / ".git/index").stat().st_mtime_ns == before.st_mtime_ns


async def test_hooks_and_monitors_of_the_repository_never_run(tmp_path: Path) -> None:
    repo, ran = repos.small(tmp_path / "r"), tmp_path / "ran"
    program = repos.write(tmp_path, "program", f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for hook in ("reference-transaction", "post-checkout", "post-index-change"):
        (repo / ".git/hooks").mkdir(exist_ok=True)
        (repo / ".git/hooks" / hook).symlink_to(program)
    repos.git(repo, "config", "core.fsmonitor", str(program))

    await git("update-ref", "refs/heads/x", "HEAD", dir=repo)
    await git("read-tree", "HEAD", dir=repo)
    await git("status", dir=repo)

    assert not ran.exists()


def test_importing_the_room_does_not_load_gitpython() -> None:
    program = "import sys, swarm_core.workspace.landing, swarm_core.workspace.preflight; print('git' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_path())

    assert done.stdout.strip() == "False"


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[3] / "core"), "PATH": "/usr/bin:/bin"}
