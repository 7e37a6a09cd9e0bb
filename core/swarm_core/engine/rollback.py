"""Going back: the integration branch and the tasks become what they were at an earlier event.

Nothing is taken out of the history. The branch gets one more commit with the earlier tree, and one event names the
tasks that begin again and those that are dropped.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path

from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

CHUNK_BYTES = 1 << 22
UNTOUCHED = ("pending", "ready", "running", "verifying")


def view_at(path: Path, seq: int) -> RunView:
    """The fold of a run's journal up to and with event ``seq``. Reads all of it up to there.

    Raises JournalError if the journal ends before.
    """
    view, reader = RunView(), JournalReader(path)
    try:
        while view.last_seq < seq and (events := reader.poll(CHUNK_BYTES)):
            for event in events:
                if event.seq <= seq:
                    view.apply(event)
    finally:
        reader.close()
    if view.last_seq != seq:
        raise JournalError(f"{path} has no event {seq}: it ends at {view.last_seq}")
    return view


def settled_in(events: Iterable[Event], gate: Gate) -> int:
    """The event with which the decision of a passed gate had its effect: its task is done. The decision itself if it
    never came to that."""
    view = RunView()
    for event in events:
        view.apply(event)
        is_later = gate.decided_seq <= event.seq
        if is_later and (not gate.task or view.tasks[gate.task].status in TASK.terminal):
            return event.seq
    return gate.decided_seq


def settled_at(path: Path, gate: Gate) -> int:
    """``settled_in`` the journal at ``path``."""
    with closing(_events(path)) as events:
        return settled_in(events, gate)


def _events(path: Path) -> Generator[Event]:
    reader = JournalReader(path)
    try:
        while events := reader.poll(CHUNK_BYTES):
            yield from events
    finally:
        reader.close()


def taken_back(now: RunView, then: RunView) -> dict[str, str]:
    """What becomes of each task: ``again`` begins anew, ``drop`` did not exist then. Others stay as they are.

    Work that rests on nothing that is taken back goes on: an agent that was at it before, and what waits at a gate.
    """
    known = {"", then.run.base, then.run.integration, *(merge.merged_as for merge in then.merges.values())}
    out: dict[str, str] = {}
    for task in now.tasks.values():
        before = then.tasks.get(task.id)
        if before is None:
            if task.status not in ("cancelled", "skipped"):
                out[task.id] = "drop"
        elif before.status not in TASK.terminal and not (task.status in UNTOUCHED and task.base in known):
            out[task.id] = "again"
    grew = True
    while grew:
        grew = False
        for task in now.tasks.values():
            is_open = task.id not in out and task.status not in TASK.terminal and task.status != "pending"
            if is_open and any(out.get(name) == "again" for name in task.dependencies):
                out[task.id], grew = "again", True
    return out


def reopened_phases(now: RunView, then: RunView) -> list[str]:
    """Phases that were not over then and have gone further since."""
    sealed = {key for key, phase in then.phases.items() if phase.status in ("sealed", "skipped")}
    return [key for key, phase in now.phases.items() if key not in sealed and phase.status != "active"]
