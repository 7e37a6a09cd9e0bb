"""The one way facts get into a run: checked against the fold, made durable, then applied.

Callers that concern different tasks and agents share one sync: what waits while a write is under way goes out with
the next one. The view never holds what the disk does not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from swarm_core.journal.journal import Journal
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import IllegalTransition, JournalError, JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets
from swarm_core.vocabulary.view import RunView

from .crash_points import CrashPoint, reached
from .diagnostics import LOGGER

FULL_DISK_POLL_S = 1.0
REMEMBERED = 64
# What changes its own task, agent, gate and merge and nothing that another of these asks about: such facts can be
# checked side by side and written together.
SIDE_BY_SIDE = frozenset(
    {
        "llm.call",
        "llm.started",
        "llm.cut",
        "llm.retry",
        "tool.used",
        "policy.denied",
        "commit.created",
        "handoff.recorded",
        "check.passed",
        "check.failed",
        "task.created",
        "task.ready",
        "task.claimed",
        "task.submitted",
        "task.verified",
        "task.reopened",
        "task.done",
        "agent.starting",
        "agent.ready",
        "agent.busy",
        "agent.idle",
        "agent.waiting",
        "agent.retired",
        "gate.evaluating",
        "gate.opened",
        "gate.decided",
        "merge.queued",
        "merge.checking",
        "merge.completed",
    }
)
_Waiter = tuple[Sequence[Draft], "asyncio.Future[list[Event]]"]


class Recorder:
    """The only caller of a run's ``Journal.append``. ``on_events`` hears what was applied, ``say`` what holds it up.

    ``secrets`` are blotted out of every fact before it is checked.
    """

    def __init__(
        self,
        journal: Journal,
        view: RunView,
        clock: Clock,
        on_events: Callable[[Sequence[Event]], None],
        on_fatal: Callable[[BaseException], None],
        say: Callable[[str], None],
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._secrets = secrets
        self.journal, self.view, self.clock = journal, view, clock
        self._on_events, self._on_fatal, self._say = on_events, on_fatal, say
        self._waiting: list[_Waiter] = []
        self._working: asyncio.Task[None] | None = None
        self._refused: deque[tuple[str, str | None, str]] = deque(maxlen=REMEMBERED)

    async def record(self, *drafts: Draft) -> list[Event]:
        """Append and apply in one step; durable when it returns. See ``Runner.record``."""
        return await asyncio.shield(self.enqueue(*drafts))

    def enqueue(self, *drafts: Draft) -> asyncio.Future[list[Event]]:
        """As ``record``, without waiting: what is enqueued one after the other shares syncs where it can.

        The outcome is looked at even if nobody waits for it; a caller that may be cancelled shields it.
        """
        drafts = tuple(self._without_secrets(draft) for draft in drafts)
        done: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_look_at)
        self._waiting.append((drafts, done))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="recorder")
        return done

    def _without_secrets(self, draft: Draft) -> Draft:
        data = self._secrets.redact_data(draft.data)
        return draft if data is draft.data else replace(draft, data=data)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._next_group())
        finally:
            self._working = None
            for _, done in self._waiting:
                if not done.done():
                    done.set_exception(JournalPoisoned("the recorder stopped"))

    def _next_group(self) -> list[_Waiter]:
        """The longest beginning of the queue whose facts do not touch each other; at least the first."""
        group, touched = [self._waiting.pop(0)], set[str]()
        if not _keys(group[0][0], touched):
            return group
        while self._waiting and _keys(self._waiting[0][0], touched):
            group.append(self._waiting.pop(0))
        return group

    async def _commit(self, group: Sequence[_Waiter]) -> None:
        fitting = [waiter for waiter in group if await self._fits(waiter)]
        drafts = [draft for given, _ in fitting for draft in given]
        if not drafts:
            for _, done in fitting:
                done.set_result([])
            return
        try:
            events = await self._append(drafts)
        except BaseException as error:
            for _, done in fitting:
                done.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for event in events:
            self.view.apply(event)
        self._on_events(events)
        taken = iter(events)
        for given, done in fitting:
            done.set_result([next(taken) for _ in given])

    async def _fits(self, waiter: _Waiter) -> bool:
        for draft in waiter[0]:
            try:
                self.view.check(draft)
            except IllegalTransition as error:
                await self._refuse(draft, error)
                waiter[1].set_exception(error)
                return False
            except Exception as error:  # noqa: BLE001 -- a draft nobody can read is its writer's defect, not the run's
                waiter[1].set_exception(error)
                return False
        return True

    async def _refuse(self, draft: Draft, error: IllegalTransition) -> None:
        """Keep what somebody wanted to write and could not. The same thing again is kept once."""
        refused = (draft.kind, draft.task, error.message)
        if refused in self._refused:
            return
        self._refused.append(refused)
        LOGGER.warning("refused: %s", error, extra={"run": self.journal.run})
        data = {"kind": draft.kind, "reason": error.message}
        note = Draft("event.refused", data, actor=draft.actor, task=draft.task, agent=draft.agent)
        try:
            events = await self._append([note])
        except JournalError:
            return  # whoever wanted it is told so anyway; of the disk, everybody hears by the next append
        self.view.apply(events[0])
        self._on_events(events)

    async def _append(self, drafts: Sequence[Draft]) -> list[Event]:
        """A full disk holds everybody here until there is space again: nothing is lost and nothing runs ahead."""
        is_full = False
        reached(CrashPoint.BEFORE_APPEND)
        while True:
            try:
                events = await self.journal.append(*drafts)
                break
            except JournalFull as error:
                LOGGER.error("paused: %s", error, extra={"run": self.journal.run})
                self._say(f"paused: {error.message}")
                is_full = True
                await self.clock.sleep(FULL_DISK_POLL_S)
            except JournalPoisoned as error:
                self._on_fatal(error)
                raise
        reached(CrashPoint.AFTER_APPEND_BEFORE_APPLY)
        if is_full:
            self._say("ready")
        return events


def _keys(drafts: Sequence[Draft], touched: set[str]) -> bool:
    """Whether ``drafts`` may be written beside what touches ``touched``, which then takes them in."""
    mine = {key for draft in drafts for key in (draft.task, draft.agent, draft.data.get("gate")) if key}
    if any(draft.kind not in SIDE_BY_SIDE for draft in drafts) or not mine or not touched.isdisjoint(mine):
        return False
    touched |= mine
    return True


def _look_at(done: asyncio.Future[list[Event]]) -> None:
    """The caller may be gone: then nobody else asks what became of it."""
    if not done.cancelled():
        done.exception()
