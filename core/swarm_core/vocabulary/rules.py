"""The decision matrix as data: facts, the rules that look at them, and what became of a rule that fired (seed 000).

A fact is the latest thing that was said about one subject: a check's result on one tree, an open finding, an incident,
a merge conflict. A rule fires once for each content of a fact (``evidence``), however often it is looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

ACTIONS = (
    "halt_all_agents",
    "recovery_protocol",
    "block_deployment",
    "create_hotfix",
    "request_more_tests",
    "optimize_query",
    "scale_horizontally",
    "request_clarification",
    "add_to_backlog",
)
"""What a rule can do, in the order of effect: halt, block, create work, backlog. Notes come last."""
PROTOCOLS = ("recovery_protocol",)
NOTIFY = "notify"
EVERYBODY = "ALL"
RESPONSIBLE = "responsible-agent"
RELEVANT = "relevant-agents"
MATRIX_FILE = "artifacts/decision-matrix.yml"
SHIPPED = "the shipped matrix"


def order_of(action: str) -> int:
    """The place of an action in the order of effect."""
    return ACTIONS.index(action) if action in ACTIONS else len(ACTIONS)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the matrix. It is about a ``metric`` (``sign`` is < or >, ``limit`` in ``unit``) or a ``condition``.

    ``raised_by`` is the agent whose rule it is, in the file's spelling; ``severity`` restricts it to facts of that
    severity; ``place`` is ``file:line``.
    """

    id: str
    raised_by: str = ""
    metric: str = ""
    sign: str = ""
    limit: float = 0.0
    unit: str = ""
    condition: str = ""
    severity: str = ""
    do: tuple[str, ...] = ()
    execute: str = ""
    notify: tuple[str, ...] = ()
    place: str = ""

    @property
    def when(self) -> str:
        """What it waits for, in words: ``coverage < 80``, ``tests_fail``, ``vulnerability_found (CRITICAL)``."""
        text = f"{self.metric} {self.sign} {self.limit:g}{self.unit}" if self.metric else self.condition
        return f"{text} ({self.severity})" if self.severity else text

    @property
    def actions(self) -> tuple[str, ...]:
        """Everything it does, in the order of effect."""
        named = dict.fromkeys((*self.do, *((self.execute,) if self.execute else ())))
        return tuple(sorted(named, key=order_of))

    def data(self) -> dict[str, Any]:
        """As the journal has it; ``Rule.read`` reads it back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Rule:
        texts = ("id", "raised_by", "metric", "sign", "unit", "condition", "severity", "execute", "place")
        return cls(
            **{name: str(data.get(name, "")) for name in texts},
            limit=float(data.get("limit", 0.0)),
            do=tuple(map(str, data.get("do", ()))),
            notify=tuple(map(str, data.get("notify", ()))),
        )


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rules of a run and the other names of its services. ``path`` says where they are from."""

    rules: tuple[Rule, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    sha256: str = ""

    def data(self) -> dict[str, Any]:
        """The data of ``matrix.adopted``."""
        rules = [rule.data() for rule in self.rules]
        return {"path": self.path, "sha256": self.sha256, "aliases": dict(self.aliases), "rules": rules}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Matrix:
        aliases = {str(key): str(value) for key, value in data.get("aliases", {}).items()}
        rules = tuple(Rule.read(rule) for rule in data.get("rules", ()))
        return cls(rules, aliases, str(data.get("path", "")), str(data.get("sha256", "")))


@dataclass(frozen=True, slots=True)
class Fact:
    """What was last said about one subject. ``kind`` is check, finding, incident or conflict.

    ``name`` is the metric or category, ``status`` a check's result (pass, fail, not_measured, error) or ``open``.
    ``tree`` is where a check was measured: ``agent`` (the work of ``task`` alone) or ``merged``. ``seq`` is the event,
    ``seen`` the findings that a check still shows.
    """

    key: str
    kind: str
    name: str
    status: str = ""
    value: float | None = None
    unit: str = ""
    severity: str = ""
    task: str = ""
    tree: str = ""
    commit: str = ""
    paths: tuple[str, ...] = ()
    detail: str = ""
    by: str = ""
    owner: str = ""
    service: str = ""
    document: str = ""
    seq: int = 0
    seen: tuple[str, ...] = ()

    @property
    def evidence(self) -> str:
        """The SHA-256 of what it says, without when it was said: the same measurement of the same commit is the same
        evidence."""
        said = [self.key, self.name, self.status, self.value, self.unit, self.severity, self.commit, self.paths]
        return hashlib.sha256(json.dumps(said, default=list).encode("utf-8", "replace")).hexdigest()

    @property
    def shown(self) -> str:
        """``coverage is 79.9%``, ``tests: fail``, ``W-001 CRITICAL: a key in the code``."""
        where = f" on {self.task}" if self.task and self.kind == "check" else ""
        if self.value is not None:
            space = "" if self.unit in ("", "%") else " "
            return f"{self.name} is {self.value:g}{space}{self.unit}{where}"
        if self.kind == "check":
            return f"{self.name}: {self.status}{where}"
        subject = self.key.partition(":")[2]
        return " ".join(part for part in (subject, self.severity) if part) + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired. ``done`` are the actions that were carried out, ``outcome`` what each came to.

    ``tasks`` were created by it, ``finding`` is what it blocks on, ``incident`` what it stopped the run with.
    ``settled`` says how it ended; it is open until then.
    """

    id: str
    rule: str
    why: str
    evidence: str
    fact: Fact
    actions: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    at: str = ""
    done: tuple[str, ...] = ()
    outcome: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    finding: str = ""
    incident: str = ""
    settled: str = ""

    @property
    def pending(self) -> tuple[str, ...]:
        """What is still to be done, in the order of effect."""
        wanted = (*self.actions, *((NOTIFY,) if self.notify else ()))
        return tuple(action for action in wanted if action not in self.done)


def fired_key(rule: str, evidence: str) -> str:
    """By what a firing is recognised: it never happens twice."""
    return f"{rule} {evidence}"
