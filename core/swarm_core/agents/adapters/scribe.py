"""Turns what a foreign agent does into lines of its log and facts of the journal.

What such an agent says about itself is a claim: it is shown and counted, and no gate opens by it. Its text is bounded
here, and so is the number of facts, since an agent may repeat itself without end.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from swarm_core.agents.log import AgentLog
from swarm_core.agents.loop import Report
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.events import Draft

from .base import (
    AgentEvent,
    Asked,
    CallEnded,
    CallStarted,
    Mediated,
    Noted,
    Planned,
    Said,
    Spent,
    Thought,
)

MAX_FACTS = 5_000
SPENT_EVERY_S = 1.0
MAX_NOTES = 200
MAX_OPEN_CALLS = 500
MAX_TEXT_CHARS = 4_000
MAX_PIECE_CHARS = 20_000
_REFUSED = re.compile(r"Permission denied|Read-only file system|EACCES|EROFS")
_MARKS = {"completed": "✓", "in_progress": "▸"}


class Scribe:
    """Hears the events of one attempt."""

    def __init__(self, log: AgentLog, report: Report, clock: Clock) -> None:
        self._log, self._report, self._clock = log, report, clock
        self._open: OrderedDict[str, tuple[CallStarted, float]] = OrderedDict()
        self._facts = self._notes = 0
        self._untold: Spent | None = None
        self._told_s = float("-inf")

    async def hear(self, event: AgentEvent) -> None:
        match event:
            case Said(text):
                self._log.stream("say", text[:MAX_PIECE_CHARS])
            case Thought(text):
                self._log.stream("think", text[:MAX_PIECE_CHARS])
            case CallStarted():
                self._started(event)
            case CallEnded():
                await self._ended(event)
            case Planned(steps):
                rows = [f"{_MARKS.get(status, '·')} {content}" for status, content in steps]
                self._log.write("note", "\n".join(["its plan:", *rows])[:MAX_TEXT_CHARS])
            case Asked():
                await self._asked(event)
            case Mediated():
                await self._mediated(event)
            case Spent():
                await self._spent(event)
            case Noted(text, is_error):
                self._note(text, is_error)

    async def close(self) -> None:
        """The attempt is over: tell what was not told yet."""
        self._log.flush()
        await self._tell_spent()

    # -- tools

    def _started(self, call: CallStarted) -> None:
        self._open[call.id] = (call, self._clock.monotonic_s())
        self._open.move_to_end(call.id)
        while len(self._open) > MAX_OPEN_CALLS:
            self._open.popitem(last=False)
        self._log.write("tool", f"{call.name} {call.target}"[:MAX_TEXT_CHARS].rstrip(), max_lines=3)
        if call.diff:
            self._log.write("note", call.diff[:MAX_TEXT_CHARS])

    async def _ended(self, end: CallEnded) -> None:
        call, started_s = self._open.pop(end.id, (CallStarted(end.id, ""), self._clock.monotonic_s()))
        name, target = end.name or call.name or "tool", end.target or call.target
        if end.diff and end.diff != call.diff:
            self._log.write("note", end.diff[:MAX_TEXT_CHARS])
        text = end.text[:MAX_TEXT_CHARS]
        if not end.is_ok and _REFUSED.search(text):
            message = next(line for line in text.splitlines() if _REFUSED.search(line))
            await self._denied(name, PermissionDenied(message, rule="confined", target=target), text)
            return
        self._log.write("result" if end.is_ok else "error", text or ("done" if end.is_ok else "failed"))
        ms = round((self._clock.monotonic_s() - started_s) * 1000)
        await self._fact("tool.used", name=clean_line(name, 64), target=clean_line(target, 200), ok=end.is_ok, ms=ms)

    async def _asked(self, question: Asked) -> None:
        if question.denial is not None:
            await self._denied(question.tool, question.denial, str(question.denial))
            return
        self._log.write("note", f"may use {question.tool} {question.target}"[:MAX_TEXT_CHARS].rstrip(), max_lines=2)

    async def _mediated(self, done: Mediated) -> None:
        if done.denial is not None:
            await self._denied(done.tool, replace_target(done.denial, done.target), str(done.denial))
        else:
            self._log.write("note", done.what[:MAX_TEXT_CHARS], max_lines=2)

    async def _denied(self, tool: str, denial: PermissionDenied, shown: str) -> None:
        self._log.write("denied", shown[:MAX_TEXT_CHARS])
        await self._fact(
            "policy.denied",
            tool=clean_line(tool, 64),
            target=clean_line(denial.target, 200),
            rule=clean_line(denial.rule, 64),
            message=clean_line(denial.message, 300),
        )

    # -- the rest

    async def _spent(self, spent: Spent) -> None:
        """Costs are told whatever else is, and what comes quickly in one fact: each is a write to the disk."""
        if self._untold is not None:
            spent = replace(spent, usage=self._untold.usage + spent.usage, ms=self._untold.ms + spent.ms)
        self._untold = spent
        if self._clock.monotonic_s() - self._told_s >= SPENT_EVERY_S:
            await self._tell_spent()

    async def _tell_spent(self) -> None:
        spent, self._untold = self._untold, None
        if spent is None:
            return
        self._told_s, usage = self._clock.monotonic_s(), spent.usage
        await self._report(
            Draft(
                "llm.call",
                {
                    "model": clean_line(spent.model or "unknown", 100),
                    "input_tokens": usage.input_tokens,
                    "output_tokens": usage.output_tokens,
                    "cache_read_tokens": usage.cache_read_tokens,
                    "cache_write_tokens": usage.cache_write_tokens,
                    "cost_usd": round(usage.cost_usd, 6),
                    "stop_reason": clean_line(spent.stop_reason, 40),
                    "ms": spent.ms,
                },
            )
        )

    def _note(self, text: str, is_error: bool) -> None:
        self._notes += 1
        if self._notes <= MAX_NOTES:
            self._log.write("error" if is_error else "note", text[:MAX_TEXT_CHARS], max_lines=4)
        elif self._notes == MAX_NOTES + 1:
            self._log.write("note", f"more than {MAX_NOTES} notes: the rest is left out")

    async def _fact(self, kind: str, /, **data: Any) -> None:
        self._facts += 1
        if self._facts <= MAX_FACTS:
            await self._report(Draft(kind, data))
        elif self._facts == MAX_FACTS + 1:
            self._log.write("note", f"more than {MAX_FACTS} calls in one attempt: the rest is not journaled")


def replace_target(denial: PermissionDenied, target: str) -> PermissionDenied:
    """The denial with a target to show, if it has none of its own."""
    if denial.target or not target:
        return denial
    return PermissionDenied(denial.message, rule=denial.rule, target=target, hint=denial.hint)
