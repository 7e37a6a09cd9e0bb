"""What a confined process may touch. One description, from which every kind of confinement is built.

Reading is an allow-list: the programs and libraries of the machine, what the engine's own tool chain needs, the
worktree, its git objects and the scratch directory. Whatever is not named (homes, keys, other worktrees, journals)
cannot be opened.
"""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.layout import state_home

from .limits import Limits

_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/snap"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm"),
    *("/System", "/Library", "/private/etc", "/private/var/db/timezone", "/home/linuxbrew/.linuxbrew"),
)
_TOOLCHAINS = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "RUSTUP_HOME", "GOROOT", "JAVA_HOME", "NVM_DIR")
# Programs of a person are installed here beside their keys and their data: only the named directory is opened.
_SHARED_PREFIXES = (".local", ".")
_MAX_ENTRIES = 50_000


@dataclass(frozen=True, slots=True)
class Reach:
    """``tree`` and ``scratch`` are real paths; ``writable`` and ``readable`` are components below the tree.

    ``roots`` are read as well, ``hidden`` is refused even inside them. ``port`` is the one TCP port on loopback that
    may be connected to, 0 for none; ``is_open`` leaves TCP alone (for the operator's checks, which talk to servers
    they start).
    """

    tree: Path
    scratch: Path
    writable: tuple[tuple[str, ...], ...]
    readable: tuple[tuple[str, ...], ...] = ((),)
    roots: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    port: int = 0
    is_open: bool = False
    limits: Limits = field(default_factory=Limits)


def reach_of(
    scope: Scope,
    scratch: Path,
    *,
    borrows: Sequence[Path] = (),
    hidden: Sequence[Path] = (),
    limits: Limits | None = None,
) -> Reach:
    """The reach of a service in its tree. ``borrows`` are read as well (git's objects), ``hidden`` never is."""
    secret = [*map(_real, hidden), *_homes(), *unreadable_by_others(Path("/etc"))]
    roots = [*machine_roots(tuple(secret)), *map(_real, borrows)]
    return Reach(
        scope.tree,
        _real(scratch),
        scope.writable,
        scope.readable,
        tuple(dict.fromkeys(roots)),
        tuple(dict.fromkeys(secret)),
        limits=limits or Limits(),
    )


def _real(path: Path | str) -> Path:
    return Path(os.path.realpath(path))


def _homes() -> list[Path]:
    """Where this person's things are; the state directory holds the other agents' trees."""
    return [_real(Path.home()), _real(state_home())]


def machine_roots(hidden: tuple[Path, ...]) -> list[Path]:
    """Directories of programs: the system's, those on ``PATH``, this interpreter's, and known tool chains'.

    A directory that holds something hidden is left out, unless it is the system's: there the hidden part is cut out.
    """
    return _machine_roots(
        hidden,
        os.environ.get("PATH", os.defpath),
        tuple(value for name in _TOOLCHAINS if (value := os.environ.get(name))),
    )


@functools.lru_cache(maxsize=8)
def _machine_roots(hidden: tuple[Path, ...], path: str, toolchains: tuple[str, ...]) -> list[Path]:
    found = [Path(root) for root in _SYSTEM if Path(root).exists()]
    chosen = [Path(text) for text in (sys.prefix, sys.base_prefix, sys.exec_prefix, *toolchains)]
    for text in path.split(os.pathsep):
        if not os.path.isabs(text):  # noqa: PTH117 - an empty entry means the present directory
            continue
        directory = Path(text)
        chosen.append(directory)
        if directory.name in ("bin", "sbin") and directory.parent.name not in _SHARED_PREFIXES:
            chosen.append(directory.parent)
    for directory in chosen:
        for spelled in (directory, _real(directory)):
            if spelled.is_dir() and not any(_real(secret).is_relative_to(_real(spelled)) for secret in hidden):
                found.append(spelled)
    return [path for path in dict.fromkeys(found) if not any(_real(path) == _real(secret) for secret in hidden)]


@functools.cache
def unreadable_by_others(top: Path) -> tuple[Path, ...]:
    """What below ``top`` its owner keeps from other people: an engine that runs as root must keep it as well."""
    return tuple(_kept(top))


def _kept(top: Path) -> Iterator[Path]:
    todo, seen = [top], 0
    while todo and seen < _MAX_ENTRIES:
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except OSError:
                continue
            if stat.S_ISLNK(mode):
                continue
            if not mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH):
                yield Path(entry.path)
            elif stat.S_ISDIR(mode):
                todo.append(Path(entry.path))


def spread(roots: Iterable[Path], hidden: Sequence[Path]) -> Iterator[Path]:
    """``roots`` with what is hidden cut out: a directory that holds it is replaced by what else is in it.

    For a confinement that can only add (Landlock). Links are judged by where they lead.
    """
    todo = list(roots)
    while todo:
        root = todo.pop()
        real = _real(root)
        if any(real == secret for secret in hidden):
            continue
        if not any(secret.is_relative_to(real) for secret in hidden):
            yield real
            continue
        try:
            todo += [Path(entry.path) for entry in os.scandir(real) if not entry.is_symlink()]
        except OSError:
            continue
