"""Merging without a checkout: what two commits give, and the one act that moves the integration line."""

from __future__ import annotations

from collections.abc import Mapping

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import GitFailed, MergeConflict, WorkspaceError

from .desk import INTEGRATION, Desk
from .facts import MergeTry
from .message import compose


async def try_merge(desk: Desk, ours: str, theirs: str) -> MergeTry:
    """Merge two commits in the object store alone; markers are in zdiff3 style and named as the arguments are."""
    done = await desk.git("merge-tree", "--write-tree", "-z", "--messages", ours, theirs, ok=(0, 1))
    return _parse(done.fields, is_clean=done.code == 0)


def _parse(fields: list[str], *, is_clean: bool) -> MergeTry:
    """Read ``tree NUL (mode SP oid SP stage TAB path NUL)* NUL (n NUL path*n NUL type NUL text NUL)*``."""
    if not fields:
        raise GitFailed("git merge-tree wrote nothing")
    rest = iter(fields[1:])
    paths: set[str] = set()
    for field in rest:
        if not field:
            break
        paths.add(field.split("\t", 1)[1])
    named: set[str] = set()
    messages = []
    for count in rest:
        touched = [next(rest) for _ in range(int(count))]
        kind, text = next(rest), next(rest)
        if kind.startswith("CONFLICT"):
            messages.append(clean_line(text.strip()))
            named.update(touched[:1])
    return MergeTry(is_clean, fields[0], [] if is_clean else sorted(paths or named), messages)


async def find_merge(desk: Desk, task_commit: str, task: str) -> str | None:
    """The merge of ``task_commit`` that the integration line already has, if any."""
    log = await desk.git(
        "log", "-z", "--first-parent", "--merges", "--format=%H %P%n%(trailers:key=Task-Id,valueonly)",
        f"{desk.base}..{INTEGRATION}", "--",
    )  # fmt: skip
    for record in log.text.split("\0"):
        ids, _, found = record.partition("\n")
        if ids.split()[2:3] == [task_commit] and (not task or found.strip() == task):
            return ids.split()[0]
    return None


async def merge(desk: Desk, task_commit: str, *, message: str, trailers: Mapping[str, str], expected: str) -> str:
    """Merge ``task_commit`` into the integration line; see ``Hub.merge``. The caller holds the line's lock."""
    if done := await find_merge(desk, task_commit, trailers.get("Task-Id", "")):
        return done
    now = await desk.ref(INTEGRATION)
    if now != expected:
        raise WorkspaceError(
            f"the integration line is at {now}, not at {expected} as expected", hint="check the work again on top of it"
        )
    tried = await try_merge(desk, now, task_commit)
    if not tried.is_clean:
        raise MergeConflict(
            f"{task_commit[:12]} and the integration line change the same places: "
            + ", ".join(clean_line(path) for path in tried.paths),
            paths=tuple(tried.paths),
            hint="give the task back to its agent, on top of the integration line",
        )
    oid = await desk.commit(tried.tree, [now, task_commit], compose(message, trailers))
    await desk.move_ref(INTEGRATION, oid, now, "merge")
    return oid
