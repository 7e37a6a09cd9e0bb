"""What a front end may ask of the engine: one JSON file each, dropped into the inbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import UsageError
from .gating import VERDICTS, canonical

KINDS: Mapping[str, frozenset[str]] = {
    "run.start": frozenset({"goal"}),
    "run.abort": frozenset(),
    "run.pause": frozenset(),
    "run.halt": frozenset(),
    "run.resume": frozenset(),
    "run.rollback": frozenset({"to"}),
    "task.pause": frozenset({"task"}),
    "task.resume": frozenset({"task"}),
    "task.cancel": frozenset({"task"}),
    "service.pause": frozenset({"service"}),
    "service.resume": frozenset({"service"}),
    "task.claim": frozenset({"service", "worker"}),
    "task.heartbeat": frozenset({"task", "attempt"}),
    "task.submit": frozenset({"task", "attempt", "what_i_did"}),
    "task.fail": frozenset({"task", "attempt", "reason"}),
    "budget.raise": frozenset({"budget", "limit"}),
    "rule.waive": frozenset({"firing", "note"}),
    "finding.close": frozenset({"finding", "resolution"}),
    "question.answer": frozenset({"question", "answer"}),
    "gate.decide": frozenset({"gate", "verdict", "evidence"}),
    "engine.halt": frozenset(),
    "engine.stop": frozenset(),
}
SCOPES = ("once", "session", "always")


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A request. ``id`` is a ULID: the order of names is the order of arrival.

    ``gate.decide`` carries ``gate``, ``verdict``, ``note`` and ``evidence``, the hash of the document that was on the
    screen; for a permission ``scope`` (once, session or always), for a force ``typed`` (the gate's id once more), for
    a deferral ``until`` (a time, a task or a gate). ``run.start`` carries ``goal`` and ``options``
    (``script``, ``speed``, ``offline``, ``auto``). ``run.pause`` may carry ``mode: drain``, ``run.halt`` ``mode:
    stop``; most may carry a ``note``.
    """

    id: str
    kind: str
    run: str = ""
    by: str = "operator"
    at: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        body = {"v": 1, "id": self.id, "kind": self.kind, "run": self.run, "by": self.by, "at": self.at}
        return json.dumps({**body, "data": dict(self.data)}, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decode(cls, raw: bytes) -> InboxItem:
        """Raises UsageError with the reason if ``raw`` is not a request this version understands."""
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not JSON: {error}") from error
        if not isinstance(body, dict) or body.get("v") != 1:
            raise UsageError("not a request of version 1")
        kind, data = body.get("kind"), body.get("data", {})
        if not isinstance(kind, str) or kind not in KINDS or not isinstance(data, dict):
            raise UsageError(f"unknown request {kind!r}; known: {', '.join(sorted(KINDS))}")
        if missing := sorted(KINDS[kind] - data.keys()):
            raise UsageError(f"{kind} lacks {', '.join(missing)}")
        if kind == "gate.decide" and canonical(str(data["verdict"])) not in VERDICTS:
            raise UsageError(f"verdict {data['verdict']!r} is not one of {', '.join(VERDICTS)}")
        if kind == "gate.decide" and data.get("scope", "once") not in SCOPES:
            raise UsageError(f"scope {data['scope']!r} is not one of {', '.join(SCOPES)}")
        texts = {key: body.get(key, "") for key in ("id", "run", "by", "at")}
        if not all(isinstance(value, str) for value in texts.values()) or not texts["id"]:
            raise UsageError("id, run, by and at must be text")
        return cls(kind=kind, data=data, **texts)
