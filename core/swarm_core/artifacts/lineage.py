"""Where an artifact came from, derived from the journal: who wrote each version, from what, at which gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from swarm_core.vocabulary.events import Event

MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an artifact. ``inputs`` are the artifacts its task was given, ``status`` is the last thing known.

    ``gate`` is where its task's work was decided, ``evidence`` the SHA-256 of what was shown there.
    """

    path: str
    number: int
    sha256: str
    task: str = ""
    agent: str = ""
    commit: str = ""
    seq: int = 0
    ts: str = ""
    status: str = "draft"
    reason: str = ""
    faults: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    gate: str = ""
    verdict: str = ""
    by: str = ""
    evidence: str = ""
    merged_as: str = ""


class History:
    """All versions of all artifacts of a run; takes events in their order."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version]] = {}
        self._of_task: dict[str, dict[str, int]] = {}
        self._gates: dict[str, tuple[str, str]] = {}

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        history = cls()
        for event in events:
            history.take(event)
        return history

    def take(self, event: Event) -> None:
        data, task = event.data, event.task or ""
        match event.kind:
            case "artifact.written" if data.get("type") != "plan":
                self._written(event)
            case "artifact.validated" | "artifact.rejected" | "artifact.stale" | "artifact.sealed":
                status = {"validated": "valid", "rejected": "invalid"}.get(event.kind[9:], event.kind[9:])
                faults = tuple(str(fault) for fault in data.get("faults", ()))
                self._last(str(data.get("path", "")), status=status, reason=str(data.get("reason", "")), faults=faults)
            case "commit.created" | "merge.completed":
                field = "commit" if event.kind == "commit.created" else "merged_as"
                value = str(data.get("commit" if field == "commit" else "integration", ""))
                for path in self._of_task.get(task, ()):
                    self._last(path, **{field: value}, only_task=task)
            case "gate.evaluating" if data.get("place") == "merge":
                self._gates[str(data.get("gate"))] = (task, "")
            case "gate.decided" if data.get("gate") in self._gates:
                gate = str(data["gate"])
                decided = {name: str(data.get(name, "")) for name in ("verdict", "by", "evidence")}
                for path in self._of_task.get(self._gates[gate][0], ()):
                    self._last(path, gate=gate, only_task=self._gates[gate][0], **decided)

    def _written(self, event: Event) -> None:
        data, path = event.data, str(event.data.get("path", ""))
        known = self.versions.setdefault(path, [])
        inputs = tuple((str(p), str(h)) for p, h in data.get("inputs", ()))
        known.append(
            Version(
                path,
                len(known) + 1,
                str(data.get("sha256", "")),
                event.task or "",
                event.agent or "",
                str(data.get("commit", "")),
                event.seq,
                event.ts,
                inputs=inputs,
            )
        )
        self._of_task.setdefault(event.task or "", {})[path] = event.seq

    def _last(self, path: str, *, only_task: str = "", **changes: object) -> None:
        known = self.versions.get(path)
        if known and (not only_task or known[-1].task == only_task):
            known[-1] = replace(known[-1], **changes)  # type: ignore[arg-type]  # fields of Version, named above

    def latest(self, path: str) -> Version | None:
        return self.versions[path][-1] if self.versions.get(path) else None

    def with_sha256(self, path: str, sha256: str) -> Version | None:
        """The version of an artifact with this content; None if it was there before the run."""
        return next((one for one in reversed(self.versions.get(path, [])) if one.sha256 == sha256), None)

    def ancestry(self, version: Version) -> Iterator[tuple[int, str, str, Version | None]]:
        """What a version was made from, and that from what: depth, path, SHA-256, and who wrote it in this run."""
        seen = {(version.path, version.sha256)}
        stack = [(1, path, sha256) for path, sha256 in reversed(version.inputs)]
        while stack:
            depth, path, sha256 = stack.pop()
            found = self.with_sha256(path, sha256)
            yield depth, path, sha256, found
            if found is None or (path, sha256) in seen or depth >= MAX_DEPTH:
                continue
            seen.add((path, sha256))
            stack += [(depth + 1, *read) for read in reversed(found.inputs)]
