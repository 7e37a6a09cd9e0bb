"""Builders of real git repositories, and what must not change in them."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from swarm_core.vocabulary.layout import RepoLayout, RunLayout

RUN = "20261121-030405-add-a-login"
_IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
_STAMP = "1750000000 +0000"


def git(repo: Path, *args: str, input: bytes | None = None, check: bool = True) -> str:
    """Run the operator's git, as he would, and return what it wrote (undecodable bytes as surrogates)."""
    return os.fsdecode(git_bytes(repo, *args, input=input, check=check)).removesuffix("\n")


def git_bytes(repo: Path, *args: str, input: bytes | None = None, check: bool = True) -> bytes:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_AUTHOR_DATE": _STAMP, "GIT_COMMITTER_DATE": _STAMP, "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *_IDENTITY, "-C", str(repo), *args], input=input or b"", env=env, capture_output=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"git {args} ended with {done.returncode}: {os.fsdecode(done.stderr)}")
    return done.stdout


def write(root: Path, path: str, content: str | bytes) -> Path:
    """Write a file, with the directories it needs."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def commit_all(repo: Path, message: str) -> str:
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", message)
    return git(repo, "rev-parse", "HEAD")


def lines(name: str, count: int = 20) -> str:
    return "".join(f"{name} line {number}\n" for number in range(count))


Made = dict[str, tuple[int, bytes]]
"""A finished repository in memory: mode and content, or target, of every file."""


def small(path: Path) -> Path:
    """A repository with one commit: two packages, a program, a symbolic link, ignore rules."""
    return _unpack(_small(), path)


def dirty(path: Path) -> Path:
    """About 300 files, a history of 12 commits, a second branch, and a checkout in the middle of somebody's work:
    a stash, a staged, an unstaged and an untracked change."""
    return _unpack(_dirty(), path)


def _pack(root: Path) -> Made:
    made = {}
    for top, _, names in os.walk(root):
        for path in (Path(top, name) for name in names):
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            made[os.path.relpath(path, root)] = (path.lstat().st_mode, content)
    return made


def _unpack(made: Made, path: Path) -> Path:
    for directory in (".git/refs/heads", ".git/objects/info"):
        (path / directory).mkdir(parents=True)
    for name, (mode, content) in made.items():
        if stat.S_ISLNK(mode):
            (path / name).symlink_to(os.fsdecode(content))
        else:
            write(path, name, content).chmod(stat.S_IMODE(mode))
    git(path, "update-index", "-q", "--refresh", check=False)
    return path


def _new(path: Path) -> Path:
    git(path, "init", "-q", "--template=")
    git(path, "config", "user.name", "Ada")
    git(path, "config", "user.email", "ada@example.org")
    write(path, ".git/info/exclude", "")
    return path


@cache
def _small() -> Made:
    with tempfile.TemporaryDirectory() as place:
        return _pack(_build_small(_new(Path(place))))


@cache
def _dirty() -> Made:
    with tempfile.TemporaryDirectory() as place:
        return _pack(_build_dirty(_new(Path(place))))


def _build_small(path: Path) -> Path:
    write(path, "README.md", "# Small\n")
    write(path, "backend/app.py", lines("app"))
    write(path, "backend/util.py", lines("util"))
    write(path, "frontend/page.html", lines("page"))
    write(path, "run.sh", "#!/bin/sh\nexit 0\n").chmod(0o755)
    (path / "current").symlink_to("backend/app.py")
    write(path, ".gitignore", "*.log\nbuild/\n")
    commit_all(path, "Start")
    return path


def _build_dirty(path: Path) -> Path:
    for number in range(300):
        write(path, f"pkg{number % 12:02d}/mod{number:03d}.py", lines(f"m{number}", 8))
    commit_all(path, "Start")
    for number in range(11):
        write(path, f"pkg{number:02d}/mod{number:03d}.py", lines(f"m{number} again", 9))
        commit_all(path, f"Change {number}")
    git(path, "branch", "topic", "HEAD~3")
    write(path, "pkg05/mod005.py", "stashed\n")
    git(path, "stash", "-q")
    write(path, "pkg06/mod006.py", "staged\n")
    git(path, "add", "pkg06/mod006.py")
    git(path, "gc", "-q")
    write(path, "pkg07/mod007.py", "unstaged\n")
    write(path, "notes.txt", "untracked\n")
    return path


def layout(repo: Path, run: str = RUN) -> RunLayout:
    return RepoLayout(repo.resolve()).run(run)


def fingerprint(repo: Path, *, with_content: bool = True) -> dict[str, object]:
    """Everything a run must leave alone in the operator's repository, byte for byte."""
    index = repo / ".git/index"
    refs = git(repo, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    found: dict[str, object] = {
        "HEAD": (repo / ".git/HEAD").read_bytes(),
        "index": hashlib.sha256(index.read_bytes()).hexdigest(),
        "index mtime": index.stat().st_mtime_ns,
        "config": (repo / ".git/config").read_bytes(),
        "stash": git(repo, "stash", "list"),
        "refs": [ref for ref in refs if not ref.startswith("refs/swarm/")],
        "locks": sorted(path.name for path in (repo / ".git").glob("*.lock")),
        "worktrees": sorted(path.name for path in (repo / ".git").glob("worktrees/*")),
    }
    if with_content:
        found["files"] = files(repo)
        found["status"] = status(repo)
    return found


def files(root: Path) -> dict[str, str]:
    """Path, kind and content of everything in a checkout but ``.git``; of the mode what git keeps."""
    found = {}
    for top, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name != ".git"]
        for name in names:
            path = Path(top, name)
            if path.is_symlink():
                kind = f"link {path.readlink()}"
            else:
                kind = "program" if path.lstat().st_mode & 0o100 else "file"
                kind += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
            found[os.path.relpath(path, root)] = kind
    found.pop(".git", None)
    return found


def status(repo: Path) -> str:
    """``git status`` without touching the index."""
    return git(repo, "--no-optional-locks", "status", "--porcelain", "-z", "--untracked-files=all")
