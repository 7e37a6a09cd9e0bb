"""What an agent tells besides its work becomes facts of the journal: artifacts, findings, questions, how far it is."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from swarm_core.agents.own_tools import Issue
from swarm_core.definitions.registry import REGISTRY_FILE, ArtifactType, load
from swarm_core.tools.base import ToolResult
from swarm_core.tools.beneath import replace_file
from swarm_core.tools.scope import Scope
from swarm_core.tools.wellformed import why_malformed
from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.entities import Instance, Task
from swarm_core.vocabulary.errors import ConfigurationError, PermissionDenied, ToolError
from swarm_core.vocabulary.events import Draft

from .runner import Runner

MAX_PER_TASK = 200
RESERVED_TYPES = frozenset({"plan"})


def known_artifacts(tree: Path) -> Mapping[str, ArtifactType]:
    """The artifact types of the repository and the shipped ones. A registry that cannot be read adds none."""
    shipped = load(Path(str(files("swarm_core"))) / "catalog" / "registry.yml")
    path = tree / REGISTRY_FILE
    try:
        own = load(path) if Path(path.resolve()).is_relative_to(tree.resolve()) else {}
    except (ConfigurationError, OSError):
        own = {}
    return {name: kind for name, kind in {**shipped, **own}.items() if name not in RESERVED_TYPES}


@dataclass(frozen=True, slots=True, eq=False)
class Owned(Container[str]):
    """The files that a service may write because it produces them: none before ``artifacts`` are known."""

    service: str
    artifacts: Mapping[str, ArtifactType]

    def __contains__(self, path: object) -> bool:
        return any(kind.path == path and kind.is_by(self.service) for kind in self.artifacts.values())


class AgentDesk:
    """The ``Desk`` of one agent at work on one task."""

    def __init__(
        self,
        runner: Runner,
        task: Task,
        instance: Instance,
        scope: Scope,
        artifacts: Mapping[str, ArtifactType],
        report: Callable[[Draft], Awaitable[None]],
        request: Callable[[str], Awaitable[str]],
    ) -> None:
        self._runner, self._task, self._instance, self._scope = runner, task, instance, scope
        self._artifacts, self._report, self._request = artifacts, report, request

    async def artifact(self, type: str, content: str) -> ToolResult:
        kind = self._artifacts.get(type)
        if kind is None:
            known = ", ".join(sorted(self._artifacts))
            raise ToolError(f"there is no artifact type {clean_line(type, 60)!r}", hint=f"the types are: {known}")
        service = self._scope.service.key
        if kind.producer and not kind.is_by(service):
            raise PermissionDenied(
                f"{type} is written by {kind.producer}, not by {service}",
                rule="producer",
                target=kind.path,
                hint=f"read it at {kind.path}; record what is wrong with it with finding",
            )
        data = content.encode("utf-8", "replace")
        await asyncio.to_thread(_write, self._scope, kind.path, data)
        sha256 = hashlib.sha256(data).hexdigest()
        await self._tell("artifact.written", type=type, path=kind.path, sha256=sha256)
        wrong = await asyncio.to_thread(why_malformed, kind.format, content, kind.path)
        if wrong:
            await self._tell("artifact.rejected", path=kind.path, reason=clean_line(wrong, 300))
            said = f"{kind.path} is written and not accepted: {wrong}\n  next: correct it and write it again"
            return ToolResult(said, is_error=True, target=kind.path, touched=(kind.path,))
        await self._tell("artifact.validated", path=kind.path)
        version = self._runner.view.artifacts[kind.path].version
        return ToolResult(
            f"{kind.path} is written and well-formed (version {version}). Commit it with your work.",
            target=kind.path,
            touched=(kind.path,),
        )

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


def _write(scope: Scope, path: str, data: bytes) -> None:
    base, parts = scope.place(scope.check_write(path))
    try:
        replace_file(base, parts, data)
    except OSError as error:
        raise ToolError(
            f"{path}: {error.strerror or error}", hint="say in your handoff that it is in the way"
        ) from error
