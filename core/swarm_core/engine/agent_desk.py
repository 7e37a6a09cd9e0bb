"""What an agent tells besides its work becomes facts of the journal: artifacts, findings, questions, how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from swarm_core.agents.own_tools import Issue
from swarm_core.tools.base import ToolResult
from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.entities import Instance, Task
from swarm_core.vocabulary.errors import ToolError
from swarm_core.vocabulary.events import Draft

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
        view, me = self._runner.view, self._instance.id
        title, location = clean_line(issue.title, 200), clean_line(issue.location, 200)
        mine = [finding for finding in view.findings.values() if finding.raised_by == me]
        for known in mine:
            if (known.title, known.location) == (title, location):
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
            owner=issue.owner,
            issue=clean(issue.issue),
            fix=clean(issue.fix),
        )
        return f"Recorded as {name}."

    async def question(self, question: str, default: str, options: tuple[str, ...], risk: str) -> str:
        text = clean(question)
        questions = self._runner.view.questions
        for key, known in questions.items():
            if (known.get("task"), known.get("text")) == (self._task.id, text):
                return f"It is asked already, as {key}. Go on with what you took for granted."
        name = self._next("OQ", questions)
        shown = [clean_line(option, 200) for option in options]
        data = {"text": text, "default": clean(default), "options": shown, "risk": clean(risk)}
        await self._tell("question.raised", question=name, **data)
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
