"""The permission rules of one run, and the operator's answers: each question is a gate, each answer in the journal.

Rules are compiled once for each service and tree. What was granted at a gate is part of them from the next call on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm_core.definitions.settings import Granted, Settings, read_granted, read_settings
from swarm_core.journal.opening import last_events
from swarm_core.tools.permissions.permission import Answer, Question, Rules
from swarm_core.tools.permissions.rule import SUBJECTS, Rule
from swarm_core.tools.permissions.rules import RuleSet, compile_rules
from swarm_core.tools.permissions.trust import Trust
from swarm_core.vocabulary.asks import Ask
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import ConfigurationError, IllegalTransition, JournalError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.spec import RuleText, SwarmSpec

from .diagnostics import LOGGER
from .evidence import Evidence, permission_evidence, trust_evidence

if TYPE_CHECKING:
    from .agent_act import AgentAct
    from .runner import Runner

BEAT_S = 20.0
LOOKED_BACK = 3_000


def rules_for(
    spec: SwarmSpec, settings: Settings, service: str, tree: Path, granted: tuple[RuleText, ...] = ()
) -> tuple[RuleSet, list[str]]:
    """The rules for one service. Raises ConfigurationError with file and line."""
    texts = (*spec.permissions.rules, *spec.services[service].permissions, *settings.rules)
    default = spec.permissions.default
    return compile_rules(texts, tree, default=default, granted=granted)  # type: ignore[arg-type]  # read as a choice


def check_rules(spec: SwarmSpec, root: Path) -> None:
    """Raises ConfigurationError if a run could not begin with the rules as they are written."""
    settings = read_settings(root, spec.permissions)
    for service in spec.services:
        rules_for(spec, settings, service, root)


class Rulebook:
    """The rules of one run for all its agents."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.repo: RepoLayout = runner.layout.repo
        self.settings = read_settings(self.repo.root, runner.spec.permissions)
        self.kept = self._kept()
        self.asking: set[str] = set()
        self._sets: dict[tuple[str, Path], tuple[int, RuleSet]] = {}
        for service in runner.spec.services:
            _, warnings = rules_for(runner.spec, self.settings, service, self.repo.root)
            for warning in dict.fromkeys((*self.settings.warnings, *warnings)):
                LOGGER.warning("permissions: %s", warning, extra={"run": runner.layout.run})

    def _kept(self) -> Granted:
        try:
            return read_granted(self.repo)
        except ConfigurationError as error:
            LOGGER.warning("nothing counts as granted: %s", error, extra={"run": self.runner.layout.run})
            return Granted()

    def rules(self, service: str, tree: Path) -> RuleSet:
        """The rules as of now: made anew only when an answer came since."""
        view = self.runner.view
        answered = len(view.asks) - len(view.open_asks)
        known = self._sets.get((service, tree))
        if known is None or known[0] != answered:
            kept = [text for name, text in self.kept.rules if name in (service, "*")]
            given = [
                RuleText("allow", text, "grant", ask.gate)
                for ask in view.asks.values()
                if ask.scope in ("session", "always") and ask.service == service and not ask.sha256
                for text in ask.proposed
            ]
            found, _ = rules_for(self.runner.spec, self.settings, service, tree, (*kept, *given))
            known = self._sets[service, tree] = (answered, found)
        return known[1]

    def knows(self, kind: str, name: str, sha256: str) -> bool:
        """Whether the operator trusted exactly this content, in this run or for good."""
        if any((one.kind, one.name, one.sha256) == (kind, name, sha256) for one in self.kept.trusted):
            return True
        asks = self.runner.view.asks.values()
        return any(a.sha256 == sha256 and a.tool == f"{kind} {name}" and a.answer == "approve" for a in asks)

    def permission(self, act: AgentAct) -> Rules:
        """Who is asked before each call of an agent."""
        return Rules(lambda: self.rules(act.service.key, act.scope.tree), GateAsker(self, act))

    def trust(self, act: AgentAct) -> Trust:
        """Who is asked before something of the repository runs for an agent."""
        return Trust(GateAsker(self, act), self.knows, str(act.scope.tree))

    # -- what a gate shows

    async def evidence(self, gate: Gate) -> Evidence:
        ask = self.runner.view.asks[gate.ask]
        if ask.sha256:
            return trust_evidence(gate, ask)
        seen = await asyncio.to_thread(self._seen, ask) if ask.proposed else []
        return permission_evidence(gate, ask, seen)

    def _seen(self, ask: Ask) -> list[tuple[str, int]]:
        """Calls of this run that the proposed rules would have let pass, with how often each was made."""
        rules = self.rules(ask.service, Path(ask.directory))
        proposed = [Rule.parse(RuleText("allow", text, "grant")) for text in ask.proposed]
        counts: dict[str, int] = {}
        try:
            events = last_events(self.runner.layout.journal, LOOKED_BACK)
        except (JournalError, OSError):
            return []
        for event in events:
            if event.kind != "tool.used":
                continue
            name, target = str(event.data.get("name", "")), str(event.data.get("target", ""))
            arguments = _arguments(name, target)
            if not target.endswith("…") and any(rules.covers(rule, name, arguments) for rule in proposed):
                counts[f"{name} {target}"] = counts.get(f"{name} {target}", 0) + 1
        return sorted(counts.items(), key=lambda item: -item[1])


def _arguments(name: str, target: str) -> dict[str, Any]:
    """A call's arguments as far as its line in the journal tells them."""
    return {SUBJECTS[name][0]: target.replace("\u240a", "\n")} if name in SUBJECTS else {}


class GateAsker:
    """Asks for one agent: the agent is shown as waiting, the others go on, and its own time stands still."""

    def __init__(self, book: Rulebook, act: AgentAct) -> None:
        self.book, self.act, self.runner = book, act, book.runner
        self._waiting = 0

    async def ask(self, question: Question) -> Answer:
        view, task = self.runner.view, self.act.task
        name = question.key if question.sha256 else f"{task.id}.{task.attempt}.{question.key}"
        await self._request(name, question)
        if not self._is_answered(name):
            with self._off_the_clock():
                while not await self.runner.until(lambda: self._gate_of(name) != "", BEAT_S):
                    self.runner.watch.beat(task.id)
                await self._say("agent.waiting", reason=f"the operator's leave at {self._gate_of(name)}")
                while not await self.runner.until(lambda: self._is_answered(name), BEAT_S):
                    self.runner.watch.beat(task.id)
        self.runner.watch.beat(task.id)
        if not self._waiting and view.instances[self.act.instance.id].status == "waiting":
            await self._say("agent.busy")
        await self.act.clearance()  # the run may be held meanwhile
        found = view.asks[name]
        note = found.note if found.answer != "withdrawn" else "the question was withdrawn"
        return Answer(found.answer == "approve", note, found.gate)

    def _is_answered(self, name: str) -> bool:
        found = self.runner.view.asks.get(name)
        return found is not None and bool(found.answer)

    def _gate_of(self, name: str) -> str:
        """The gate where the question waits; once there is an answer, where it did."""
        found = self.runner.view.asks.get(name)
        if found is None:
            return ""
        gate = self.runner.view.gates.get(found.gate)
        is_there = found.answer or (gate is not None and gate.status == "open")
        return (found.gate or "no gate") if is_there else ""

    async def _request(self, name: str, question: Question) -> None:
        """Journal the question, once, whoever asks it and however often."""
        if name in self.runner.view.asks or name in self.book.asking:
            return
        self.book.asking.add(name)
        task = self.act.task
        data = {
            "ask": name,
            "tool": clean(question.tool),
            "subject": clean(question.subject),
            "details": clean(question.details),
            "rule": clean(question.rule),
            "why": clean(question.why),
            "proposed": list(question.proposed),
            "service": self.act.service.key,
            "directory": question.directory,
            "sha256": question.sha256,
            "attempt": task.attempt,
        }
        about = None if question.sha256 else task.id
        instance = self.act.instance.id
        try:
            await self.runner.record(Draft("permission.requested", data, actor=instance, task=about, agent=instance))
        finally:
            self.book.asking.discard(name)

    async def _say(self, kind: str, **data: Any) -> None:
        instance = self.act.instance.id
        draft = Draft(kind, data, actor=instance, task=self.act.task.id, agent=instance)
        with suppress(IllegalTransition):
            self.runner.view.check(draft)
            await self.runner.record(draft)

    @contextmanager
    def _off_the_clock(self) -> Iterator[None]:
        """A person's time to think does not count against the task; several questions may wait at once."""
        self._waiting += 1
        try:
            with self.act.allowance.excused():
                yield
        finally:
            self._waiting -= 1
