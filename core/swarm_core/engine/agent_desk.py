"""What an agent tells besides its work becomes facts of the journal: artifacts, findings, questions, how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from swarm_core.agents.own_tools import Issue
from swarm_core.policy.findings import owner_of
from swarm_core.tools.base import ToolResult
from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.entities import Instance, Task
from swarm_core.vocabulary.errors import ToolError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

from .runner import Runner

MAX_PER_TASK = 200


class AgentDesk:
    """The ``Desk`` of one agent at work on one task."""

    def __init__(
        self,
        runner: Runner,
        task: Task,
        instance: Instance,
        propose: Callable[[str, str], Awaitable[ToolResult]],
        report: Callable[[Draft], Awaitable[None]],
        request: Callable[[str], Awaitable[str]],
    ) -> None:
        self._runner, self._task, self._instance = runner, task, instance
        self._propose, self._report, self._request = propose, report, request

    async def artifact(self, type: str, content: str) -> ToolResult:
        return await self._propose(type, content)

    async def status(self, section: str, state: str) -> str:
        known = self._runner.view.tasks[self._task.id].progress
        section = clean_line(section, 80)
        if section not in known and len(known) >= MAX_PER_TASK:
            raise ToolError(f"there are {len(known)} sections already", hint="use one of them")
        await self._tell("status.updated", attempt=self._task.attempt, section=section, state=state)
        return f"{section} is {state}."

    async def finding(self, issue: Issue) -> str:
        view = self._runner.view
        title, location = clean_line(issue.title, 200), clean_line(issue.location, 200)
        known = seen_before(view, self._instance, title, location)
        if known is not None and known.status == "fixed":
            await self._tell("finding.reopened", finding=known.id, reason=clean(issue.issue))
            return f"{known.id} is open again."
        if known is not None:
            return f"It is recorded already, as {known.id}."
        if issue.owner and issue.owner not in self._runner.spec.services:
            known_services = ", ".join(self._runner.spec.services)
            raise ToolError(f"there is no service {clean_line(issue.owner, 60)!r}", hint=f"one of: {known_services}")
        name = self._next("W", view.findings)
        await self._tell(
            "finding.opened",
            finding=name,
            title=title,
            severity=issue.severity,
            location=location,
            issue=clean(issue.issue),
            fix=clean(issue.fix),
            verification=clean(issue.verification),
            **{"owner": issue.owner, **self._critique(location)},
        )
        return f"Recorded as {name}."

    def _critique(self, location: str) -> dict[str, str]:
        """What a reviewer finds in work that is not merged goes back to its author, unless the place is another's."""
        reviewed = self._runner.view.tasks.get(self._task.about) if self._task.is_review else None
        if reviewed is None or reviewed.status in TASK.terminal:
            return {}
        if owner_of(self._runner.spec, location) not in ("", reviewed.assigned_to):
            return {}
        return {"category": "critique", "about": reviewed.id, "owner": reviewed.assigned_to}

    async def question(
        self, question: str, default: str, options: tuple[str, ...], risk: str, needs_human: bool = False
    ) -> str:
        text = clean(question)
        questions = self._runner.view.questions
        for key, known in questions.items():
            if (known.get("task"), known.get("text")) == (self._task.id, text):
                return f"It is asked already, as {key}. Go on with what you took for granted."
        if sum(known.get("task") == self._task.id for known in questions.values()) >= MAX_PER_TASK:
            raise ToolError(f"{MAX_PER_TASK} are asked for this task already", hint="put the rest into your handoff")
        shown = [clean_line(option, 200) for option in options]
        data = {"text": text, "default": clean(default), "options": shown, "risk": clean(risk)}
        async with self._runner.naming:  # agents ask at the same time, and each question has a number of its own
            name = question_id(self._runner.view)
            await self._tell("question.raised", question=name, needs_human=needs_human, **data)
        return f"The operator sees it as {name}. Go on with your default; a different answer comes back as a note."

    async def ask_architect(self, question: str, default: str) -> str:
        return await self._request(f"A question: {question}\n\nMeanwhile it goes on with: {default}")

    async def checkpoint(self, note: str) -> str:
        await self._tell("task.checkpoint", attempt=self._task.attempt, note=clean(note))
        return "The note is kept for whoever takes this task up again."

    def _next(self, prefix: str, known: Mapping[str, Any]) -> str:
        """A name that nobody else makes: an agent's calls of these tools come one after another."""
        stem = f"{prefix}-{self._task.id.removeprefix('task_')}"
        number = sum(name.startswith(f"{stem}-") for name in known) + 1
        if number > MAX_PER_TASK:
            raise ToolError(f"{MAX_PER_TASK} are recorded for this task already", hint="put the rest into your handoff")
        return f"{stem}-{number}"

    async def _tell(self, kind: str, **data: Any) -> None:
        await self._report(Draft(kind, data))


def seen_before(view: RunView, instance: Instance, title: str, location: str) -> Finding | None:
    """The finding with this title and place that the instance's service raised before: an open one, or its own."""
    for name in view.index.open_findings:
        found = view.findings[name]
        raiser = view.instances.get(found.raised_by)
        if (found.title, found.location) == (title, location) and raiser and raiser.service == instance.service:
            return found
    own = (found for found in view.findings.values() if found.raised_by == instance.id)
    return next((found for found in own if (found.title, found.location) == (title, location)), None)


def question_id(view: RunView) -> str:
    """``OQ-BUILD-003``: the next question of the phase."""
    active = [phase.key for phase in view.phases.values() if phase.status != "sealed"]
    stem = f"OQ-{(active[-1] if active else 'plan').upper()}"
    return f"{stem}-{sum(name.startswith(f'{stem}-') for name in view.questions) + 1:03d}"
