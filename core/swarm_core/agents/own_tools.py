"""The tools with which an agent tells the engine something besides its work: an artifact, a finding, a question.

The definitions are the same for every service. What a call records is up to the ``Desk``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from swarm_core.tools.base import Tool, ToolDefinition, ToolResult
from swarm_core.vocabulary.errors import ToolError
from swarm_core.vocabulary.findings import SEVERITIES

MAX_ARTIFACT_CHARS = 1024 * 1024
MAX_TEXT_CHARS = 4_000
MAX_LINE_CHARS = 200
MAX_OPTIONS = 4
STATES = ("pending", "in_progress", "done", "blocked")


@dataclass(frozen=True, slots=True)
class Issue:
    """What ``finding`` says."""

    title: str
    severity: str
    location: str
    issue: str
    fix: str
    owner: str
    verification: str = ""


class Desk(Protocol):
    """Takes what an agent tells and says what follows from it. Each raises ToolError for what cannot be taken."""

    async def artifact(self, type: str, content: str) -> ToolResult: ...
    async def status(self, section: str, state: str) -> str: ...
    async def finding(self, issue: Issue) -> str: ...
    async def question(
        self, question: str, default: str, options: tuple[str, ...], risk: str, needs_human: bool
    ) -> str: ...
    async def ask_architect(self, question: str, default: str) -> str: ...
    async def checkpoint(self, note: str) -> str: ...


def _text(description: str, limit: int = MAX_TEXT_CHARS, **more: Any) -> dict[str, Any]:
    return {"type": "string", "maxLength": limit, "description": description, **more}


def _definition(name: str, description: str, required: tuple[str, ...], **properties: Any) -> ToolDefinition:
    return ToolDefinition(
        name,
        description,
        {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False},
    )


ARTIFACT_WRITE = _definition(
    "artifact_write",
    "Write a registered artifact of yours: a document other services build on, such as a design, a contract or a "
    "report. It is checked at once, and what is wrong with it is told to you; write it again until it is accepted.",
    ("type", "content"),
    type=_text("The artifact's type, such as system_design or api_contracts.", 64),
    content=_text("All of its text.", MAX_ARTIFACT_CHARS),
)
UPDATE_STATUS = _definition(
    "update_status",
    "Say how far one part of your task is, for the operator who watches.",
    ("section", "state"),
    section=_text("The part: a section's name or the id of an acceptance criterion.", 80),
    state={"type": "string", "enum": list(STATES)},
)
FINDING = _definition(
    "finding",
    "Record one issue that you found and do not fix yourself: a defect, a weakness, a contradiction. One call each.",
    ("title", "severity", "issue"),
    title=_text("One line.", MAX_LINE_CHARS),
    severity={"type": "string", "enum": list(SEVERITIES)},
    issue=_text("What is wrong, how you know, and what it can lead to."),
    location=_text("file:line, or the artifact and the place in it.", MAX_LINE_CHARS),
    fix=_text("What should be done about it."),
    verification=_text("How to see that it is gone.", 1_000),
    owner=_text("The service whose it is, if you know.", 64),
)
QUESTION = _definition(
    "question",
    "Ask the operator something that only a person can decide. You get no answer while you work: say what you take for "
    "granted meanwhile and go on with that; a different answer comes back to you as a note.",
    ("question", "default"),
    question=_text("The question."),
    default=_text("What you go on with.", 1_000),
    options={
        "type": "array",
        "items": {"type": "string", "maxLength": MAX_LINE_CHARS},
        "description": f"At most {MAX_OPTIONS} answers to choose from.",
    },
    risk_if_wrong=_text("What it costs if the default is wrong.", 1_000),
    needs_human={"type": "boolean", "description": "Whether no default is safe: the operator is told that it waits."},
)
ASK_ARCHITECT = _definition(
    "ask_architect",
    "Put a question about the plan, the structure or another service's part to the architect. It is weighed while you "
    "go on; the plan may change because of it. Say what you take for granted meanwhile.",
    ("question", "default"),
    question=_text("The question, with what you found."),
    default=_text("What you go on with.", 1_000),
)
CHECKPOINT = _definition(
    "checkpoint",
    "Leave a note for whoever takes this task up again if you are interrupted: what is done, what you learned, what "
    "comes next. The last note counts. Call it after each larger step.",
    ("note",),
    note=_text("The note.", MAX_TEXT_CHARS),
)


def own_tools(desk: Desk) -> list[Tool]:
    """The tools of every worker besides those that read and write files."""

    async def artifact(given: Mapping[str, Any]) -> ToolResult:
        return await desk.artifact(_said(given, "type"), str(given["content"]))

    async def status(given: Mapping[str, Any]) -> ToolResult:
        section, state = _said(given, "section"), str(given["state"])
        return ToolResult(await desk.status(section, state), target=f"{section}: {state}")

    async def finding(given: Mapping[str, Any]) -> ToolResult:
        keys = ("location", "issue", "fix", "owner", "verification")
        location, issue, fix, owner, verification = (str(given.get(key, "")).strip() for key in keys)
        title = " ".join(_said(given, "title").split())
        said = await desk.finding(Issue(title, str(given["severity"]), location, issue, fix, owner, verification))
        return ToolResult(said, target=title)

    async def question(given: Mapping[str, Any]) -> ToolResult:
        options = tuple(given.get("options", ()))
        if len(options) > MAX_OPTIONS:
            raise ToolError(f"{len(options)} options are too many to choose from", hint=f"give at most {MAX_OPTIONS}")
        asked = _said(given, "question")
        risk, needs_human = str(given.get("risk_if_wrong", "")), bool(given.get("needs_human"))
        said = await desk.question(asked, _said(given, "default"), options, risk, needs_human)
        return ToolResult(said, target=asked)

    async def ask_architect(given: Mapping[str, Any]) -> ToolResult:
        asked = _said(given, "question")
        return ToolResult(await desk.ask_architect(asked, _said(given, "default")), target=asked)

    async def checkpoint(given: Mapping[str, Any]) -> ToolResult:
        note = _said(given, "note")
        return ToolResult(await desk.checkpoint(note), target=note)

    runs: list[tuple[ToolDefinition, Callable[[Mapping[str, Any]], Awaitable[ToolResult]]]] = [
        (ARTIFACT_WRITE, artifact),
        (UPDATE_STATUS, status),
        (FINDING, finding),
        (QUESTION, question),
        (ASK_ARCHITECT, ask_architect),
        (CHECKPOINT, checkpoint),
    ]
    return [Tool(definition, run) for definition, run in runs]


def _said(given: Mapping[str, Any], key: str) -> str:
    if not (text := str(given[key]).strip()):
        raise ToolError(f"{key} is empty", hint="say it in a few words")
    return text
