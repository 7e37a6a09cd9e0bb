"""Can a swarm work on this repository? Answered before anything is started, by the command line.

Synchronous, standard library only: ``swarm-tui doctor`` must be able to say what is wrong when little works.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.errors import RepositoryError

from .hardening import MINIMUM_GIT, SETTINGS, environment

_TIMEOUT_S = 60.0
_OPERATIONS = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found. ``branch`` is a full ref name, None when HEAD is detached; ``problems`` are warnings."""

    root: Path
    git_version: str
    branch: str | None
    head: str | None
    is_dirty: bool
    problems: tuple[str, ...] = ()


def find_root(start: Path) -> Path:
    """The top directory of the checkout that ``start`` lies in.

    Raises RepositoryError if there is none, if it is bare or if git refuses to read it.
    """
    _version()
    place = clean(str(start))
    if not start.is_dir():
        raise RepositoryError(f"{place} is not a directory", hint="name the directory of a git repository")
    top = _git(start, "rev-parse", "--show-toplevel")
    if top.returncode == 0:
        return Path(_line(top)).resolve()
    said = os.fsdecode(top.stderr)
    if "dubious ownership" in said:
        raise RepositoryError(
            f"git does not trust {place}: it belongs to somebody else",
            hint=f"git config --global --add safe.directory {place}",
        )
    if _line(_git(start, "rev-parse", "--is-bare-repository")) == "true":
        raise RepositoryError(f"{place} is a bare repository", hint="clone it and start in the clone")
    if _git(start, "rev-parse", "--git-dir").returncode == 0:
        raise RepositoryError(f"{place} lies inside a .git directory", hint="start in the checkout itself")
    raise RepositoryError(f"{place} is not in a git repository", hint="cd into one, or make one with: git init")


def check(root: Path) -> Preflight:
    """Look at the repository whose top directory is ``root``.

    Raises RepositoryError for what makes a run impossible; what is only worth knowing is in ``problems``. Nothing in
    the repository is changed, the index included.
    """
    version = _version()
    root = find_root(root)
    place = clean(str(root))
    _refuse_partial_clone(root, place)
    for path in (_git_path(root, "--git-common-dir"), _git_path(root, "--git-path", "objects")):
        if not _is_writable(path):
            raise RepositoryError(
                f"{clean(str(path))} cannot be written to", hint="check its owner, its permissions and the mount"
            )
    head = _line(_git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
    if not head:
        raise RepositoryError(
            f"{place} has no commit yet, so there is nothing to start from",
            hint='git add -A && git commit -m "Start"   (or: git commit --allow-empty -m "Start")',
        )
    branch = _line(_git(root, "symbolic-ref", "--quiet", "HEAD")) or None
    problems = []
    if (operation := operation_in_progress(_git_path(root, "--git-dir"))) is not None:
        problems.append(f"{operation} is in progress in {place}: finish or abort it before the work is landed")
    elif branch is None:
        problems.append("HEAD is detached: the work can be kept, but there is no branch to land it on")
    if (root / ".gitmodules").is_file():
        problems.append("submodules stay empty in the agents' worktrees")
    is_dirty = bool(_need(root, "status", "--porcelain", "-z", "--ignore-submodules=all").stdout)
    return Preflight(root, version, branch, head, is_dirty, tuple(problems))


def operation_in_progress(git_dir: Path) -> str | None:
    """What a checkout is in the middle of ("a rebase"), read from its git directory; None if nothing."""
    return next((name for mark, name in _OPERATIONS.items() if (git_dir / mark).exists()), None)


def parse_version(text: str) -> tuple[int, int] | None:
    """``git version 2.39.5 (Apple Git-154)`` as (2, 39)."""
    match = re.match(r"git version (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _version() -> str:
    wanted = ".".join(map(str, MINIMUM_GIT))
    try:
        said = _line(_git(Path("/"), "version"))
    except FileNotFoundError as error:
        raise RepositoryError("git is not on the PATH", hint=f"install git {wanted} or newer") from error
    found = parse_version(said)
    if found is None or found < MINIMUM_GIT:
        raise RepositoryError(f"{clean(said) or 'this git'} is too old", hint=f"install git {wanted} or newer")
    return said.removeprefix("git version ")


def _refuse_partial_clone(root: Path, place: str) -> None:
    found = _git(root, "config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$")
    if found.returncode == 0 and not _line(found).endswith(" false"):
        raise RepositoryError(
            f"{place} is a partial clone: objects may be missing when an agent needs them",
            hint="make a full clone (without --filter) and start there",
        )


def _git_path(root: Path, *which: str) -> Path:
    return Path(_line(_need(root, "rev-parse", "--path-format=absolute", *which)))


def _is_writable(path: Path) -> bool:
    if not os.access(path, os.W_OK | os.X_OK):
        return False
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def _git(dir: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *SETTINGS, "-C", str(dir), *args]
    return subprocess.run(
        command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
    )


def _need(dir: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    done = _git(dir, *args)
    if done.returncode:
        said = clean(os.fsdecode(done.stderr).strip()[-400:])
        raise RepositoryError(f"git {args[0]} failed in {clean(str(dir))}: {said}", hint="try it by hand there")
    return done


def _line(done: subprocess.CompletedProcess[bytes]) -> str:
    return os.fsdecode(done.stdout).removesuffix("\n")
