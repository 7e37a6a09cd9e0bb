"""Asked before every tool call: the rules, and the operator where a rule says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import PermissionDenied

from .proposals import propose
from .rule import SUBJECTS, Decision
from .rules import RuleSet

MAX_ASKED_CHARS = 60_000
TARGET_CHARS = 200
# Which call of which turn is being made: the same call, made again after a crash, is the same question.
CALL: ContextVar[str] = ContextVar("call", default="")


class Permission(Protocol):
    """Whoever has to agree to a call before a tool sees it."""

    async def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Return if the call may be made; it may take as long as a person takes. Raises PermissionDenied."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What the operator is asked. ``key`` is the same whenever the same thing is asked again."""

    key: str
    tool: str
    subject: str
    details: str = ""
    rule: str = ""
    why: str = ""
    proposed: tuple[str, ...] = ()
    directory: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator said; ``gate`` is where."""

    is_yes: bool
    note: str = ""
    gate: str = ""


class Asker(Protocol):
    """Brings questions to the operator and waits for the answers."""

    async def ask(self, question: Question) -> Answer:
        """Return when there is an answer. Waiting is never an answer: there is no timeout."""
        ...


class Rules:
    """A ``Permission`` by the rules. ``current`` gives the rules as they are now: a grant changes them."""

    def __init__(self, current: Callable[[], RuleSet], asker: Asker) -> None:
        self._current, self._asker = current, asker

    async def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        rules = self._current()
        decision = rules.decide(name, arguments)
        if decision.effect == "allow":
            return
        target = clean_line(_subject(name, arguments) or name, TARGET_CHARS)
        if decision.effect == "deny":
            raise _denied(name, decision, target)
        question = self._question(rules, name, arguments, decision)
        if len(question.subject) + len(question.details) > MAX_ASKED_CHARS:
            raise PermissionDenied(
                f"{name} needs the operator's leave and is too large to be shown",
                rule=_named(decision),
                target=target,
                hint="split it into smaller calls",
            )
        answer = await self._asker.ask(question)
        if not answer.is_yes:
            note = f": {answer.note}" if answer.note else ""
            raise PermissionDenied(
                f"the operator said no to this call{note}",
                rule=_named(decision),
                target=target,
                hint="go on without it, and say in your handoff what is missing",
            )

    def _question(self, rules: RuleSet, name: str, arguments: Mapping[str, Any], decision: Decision) -> Question:
        subject = _subject(name, arguments)
        others = {key: value for key, value in arguments.items() if key not in SUBJECTS.get(name, ())}
        details = json.dumps(others, indent=2, ensure_ascii=False, default=str) if others else ""
        whole = json.dumps([CALL.get(), name, arguments], ensure_ascii=True, sort_keys=True, default=str)
        return Question(
            hashlib.sha256(whole.encode()).hexdigest()[:16],
            name,
            subject,
            details,
            f"{decision.rule} of {decision.rule.source.place}" if decision.rule else f"default: {rules.default}",
            decision.why,
            propose(rules, name, arguments),
            rules.bases.tree,
        )


def _subject(name: str, arguments: Mapping[str, Any]) -> str:
    return next((str(arguments[key]) for key in SUBJECTS.get(name, ()) if key in arguments), "")


def _named(decision: Decision) -> str:
    return clean_line(str(decision.rule) if decision.rule else "permissions.default", TARGET_CHARS)


def _denied(name: str, decision: Decision, target: str) -> PermissionDenied:
    if not decision.is_sure:
        return PermissionDenied(
            f"{name}: {decision.why}", rule=_named(decision), target=target, hint="write it in simpler Bash"
        )
    by = f"the rule {decision.rule} of {decision.rule.source.place}" if decision.rule else "the default of this swarm"
    return PermissionDenied(
        f"{name} is denied by {clean_line(by, 300)}",
        rule=_named(decision),
        target=target,
        hint="the operator decided so: do it another way, or say in your handoff what is missing",
    )
