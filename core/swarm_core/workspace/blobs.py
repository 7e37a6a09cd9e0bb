"""Files as a commit holds them: looked at without a checkout, so that no link, hook or later edit can come between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .desk import Desk

FILE_MODES = ("100644", "100755")
LINK_MODE = "120000"


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies at a path of a commit. ``kind`` is file, link, directory or repository."""

    path: str
    kind: str
    oid: str
    size_bytes: int


async def entries(desk: Desk, commit: str, paths: Iterable[str]) -> dict[str, Entry]:
    """What a commit has at ``paths``; a path it does not have is left out. One git process, however many."""
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    listed = await desk.git("ls-tree", "-z", "-l", "--full-tree", await desk.commit_oid(commit), "--", *wanted)
    found: dict[str, Entry] = {}
    for line in listed.fields:
        meta, _, path = line.partition("\t")
        mode, _, oid, size = meta.split()
        kind = "file" if mode in FILE_MODES else {LINK_MODE: "link", "040000": "directory"}.get(mode, "repository")
        found[path] = Entry(path, kind, oid, int(size) if size.isdecimal() else 0)
    return found


async def contents(desk: Desk, oids: Iterable[str]) -> dict[str, bytes]:
    """The bytes of blobs by their id. The caller knows their sizes (``entries``) and asks for no more than it can hold.

    Raises GitFailed if one of them is not there.
    """
    wanted = sorted(set(oids))
    if not wanted:
        return {}
    given = "".join(f"{oid}\n" for oid in wanted).encode()
    raw = (await desk.git("cat-file", "--batch", input=given)).stdout
    found: dict[str, bytes] = {}
    offset = 0
    for oid in wanted:
        end = raw.index(b"\n", offset)
        size = int(raw[offset:end].split()[2])
        found[oid] = raw[end + 1 : end + 1 + size]
        offset = end + 1 + size + 1
    return found
