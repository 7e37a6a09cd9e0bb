"""Whom a rule means: the seeds' names of agents, ``ALL``, whoever is responsible, whoever it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarm_core.vocabulary.entities import ARCHITECT
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.reservations import overlap
from swarm_core.vocabulary.rules import EVERYBODY, RELEVANT, RESPONSIBLE, Fact
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.state import State

# Seed 000 names agents, seed 001 services; a matrix's own `aliases` come first.
_SEED_NAMES = {"system-architecture-lead": ARCHITECT, "database-architect": "database", "ui-agent": "frontend"}
_ENDINGS = ("-agent", "-architect", "-lead", "-engineer", "-developer", "-specialist")


@dataclass(frozen=True, slots=True)
class Receivers:
    """The services that are meant, each with the name by which it was called, and the names that nobody has."""

    services: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen among candidates, and why."""

    chosen: str
    candidates: tuple[str, ...]
    why: str


class Names:
    """Resolves names in one state of a run."""

    def __init__(self, view: State, spec: SwarmSpec) -> None:
        self.view, self.spec = view, spec
        self._aliases = {name.strip().lower().replace("_", "-"): to for name, to in view.matrix.aliases.items()}

    def service(self, name: str) -> str:
        """The key of the service that is called so; empty if nobody is."""
        text = name.strip().lower().replace("_", "-")
        tries = [self._aliases.get(text, ""), text, _SEED_NAMES.get(text, ""), f"{text}-agent"]
        tries += [text.removesuffix(ending) for ending in _ENDINGS]
        tries += [f"{text.removesuffix(ending)}-agent" for ending in _ENDINGS]
        return next((key for key in tries if key in self.spec.services), "")

    def receivers(self, names: Iterable[str], fact: Fact) -> Receivers:
        """Everybody meant by ``names`` where ``fact`` is what they are told of, in the order of the configuration."""
        meant: set[str] = set()
        unknown = []
        for name in names:
            if name.strip().upper() == EVERYBODY:
                meant.update(self.spec.services)
            elif name == RESPONSIBLE:
                meant.update([self.responsible(fact).chosen])
            elif name == RELEVANT:
                meant.update(self.relevant(fact))
            elif service := self.service(name):
                meant.add(service)
            else:
                unknown.append(name)
        return Receivers(tuple(key for key in self.spec.services if key in meant), tuple(unknown))

    def responsible(self, fact: Fact, among: Sequence[str] = ()) -> Choice:
        """Who answers for what a fact is about: the owner of its paths, else whoever worked on it.

        ``among`` are those a rule names; one of them comes before anybody else of the same standing.
        """
        standing: dict[str, tuple[int, str]] = {}
        for key, depth in self._owners(fact.paths).items():
            standing[key] = (100 + depth, f"{key} owns {', '.join(fact.paths[:2])}")
        for key, why in ((self.service(fact.owner), "owns it"), (self.service(fact.service), "is measured")):
            if key and self._works(key):
                standing.setdefault(key, (50, f"{key} {why}"))
        task = self.view.tasks.get(fact.task)
        if task is not None and self._works(task.assigned_to):
            standing.setdefault(task.assigned_to, (40, f"{task.assigned_to} works on {task.id}"))
        for name in among:
            if (key := self.service(name)) and self._works(key):
                weight, why = standing.get(key, (10, f"the rule names {key}"))
                standing[key] = (weight + 5, why)
        if not standing:
            first = self.spec.workers[0] if self.spec.workers else ARCHITECT
            return Choice(first, (first,), f"nobody else is known to answer for it: {first} is the first service")
        return self._choose(
            {key: weight for key, (weight, _) in standing.items()}, {k: w for k, (_, w) in standing.items()}
        )

    def _choose(self, weights: dict[str, int], whys: dict[str, str]) -> Choice:
        """By standing, then by the least work that waits for it, then by its place in the configuration."""
        keys = list(self.spec.services)
        waiting = self.view.index.unended_of
        ranked = sorted(weights, key=lambda key: (-weights[key], waiting.get(key, 0), keys.index(key)))
        best = ranked[0]
        equal = [key for key in ranked[1:] if weights[key] == weights[best]]
        why = whys[best] + (
            f"; before {', '.join(equal)}: less work waits for it, or it is named first" if equal else ""
        )
        return Choice(best, tuple(ranked), why)

    def relevant(self, fact: Fact) -> list[str]:
        """Owners and writers of its paths, and whoever declared to write them."""
        found = list(self._owners(fact.paths))
        found += [key for key in (self.service(fact.owner), self.service(fact.service)) if key]
        for task in self.view.tasks.values():
            declared = any(overlap(path, mine) for path in fact.paths for mine in task.writes)
            if declared or (task.id == fact.task and not task.is_planning):
                found.append(task.assigned_to)
        for path in fact.paths:
            artifact = self.view.artifacts.get(path)
            if artifact is not None and artifact.written_by in self.view.tasks:
                found.append(self.view.tasks[artifact.written_by].assigned_to)
        return list(dict.fromkeys(found)) or [ARCHITECT]

    def open_task(self, service: str) -> str:
        """The task with which a service hears of something: the one it works on, else its next."""
        for status in ("running", "verifying", "blocked", "ready", "pending", "failed"):
            for name in self.view.index.in_status(status):
                task = self.view.tasks[name]
                if task.assigned_to == service and task.status not in TASK.terminal:
                    return name
        return ""

    def _works(self, key: str) -> bool:
        return key in self.spec.workers

    def _owners(self, paths: Sequence[str]) -> dict[str, int]:
        """Services that may write a path, with the depth of the directory that gives the right; the nearest."""
        found: dict[str, int] = {}
        for path in paths:
            parts = [part for part in path.split("/") if part not in ("", ".")]
            depths: dict[str, int] = {}
            for service in self.spec.services.values():
                for directory in service.directories if service.writes else ():
                    above = [part for part in directory.split("/") if part not in ("", ".")]
                    if above == parts[: len(above)]:
                        depths[service.key] = max(depths.get(service.key, 0), len(above))
            deepest = max(depths.values(), default=0)
            found |= {key: depth for key, depth in depths.items() if depth == deepest}
        return found
