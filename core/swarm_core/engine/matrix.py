"""The decision matrix of a run: taken over when a merged change replaces it, and the branches of hotfixes."""

from __future__ import annotations

from swarm_core.definitions.marked import MAX_FILE_BYTES
from swarm_core.definitions.matrix import read_matrix
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.rules import MATRIX_FILE
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.hub import Hub


async def adoption(hub: Hub, view: RunView, merged: str) -> list[Draft]:
    """What follows from an approved change of ``artifacts/decision-matrix.yml``: its rules hold from now on.

    A file that cannot be read changes nothing, and is told with its line.
    """
    data = await hub.changed_content(view.run.integration, merged, MATRIX_FILE, max_bytes=MAX_FILE_BYTES)
    if data is None:
        return []
    try:
        matrix = read_matrix(data)
    except ConfigurationError as error:
        return [Draft("run.note", {"text": f"the rules stay as they were: {error}"})]
    return [] if matrix.sha256 == view.matrix.sha256 else [Draft("matrix.adopted", matrix.data())]


async def name_branch(hub: Hub, task: Task) -> None:
    """Give a hotfix its branch in the run's hub, at the commit that is about to be merged."""
    if task.branch and task.commit:
        await hub.name_branch(task.branch, task.commit)
