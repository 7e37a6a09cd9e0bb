"""A program without a face: told once what to do, it prints JSON lines until its turn is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swarm_core.agents.coordination import Outcome, Stalled
from swarm_core.tools.child import Child, Line
from swarm_core.tools.confine import confinement
from swarm_core.vocabulary.clean import clean_line

from .base import Asked, Assignment, CallEnded, CallStarted, Noted, Premises
from .claude import ClaudeProfile
from .codex import CodexProfile
from .foreign import Memory, Trouble, boundary, departed, handoff, is_session, start, words_for
from .profiles import Meaning, Over, Profile, Question, Session

LEAVES_S = 10.0
_PROFILES: Mapping[str, type[ClaudeProfile] | type[CodexProfile]] = {"claude": ClaudeProfile, "codex": CodexProfile}


class HeadlessAdapter:
    """Runs one such program in the profile that its service names."""

    async def run(self, assignment: Assignment, premises: Premises) -> Outcome:
        return await _Turn(assignment, premises).run()


class _Turn:
    """One process from its start to its end."""

    def __init__(self, assignment: Assignment, premises: Premises) -> None:
        self.assignment, self.premises = assignment, premises
        self.profile: Profile = _PROFILES[premises.service.profile]()
        self.name = premises.service.profile
        self.memory = Memory.load(assignment.memory)
        self.has_session = False
        self.over: Over | None = None

    async def run(self) -> Outcome:
        known, service = self.memory, self.premises.service
        text = words_for(self.assignment, known, is_known=bool(known.session))
        is_confined = confinement() != "none"
        command = self.profile.command(service, known.session, is_confined=is_confined)
        await self.premises.clearance()
        try:
            child = await start(command, self.premises)
        except Trouble as trouble:
            return trouble.stalled
        writing = asyncio.create_task(self._open(child, text))
        try:
            while self.over is None and (line := await child.line()) is not None:
                self.premises.beat()
                await self._take(child, line)
            child.close_input()
            if self.over is not None:
                await child.ended(LEAVES_S)
        finally:
            writing.cancel()
            code = await child.end()
        return await self._outcome(child, code)

    async def _open(self, child: Child, text: str) -> None:
        with contextlib.suppress(OSError):  # a program that takes no input has its reasons: its output tells them
            await child.write(self.profile.opening(text))
            if not self.profile.takes_answers:
                child.close_input()

    async def _outcome(self, child: Child, code: int) -> Outcome:
        if self.over is None:
            if self.memory.session and not self.has_session:
                await self._remember(replace(self.memory, session=""))  # it may be gone: the next attempt begins anew
            return departed(self.name, code, child)
        if self.over.trouble:
            return Stalled(f"{self.name}: {clean_line(self.over.trouble, 500)}", self.over.kind)
        return handoff(self.over.last_words, self.name)

    # -- its lines

    async def _take(self, child: Child, line: Line) -> None:
        message = _message(line)
        if message is None:
            if line.data.strip():
                await self.premises.hear(Noted(f"not a message: {line.data[:300].decode('utf-8', 'replace')}"))
            return
        is_step = False
        for meaning in self.profile.read(message):
            is_step = is_step or isinstance(meaning, CallStarted | CallEnded)
            await self._follow(child, meaning)
        if is_step:
            await boundary(child, self.premises)

    async def _follow(self, child: Child, meaning: Meaning) -> None:
        match meaning:
            case Session(name):
                if is_session(name):
                    self.has_session = True
                    await self._remember(Memory(name, self.assignment.iteration))
            case Question():
                await self._answer(child, meaning)
            case Over():
                self.over = meaning
            case _:
                await self.premises.hear(meaning)

    async def _answer(self, child: Child, question: Question) -> None:
        await self.premises.clearance()
        denial = await self.premises.ask_permission(question.tool, question.arguments)
        target = denial.target if denial else ""
        await self.premises.hear(Asked(question.tool, target, denial))
        with contextlib.suppress(OSError):  # whoever is gone needs no answer
            await child.write(question.answer(str(denial) if denial else ""))

    async def _remember(self, memory: Memory) -> None:
        self.memory = memory
        try:
            await asyncio.to_thread(memory.save, self.assignment.memory)
        except OSError as error:
            await self.premises.hear(Noted(f"its session cannot be remembered: {error}"))


def _message(line: Line) -> Mapping[str, Any] | None:
    """A line as an object; None for junk."""
    if line.is_cut:
        return None
    try:
        found = json.loads(line.data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
