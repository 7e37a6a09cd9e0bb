"""What the rules that fired do. Each action is one record with the fact that it was done, so that none is done twice.

One action a look, in the order of effect over all firings: halt, block, create work, backlog, notify. An action that
cannot be done as the state is now is told as such; one that is only too early waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from swarm_core.vocabulary.conditions import severity_of
from swarm_core.vocabulary.entities import ARCHITECT, DIAGNOSIS, PLANNING_TASK
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import RULE
from swarm_core.vocabulary.ids import slug
from swarm_core.vocabulary.rules import NOTIFY, Firing, order_of
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import Record
from .failures import halting
from .matrix import open_firings
from .names import Names
from .phases import mark, reopened
from .settling import settled

MAX_TITLE_CHARS = 120
MAX_LISTED = 20
CREATES = ("create_hotfix", "request_more_tests", "optimize_query", "request_clarification")
MATRIX = "matrix"


class Acting:
    """One look at what the firings of one state call for. ``new_task`` gives the id of a further task."""

    def __init__(self, view: RunView, spec: SwarmSpec, new_task: Callable[[], str]) -> None:
        self.view, self.spec, self.new_task = view, spec, new_task
        self.names = Names(view, spec)

    def effects(self) -> Iterator[Record]:
        for firing in open_firings(self.view):
            if ended := settled(self.view, firing):
                yield ended
                return
        pending = [
            (order_of(action), firing, action) for firing in open_firings(self.view) for action in firing.pending
        ]
        for _, firing, action in sorted(pending, key=lambda one: (one[0], len(one[1].id), one[1].id)):
            if self._is_early(firing, action):
                continue
            drafts = self._drafts(firing, action)
            yield Record(tuple(drafts) if self._fit(drafts) else (self._done(firing, action, "it could not be done"),))
            return

    # -- when

    def _is_early(self, firing: Firing, action: str) -> bool:
        """Nothing is created before the operator has approved the plan, and notes come after all that they tell of."""
        planning = self.view.tasks.get(PLANNING_TASK)
        if planning is None:
            return True
        if action == NOTIFY:
            return firing.pending != (NOTIFY,)
        if action in CREATES:
            landing = self._landing_status()
            return planning.status != "done" or landing == "passed" or self.view.is_held
        return False

    def _landing_status(self) -> str:
        gate = self.view.index.latest_gate.get(("landing", ""))
        return self.view.gates[gate].status if gate is not None else ""

    def _fit(self, drafts: list[Draft]) -> bool:
        """Whether the first that says something about what is there already fits; the rest follows from it."""
        try:
            for draft in drafts:
                if draft.kind != "finding.closed" or draft.data["finding"] in self.view.findings:
                    self.view.check(draft)
        except IllegalTransition:
            return False
        return True

    # -- what

    def _drafts(self, firing: Firing, action: str) -> list[Draft]:
        match action:
            case "halt_all_agents":
                return self._halt(firing)
            case "recovery_protocol":
                return self._protocol(firing)
            case "block_deployment":
                return self._block(firing)
            case "create_hotfix":
                return self._hotfix(firing)
            case "request_more_tests":
                return self._more_tests(firing)
            case "optimize_query":
                return self._optimize(firing)
            case "scale_horizontally":
                return self._scale(firing)
            case "request_clarification":
                return self._clarify(firing)
            case "add_to_backlog":
                return self._backlog(firing)
            case _:
                return self._notify(firing)

    def _halt(self, firing: Firing) -> list[Draft]:
        """Every agent stops at its next step; what it has is kept."""
        opened, halted = halting(self.view, firing.why, trigger="rule", subject=firing.id)
        incident = str(opened.data["incident"])
        return [
            opened,
            halted,
            self._done(firing, "halt_all_agents", f"{incident}: the run is halted", incident=incident),
        ]

    def _protocol(self, firing: Firing) -> list[Draft]:
        """Contain, and let the architect find out what happened; ``recovery`` goes on from there."""
        before: list[Draft] = []
        incident = firing.incident
        if not incident:
            opened, halted = halting(self.view, firing.why, trigger="rule", subject=firing.id)
            before, incident = [opened, halted], str(opened.data["incident"])
        task = self.new_task()
        description = (
            f"The run was halted: {firing.why}.\n{self._about(firing)}\n\n"
            "Find out what happened. Say in `what_i_did` what is wrong and since when, in `whats_left` what is damaged "
            "and begin `recommendation` with one of: rollback, revert TASK, fix, reassign TASK to SERVICE. "
            "You change nothing; the operator chooses."
        )
        data = self._task(f"Why was the run halted? ({incident})", description, ARCHITECT, "critical", kind=DIAGNOSIS)
        result = f"{incident}: {task} finds out what happened, then you choose how to go on"
        done = self._done(firing, "recovery_protocol", result, tasks=[task], incident=incident)
        return [*before, Draft("task.created", data, task=task), done]

    def _block(self, firing: Firing) -> list[Draft]:
        """The landing waits for a finding: the one that the rule saw, or one that stands for the measurement."""
        fact = firing.fact
        if fact.kind == "finding":
            name = fact.key.partition(":")[2]
            return [self._done(firing, "block_deployment", f"nothing lands before {name} is closed", finding=name)]
        name = f"D-{firing.id.rpartition('_')[2]}"
        opened = {
            "finding": name,
            "firing": firing.id,
            "category": RULE,
            "title": self._title(f"Deployment is blocked: {fact.shown}"),
            "severity": severity_of(fact) or "HIGH",
            "location": fact.paths[0] if fact.paths else fact.task,
            "owner": self.names.responsible(fact).chosen,
            "issue": self._about(firing),
            "fix": "Make what was measured right again: the engine closes this when it measures that it is.",
        }
        done = self._done(firing, "block_deployment", f"nothing lands before {name} is closed", finding=name)
        return [Draft("finding.opened", opened), done]

    def _hotfix(self, firing: Firing) -> list[Draft]:
        choice = self.names.responsible(firing.fact, firing.notify)
        subject = firing.fact.detail or firing.fact.shown
        task = self._task(
            f"Hotfix: {subject}",
            f"{self._about(firing)}\n\nMend it with the smallest change that does, and a test that fails without it.",
            choice.chosen,
            "critical",
            branch=f"fix/{slug(subject)}",
        )
        return self._created(firing, "create_hotfix", [task], choice.why)

    def _more_tests(self, firing: Firing) -> list[Draft]:
        """One task for each service that is named and can work; without one, for whoever is responsible."""
        fact = firing.fact
        named = [key for key in self.names.receivers(firing.notify, fact).services if key in self.spec.workers]
        files = "\n".join(f"- {path}" for path in fact.paths[:MAX_LISTED])
        missing = f"\n\nNot covered:\n{files}" if files else "\n\nFind out which lines no test runs, and begin there."
        tasks = [
            self._task(
                f"More tests: {fact.shown}",
                f"{self._about(firing)}{missing}\n\nWrite tests for what `{key}` is responsible for. Change no test so "
                "that it passes, and delete none.",
                key,
                "high",
            )
            for key in named or [self.names.responsible(fact).chosen]
        ]
        return self._created(
            firing, "request_more_tests", tasks, "the rule names them" if named else "it is responsible"
        )

    def _optimize(self, firing: Firing) -> list[Draft]:
        fact = firing.fact
        named = [key for key in map(self.names.service, firing.notify) if key in self.spec.workers]
        key = named[0] if named else self.names.responsible(fact).chosen
        query = f"\n\nMeasured: {fact.detail}" if fact.detail else ""
        task = self._task(
            f"Optimize: {fact.shown}",
            f"{self._about(firing)}{query}\n\nFind the slow query or loop, and make it fast without changing what it "
            "returns. Say in your handoff what you measured before and after.",
            key,
            "high",
        )
        return self._created(
            firing, "optimize_query", [task], "the rule names it first" if named else "it is responsible"
        )

    def _scale(self, firing: Firing) -> list[Draft]:
        """One replica more of the service that is measured, as far as it may have."""
        fact = firing.fact
        key = self.names.service(fact.service) or self.names.responsible(fact, firing.notify).chosen
        service = self.spec.services[key]
        now = self.view.replicas.get(key, service.replicas)
        if now >= service.max_replicas:
            result = f"{key} has {now} replicas and may have no more (max_replicas)"
            return [self._done(firing, "scale_horizontally", result)]
        scaled = {"service": key, "replicas": now + 1, "was": now, "firing": firing.id}
        done = self._done(firing, "scale_horizontally", f"{key}: {now} → {now + 1} replicas")
        return [Draft("service.scaled", scaled), done]

    def _clarify(self, firing: Firing) -> list[Draft]:
        """The architect is asked, who may change the plan; those concerned hear of it by their notes."""
        concerned = ", ".join(self.names.relevant(firing.fact))
        description = f"{self._about(firing)}\n\nIt concerns {concerned}. Say what is right, and who changes what."
        task = self._task(
            f"Clarify: {firing.fact.detail or firing.fact.shown}", description, ARCHITECT, "critical", kind="plan"
        )
        return self._created(firing, "request_clarification", [task], f"it concerns {concerned}")

    def _backlog(self, firing: Firing) -> list[Draft]:
        """Kept for later: a finding that is closed with that resolution, in nobody's way."""
        fact = firing.fact
        if fact.kind == "finding":
            name = fact.key.partition(":")[2]
            if self.view.findings[name].status not in ("open", "unresolved"):
                return [self._done(firing, "add_to_backlog", f"{name} is being mended already")]
            closed = Draft("finding.closed", {"finding": name, "resolution": "backlog"})
            return [closed, self._done(firing, "add_to_backlog", f"{name} is in the backlog", finding=name)]
        name = f"D-{firing.id.rpartition('_')[2]}"
        opened = {
            "finding": name,
            "firing": firing.id,
            "category": RULE,
            "title": self._title(fact.shown),
            "severity": severity_of(fact) or "MEDIUM",
            "location": fact.paths[0] if fact.paths else "",
            "owner": self.names.responsible(fact).chosen,
            "issue": self._about(firing),
        }
        opening = [] if name in self.view.findings else [Draft("finding.opened", opened)]
        closed = Draft("finding.closed", {"finding": name, "resolution": "backlog"})
        done = self._done(firing, "add_to_backlog", f"{name} is in the backlog", finding=name)
        return [*opening, closed, done] if firing.finding != name else [done]

    def _notify(self, firing: Firing) -> list[Draft]:
        """A note for each, told with the next message of its task. A name that nobody has is told to the architect."""
        receivers = self.names.receivers(firing.notify, firing.fact)
        services = list(receivers.services)
        if receivers.unknown and ARCHITECT not in services:
            services.append(ARCHITECT)
        results = "; ".join(result for action, result in firing.outcome.items() if action != NOTIFY)
        text = f"The decision matrix, not the operator: {firing.rule} fired. {firing.why}."
        text += f" {self._about(firing)}\nWhat follows: {results}" if results else f" {self._about(firing)}"
        strangers = f" (meant for {', '.join(receivers.unknown)}, whom nobody here is)" if receivers.unknown else ""
        refs = [ref for ref in (firing.id, firing.finding, firing.incident, *firing.tasks) if ref]
        drafts = []
        for key in services:
            note = text + (strangers if key == ARCHITECT else "")
            data = {"to": key, "text": note, "firing": firing.id, "refs": refs}
            drafts.append(Draft("message.written", data, task=self.names.open_task(key) or None))
        told = ", ".join(services) or "nobody"
        nobody = f"; nobody here is called {', '.join(receivers.unknown)}" if receivers.unknown else ""
        return [*drafts, self._done(firing, NOTIFY, f"told {told}{nobody}")]

    # -- parts

    def _about(self, firing: Firing) -> str:
        fact = firing.fact
        where = f" In {', '.join(fact.paths[:MAX_LISTED])}." if fact.paths else ""
        seen = f" Evidence: {fact.document}." if fact.document else ""
        said = f" {fact.detail}." if fact.detail else ""
        return f"{fact.shown} (event {fact.seq}, rule {firing.rule}).{said}{where}{seen}"

    def _title(self, text: str) -> str:
        line = " ".join(text.split())
        return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1] + "…"

    def _task(
        self, title: str, description: str, service: str, priority: str, *, kind: str = "work", branch: str = ""
    ) -> dict[str, Any]:
        return {
            "title": self._title(title),
            "description": description,
            "assigned_to": service,
            "created_by": MATRIX,
            "priority": priority,
            "kind": kind,
            **({"branch": branch} if branch else {}),
            **(mark(self.view, self.spec) if kind == "work" else {}),
        }

    def _created(self, firing: Firing, action: str, tasks: list[dict[str, Any]], why: str) -> list[Draft]:
        """New tasks; a build phase that was over is open again, and a landing shown before is to be shown again."""
        drafts = reopened(self.view, self.spec, f"{firing.id}: {firing.rule}")
        named = []
        for data in tasks:
            name = self.new_task()
            named.append(name)
            drafts.append(Draft("task.created", {**data, "order": int(name.rpartition("_")[2])}, task=name))
        told = ", ".join(f"{name} ({data['assigned_to']})" for name, data in zip(named, tasks, strict=True))
        return [*drafts, self._done(firing, action, f"{told}: {why}", tasks=named)]

    def _done(self, firing: Firing, action: str, result: str, **more: Any) -> Draft:
        return Draft("action.done", {"firing": firing.id, "action": action, "result": result, **more})
