"""Writes the changes of an applied event into the state, and what follows from them into its index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .asks import Ask
from .budgets import Amounts, Budget, OpenCall
from .conditions import due
from .entities import Artifact, Gate, Instance, Limit, Merge, Phase, Run, Task, Usage
from .events import Event
from .findings import Finding, Incident
from .rules import Fact, Firing, Matrix, fired_key
from .state import Sink, State


class Writer(Sink):
    """Writes the changes of an applied event into the view."""

    def __init__(self, view: State, event: Event) -> None:
        self.view, self.ts, self.seq = view, event.ts, event.seq

    def run(self, run: Run) -> None:
        self.view.run = run

    def phase(self, phase: Phase) -> None:
        self.view.phases[phase.key] = phase

    def task(self, task: Task) -> None:
        self.view.index.task(self.view.tasks.get(task.id), task)
        self.view.tasks[task.id] = task

    def instance(self, instance: Instance) -> None:
        self.view.instances[instance.id] = instance

    def gate(self, gate: Gate) -> None:
        self.view.index.gate(gate)
        self.view.gates[gate.id] = gate

    def merge(self, merge: Merge) -> None:
        self.view.merges[merge.task] = merge
        self.view.index.merge(merge.task, merge.status)

    def unmerge(self, task: str) -> None:
        if self.view.merges.pop(task, None) is not None:
            self.view.index.merge(task, "")

    def artifact(self, artifact: Artifact) -> None:
        self.view.artifacts[artifact.path] = artifact

    def finding(self, finding: Finding) -> None:
        self.view.index.finding(finding)
        self.view.findings[finding.id] = finding

    def incident(self, incident: Incident) -> None:
        self.view.index.incident(incident)
        self.view.incidents[incident.id] = incident

    def budget(self, budget: Budget) -> None:
        self.view.index.budget(budget)
        self.view.budgets[budget.id] = budget

    def limit(self, gate: str, limit: Limit | None) -> None:
        if limit is None:
            self.view.limits.pop(gate, None)
        else:
            self.view.limits[gate] = limit

    def hold(self, service: str, reason: str) -> None:
        if reason:
            self.view.held_services[service] = reason
        else:
            self.view.held_services.pop(service, None)

    def request(self, key: str, request: Mapping[str, Any] | None) -> None:
        if request is None:
            self.view.requests.pop(key, None)
        else:
            self.view.requests[key] = request

    def usage(self, usage: Usage) -> None:
        self.view.usage = self.view.usage + usage

    def spend(self, scopes: tuple[str, ...], amounts: Amounts) -> None:
        for scope in scopes:
            self.view.spent[scope] = self.view.spent.get(scope, Amounts()) + amounts

    def open_call(self, agent: str, call: OpenCall | None) -> None:
        if call is None:
            self.view.open_calls.pop(agent, None)
        else:
            self.view.open_calls[agent] = call

    def mark(self, command: str, refused: str = "") -> None:
        if command:
            self.view.commands.add(command)
            if refused:
                self.view.refused[command] = refused

    def denial(self) -> None:
        self.view.denials += 1

    def pid(self, pid: int) -> None:
        self.view.engine_pid = pid

    def started(self) -> None:
        self.view.started_seq = self.seq

    def plan(self, task: str, plan: Mapping[str, Any]) -> None:
        self.view.plans[task] = plan

    def question(self, key: str, question: Mapping[str, Any]) -> None:
        self.view.questions[key] = question

    def ask(self, ask: Ask) -> None:
        self.view.asks[ask.id] = ask
        if ask.answer:
            self.view.open_asks.pop(ask.id, None)
        else:
            self.view.open_asks[ask.id] = None

    def matrix(self, matrix: Matrix) -> None:
        self.view.matrix = matrix
        for key, fact in self.view.facts.items():
            self.fact(key, fact)

    def fact(self, key: str, fact: Fact | None) -> None:
        view = self.view
        rules = due(view.matrix.rules, view.fired, fact) if fact is not None else ()
        view.index.fact(view.facts.get(key), fact, rules)
        if fact is None:
            view.facts.pop(key, None)
        else:
            view.facts[key] = fact

    def firing(self, firing: Firing) -> None:
        if firing.id not in self.view.firings:
            self.view.index.firing(firing)
        self.view.firings[firing.id] = firing
        self.view.fired[fired_key(firing.rule, firing.evidence)] = firing.id
        if firing.settled:
            self.view.open_firings.pop(firing.id, None)
        else:
            self.view.open_firings[firing.id] = None

    def spent(self, firing: Firing, fact: Fact) -> None:
        """The rule of a firing is answered for what another fact says as well."""
        self.view.fired[fired_key(firing.rule, fact.evidence)] = firing.id
        self.fact(fact.key, fact)

    def letters(self, service: str, letters: tuple[str, ...]) -> None:
        if letters:
            self.view.letters[service] = letters
        else:
            self.view.letters.pop(service, None)

    def replicas(self, service: str, count: int) -> None:
        self.view.replicas[service] = count
