"""What the operator says about findings and open questions."""

from __future__ import annotations

from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.machines import TASK

from .inbox import Verdict
from .runner import Runner

RESOLUTIONS = ("accepted", "rejected", "backlog")
MAX_ANSWER_CHARS = 4_000


async def finding_closed(runner: Runner, item: InboxItem) -> Verdict:
    """Close a finding without a fix. Raises IllegalTransition for one that is not there, or closed."""
    name, resolution = clean_line(str(item.data["finding"]), 80), str(item.data["resolution"])
    finding = runner.view.findings.get(name)
    if finding is None:
        raise IllegalTransition(f"there is no finding {name!r} in this run")
    if resolution not in RESOLUTIONS:
        raise IllegalTransition(f"{clean_line(resolution, 40)!r} is not one of {', '.join(RESOLUTIONS)}")
    reason = clean(str(item.data.get("note", "")).strip()) or f"the operator: {resolution}"
    data = {"finding": name, "resolution": resolution, "reason": reason, "command": item.id}
    if finding.status == "fixing":
        await runner.record(Draft("finding.unresolved", {"finding": name, "reason": reason}, actor=OPERATOR))
    await runner.record(Draft("finding.closed", data, actor=OPERATOR))
    return Verdict(True, run=item.run)


async def question_answered(runner: Runner, item: InboxItem) -> Verdict:
    """Answer an open question. Raises IllegalTransition for one that is not there, or answered."""
    name, answer = clean_line(str(item.data["question"]), 80), clean(str(item.data["answer"]).strip())
    data = {"question": name, "answer": answer[:MAX_ANSWER_CHARS], "command": item.id}
    await runner.record(Draft("question.answered", data, actor=OPERATOR))
    task = runner.view.tasks.get(str(runner.view.questions[name].get("task", "")))
    is_over = task is None or task.status in TASK.terminal
    said = "whoever asked is done: ask for a change if the answer needs one" if is_over else ""
    return Verdict(True, said, run=item.run)
