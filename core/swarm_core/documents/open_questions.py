"""``open_questions.md``: what agents asked the operator, and what they go on with meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swarm_core.vocabulary.view import RunView

from .blocks import one_line, parse_fields, plain, render_fields, sections

TITLE = "# Open questions"
NEEDS_HUMAN, DEFAULTED, ANSWERED = "NEEDS_HUMAN", "DEFAULTED", "ANSWERED"


@dataclass(frozen=True, slots=True)
class Question:
    """``status``: DEFAULTED (its asker goes on with ``default``), NEEDS_HUMAN (no default is safe), ANSWERED."""

    id: str
    status: str = DEFAULTED
    question: str = ""
    default: str = ""
    risk: str = ""
    options: tuple[str, ...] = ()
    task: str = ""
    agent: str = ""
    answer: str = ""


def questions(view: RunView) -> list[Question]:
    return [question_of(key, data) for key, data in view.questions.items()]


def question_of(key: str, data: Mapping[str, Any]) -> Question:
    answer = plain(str(data.get("answer", "")))
    open_status = NEEDS_HUMAN if data.get("needs_human") else DEFAULTED
    return Question(
        one_line(key),
        ANSWERED if answer else open_status,
        plain(str(data.get("text", ""))),
        plain(str(data.get("default", ""))),
        plain(str(data.get("risk", ""))),
        tuple(text for option in data.get("options", ()) if (text := one_line(str(option)))),
        one_line(str(data.get("task", ""))),
        one_line(str(data.get("agent", ""))),
        answer,
    )


def render(found: Iterable[Question]) -> str:
    lines = [TITLE, ""]
    for one in found:
        fields = {
            "Status": one.status,
            "Question": one.question,
            "Default": one.default,
            "Risk if wrong": one.risk,
            "Options": "\n".join(one.options),
            "Task": one.task,
            "Agent": one.agent,
            "Answer": one.answer,
        }
        lines += [f"## {one.id}", "", *render_fields(fields), ""]
    return "\n".join(lines)


def parse(text: str) -> list[Question]:
    out = []
    for heading, lines in sections(text, "##"):
        found = parse_fields(lines)
        out.append(
            Question(
                heading.strip(),
                found.get("Status", ""),
                found.get("Question", ""),
                found.get("Default", ""),
                found.get("Risk if wrong", ""),
                tuple(line for line in found.get("Options", "").split("\n") if line),
                found.get("Task", ""),
                found.get("Agent", ""),
                found.get("Answer", ""),
            )
        )
    return out
