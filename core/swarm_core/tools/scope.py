"""What one service may read and write, judged after symbolic links and ``..``.

Reads reach the whole tree except ``.git`` (a service with ``access_level: none``: its directories). Writes reach the
service's directories, if it writes at all. The scratch directory is the agent's own. A path outside both is refused
whatever it is: keys and other agents' work live there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.vocabulary.spec import ServiceSpec

# Characters that some file systems ignore in names, so that ".g\u200cit" opens ".git" there.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SHORT_GIT = re.compile(r"git~\d+")


def is_git_name(name: str) -> bool:
    """Whether some file system opens ``.git`` under this name: other case, trailing dots, streams, short names."""
    plain = _IGNORED.sub("", name).casefold().split(":", 1)[0].rstrip(" .")
    return plain == ".git" or _SHORT_GIT.fullmatch(plain) is not None


def _relative(directory: str) -> tuple[str, ...] | None:
    """The components of a configured directory; None if it climbs, and so grants nothing."""
    parts = tuple(part for part in directory.strip().split("/") if part not in ("", "."))
    return None if ".." in parts else parts


def _starts(parts: tuple[str, ...], roots: tuple[tuple[str, ...], ...]) -> bool:
    return any(parts[: len(root)] == root for root in roots)


@dataclass(frozen=True, slots=True)
class Scope:
    """A service's reach in its own worktree.

    ``scratch`` is a directory outside the tree that is the agent's own, ``owned`` are the tree-relative files it may
    write besides its directories: the artifacts it produces. The confinement of commands does not open those.
    """

    tree: Path
    service: ServiceSpec
    scratch: Path | None = None
    owned: Container[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", Path(os.path.realpath(self.tree)))
        if self.scratch is not None:
            object.__setattr__(self, "scratch", Path(os.path.realpath(self.scratch)))

    @property
    def directories(self) -> tuple[tuple[str, ...], ...]:
        """The service's directories as components below the tree; ``()`` is the whole tree."""
        return tuple(parts for text in self.service.directories if (parts := _relative(text)) is not None)

    @property
    def writable(self) -> tuple[tuple[str, ...], ...]:
        """The directories that may be written: none for a service that only reads."""
        return self.directories if self.service.writes else ()

    @property
    def readable(self) -> tuple[tuple[str, ...], ...]:
        """Where a search starts when it names no place."""
        return self.directories if self.service.access_level == "none" else ((),)

    def place(self, path: Path) -> tuple[Path, tuple[str, ...]]:
        """``path`` as a trusted base (tree or scratch) and the components below it. Raises PermissionDenied."""
        for base in (self.tree, self.scratch):
            if base is not None and path.is_relative_to(base):
                return base, path.relative_to(base).parts
        raise self._denied(str(path), "is outside your worktree", "outside_tree", self._may_read())

    def shown(self, path: Path) -> str:
        """The path as the agent names it: relative to the tree, absolute in the scratch directory."""
        return path.relative_to(self.tree).as_posix() or "." if path.is_relative_to(self.tree) else str(path)

    def resolve(self, path_text: str, *, follow: bool = True) -> Path:
        """Where a path really leads, as an absolute path without links inside the tree or the scratch directory.

        Relative paths start at the tree. ``follow=False`` judges the entry itself when it is a link.
        Raises PermissionDenied if it leads outside, ToolError if it is no path.
        """
        if not path_text.strip() or "\0" in path_text:
            raise ToolError("the path is empty or holds a NUL character", hint="name a file below the worktree")
        joined = os.path.join(self.tree, path_text)  # noqa: PTH118 - Path() would drop a leading //
        try:
            if follow:
                real = Path(os.path.realpath(joined))
            else:
                head, tail = os.path.split(joined.rstrip("/"))
                real = Path(os.path.realpath(joined if tail in ("", ".", "..") else head))
                real = real if tail in ("", ".", "..") else real / tail
        except (OSError, ValueError) as error:
            raise ToolError(f"{path_text}: {error}", hint="name a file below the worktree") from error
        if not any(base is not None and real.is_relative_to(base) for base in (self.tree, self.scratch)):
            if Path(os.path.normpath(joined)).is_relative_to(self.tree):
                raise self._denied(
                    path_text, "leads out of your worktree through a symbolic link", "symlink", self._may_read()
                )
            raise self._denied(path_text, "is outside your worktree", "outside_tree", self._may_read())
        if follow and os.path.islink(real):  # noqa: PTH114 - takes names that are too long for a file system
            raise self._denied(path_text, "is a loop of symbolic links", "symlink", "name the file itself")
        return real

    def check_read(self, path: str | Path) -> Path:
        """Where ``path`` really leads, if it may be read. Raises PermissionDenied."""
        text = str(path)
        real = self.resolve(text)
        base, parts = self.place(real)
        if base != self.tree:
            return real
        self._refuse_git(text, parts)
        if self.service.access_level == "none" and not _starts(parts, self.directories):
            raise self._denied(
                text,
                f"is outside the directories of service {self.service.key}, which reads nothing else",
                "access_level",
                self._may_read(),
            )
        return real

    def check_write(self, path: str | Path, *, follow: bool = True) -> Path:
        """Where ``path`` really leads, if it may be written; ``follow=False`` for removing or moving a link itself.

        Raises PermissionDenied.
        """
        text = str(path)
        real = self.resolve(text, follow=follow)
        base, parts = self.place(real)
        if base != self.tree:
            return real
        self._refuse_git(text, parts)
        if "/".join(parts) in self.owned:
            return real
        if not self.service.writes:
            raise self._denied(
                text,
                f"cannot be written: service {self.service.key} only reads",
                "access_level",
                "leave the change to the service that owns the file and name it in your handoff",
            )
        if not _starts(parts, self.writable):
            lexical = Path(os.path.normpath(self.tree / text))
            if lexical.is_relative_to(self.tree) and _starts(lexical.relative_to(self.tree).parts, self.writable):
                what = f"leads to {self.shown(real)} through a symbolic link, outside your directories"
                raise self._denied(text, what, "symlink", self._may_write())
            raise self._denied(
                text, f"is outside the directories of service {self.service.key}", "directories", self._may_write()
            )
        return real

    def allows_write(self, rel: str) -> bool:
        """Whether the service may have changed this tree-relative path, as git lists it.

        A symbolic link that leaves the tree is never the service's to commit: whoever writes through it later
        would write there.
        """
        parts = tuple(rel.split("/"))
        if not rel or rel.startswith("/") or any(part in ("", ".", "..") or is_git_name(part) for part in parts):
            return False
        if not _starts(parts, self.writable) and rel not in self.owned:
            return False
        path = self.tree / rel
        is_link = os.path.islink(path)  # noqa: PTH114 - as above
        return not is_link or Path(os.path.realpath(path)).is_relative_to(self.tree)

    def _refuse_git(self, text: str, parts: tuple[str, ...]) -> None:
        if any(is_git_name(part) for part in (*parts, *self._below_tree(text))):
            raise self._denied(
                text,
                "belongs to git",
                "git_dir",
                "read history with git log, git show, git diff; record work with commit",
            )

    def _below_tree(self, text: str) -> tuple[str, ...]:
        """The components as written, for a spelling that a link hides; the tree's own path is not judged."""
        if not os.path.isabs(text):  # noqa: PTH117 - the text, not the path it leads to
            return tuple(text.split("/"))
        plain = Path(os.path.normpath(text))
        return plain.relative_to(self.tree).parts if plain.is_relative_to(self.tree) else ()

    def _may_read(self) -> str:
        if self.service.access_level == "none":
            return f"read below {self._names(self.directories)}"
        return "read below the worktree, with paths relative to it"

    def _may_write(self) -> str:
        return f"write below {self._names(self.writable)}, or ask for the change in your handoff"

    @staticmethod
    def _names(directories: tuple[tuple[str, ...], ...]) -> str:
        return ", ".join("/".join(parts) + "/" if parts else "the worktree" for parts in directories) or "nothing"

    def _denied(self, path: str, what: str, rule: str, hint: str) -> PermissionDenied:
        return PermissionDenied(f"{path} {what}", rule=rule, target=path, hint=hint)
