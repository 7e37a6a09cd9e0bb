"""The past of every file of a run, folded from its journal in one pass.

``lineage.trace`` picks out of it what concerns one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from swarm_core.vocabulary.events import Event

from .past import PLAN, Check, Decision, Verdict, Version, Work, reads, word, words
from .rules import Rules

GATES_OF_WORK = ("merge", PLAN)
OPENERS = frozenset({"Read"})
"""The tools by which an agent reads one file."""
VERDICTS = {"validated": "valid", "rejected": "invalid"}


class History:
    """What happened to all files of a run; takes events in their order.

    ``written`` are the versions of registered artifacts, ``committed`` those of every path that a commit names,
    ``opened`` the tasks whose agents opened a path with a tool.
    """

    def __init__(self) -> None:
        self.run = ""
        self.written: dict[str, list[Version]] = {}
        self.committed: dict[str, list[Version]] = {}
        self.opened: dict[str, dict[str, int]] = {}
        self.given: list[tuple[int, str, str, str]] = []
        self.work: dict[str, Work] = {}
        self.gates: dict[str, Decision] = {}
        self.plans: dict[str, Decision] = {}
        self.landing: Decision | None = None
        self.landed = ""
        self.rules = Rules()
        self._current: dict[str, dict[tuple[bool, str], Version]] = {}
        self._checks: dict[str, dict[str, Check]] = {}

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        history = cls()
        for event in events:
            history.take(event)
        return history

    def take(self, event: Event) -> None:
        if (taken := _TAKERS.get(event.kind)) is not None:
            taken(self, event)
        self.rules.take(event)

    # -- questions

    def versions(self, path: str) -> list[Version]:
        """The versions of a path: as registered artifact if it was ever written as one, else one a commit."""
        return self.written.get(path) or self.committed.get(path) or []

    def path_of(self, key: str) -> str:
        """The path of an artifact of this type; empty if none was written."""
        return next((path for path, found in self.written.items() if found[-1].key == key), "")

    def with_sha256(self, path: str, sha256: str) -> Version | None:
        """The version of an artifact with this content; None if it was there before the run."""
        return next((one for one in reversed(self.written.get(path, [])) if one.sha256 == sha256), None)

    # -- work

    def _of(self, task: str | None) -> Work:
        return self.work.setdefault(task or "", Work(task or ""))

    def _created(self, event: Event) -> None:
        data, work = event.data, self._of(event.task)
        work.title, work.service, work.kind = word(data, "title"), word(data, "assigned_to"), word(data, "kind")
        work.created_by, work.dependencies = word(data, "created_by"), words(data.get("dependencies"))

    def _begun(self, event: Event) -> None:
        work = self._of(event.task)
        work.base = word(event.data, "base") or work.base
        work.instance = event.agent or work.instance
        work.service = word(event.data, "service") or word(event.data, "assigned_to") or work.service

    def _given(self, event: Event) -> None:
        found = reads(event.data.get("reads"))
        self._of(event.task).reads = found
        self.given += [(event.seq, event.task or "", path, sha256) for path, sha256 in found]

    def _used(self, event: Event) -> None:
        data = event.data
        if data.get("name") in OPENERS and data.get("ok", True):
            path = word(data, "target").removeprefix("./")
            self.opened.setdefault(path, {}).setdefault(event.task or "", event.seq)

    # -- versions

    def _wrote(self, event: Event) -> None:
        data = event.data
        path = word(data, "path") or word(data, "type")
        version = self._version(event, self.written, path, key=word(data, "type"), sha256=word(data, "sha256"))
        version.inputs = reads(data["inputs"]) if "inputs" in data else self._of(event.task).reads
        if (made := self._current[version.task].get((False, path))) and version.commit in ("", made.commit):
            version.commit, version.message = made.commit, made.message
        if version.key == PLAN:
            for planned in data.get("tasks") or ():
                if isinstance(planned, dict):
                    self._of(word(planned, "id")).planned_in = version.task

    def _commit(self, event: Event) -> None:
        commit, paths = word(event.data, "commit"), words(event.data.get("paths"))
        for (is_registered, path), version in self._current.get(event.task or "", {}).items():
            if is_registered and not version.commit and (not paths or path in paths):
                version.commit, version.message = commit, word(event.data, "message")
        for path in paths:
            self._version(event, self.committed, path).inputs = self._of(event.task).reads

    def _version(
        self, event: Event, known: dict[str, list[Version]], path: str, *, key: str = "", sha256: str = ""
    ) -> Version:
        data, past = event.data, known.setdefault(path, [])
        version = Version(
            path,
            len(past) + 1,
            key,
            sha256,
            event.task or "",
            event.agent or event.actor,
            event.seq,
            event.ts,
            word(data, "commit"),
            word(data, "message"),
        )
        past.append(version)
        self._current.setdefault(version.task, {})[known is self.written, path] = version
        return version

    def _judged(self, event: Event) -> None:
        data = event.data
        path, sha256 = word(data, "path"), word(data, "sha256")
        version = self.with_sha256(path, sha256) if sha256 else None
        if version is None and self.written.get(path):
            version = self.written[path][-1]
        if version is None:
            return
        said = event.kind.removeprefix("artifact.")
        faults, inputs = words(data.get("faults")), reads(data.get("inputs"))
        status = VERDICTS.get(said, said)
        version.verdicts.append(
            Verdict(status, event.seq, event.ts, event.task or "", word(data, "reason"), faults, inputs)
        )

    def _merged(self, event: Event) -> None:
        merged_as = word(event.data, "integration")
        self._of(event.task).merged_as = merged_as
        for version in self._current.get(event.task or "", {}).values():
            version.merged_as = version.merged_as or merged_as

    def _rolled_back(self, event: Event) -> None:
        for task in event.data.get("tasks") or ():
            for version in self._current.pop(str(task), {}).values():
                version.taken_back = f"the run was rolled back to event {word(event.data, 'to_seq')}"
            self._of(str(task)).merged_as = ""

    def _completed(self, event: Event) -> None:
        self.landed = word(event.data, "commit") if event.data.get("landed") else ""

    # -- decisions

    def _measured(self, event: Event) -> None:
        data = event.data
        if data.get("tree") == "alone":
            return  # it was measured to tell whose fault the result is
        status = word(data, "result") or word(data, "status") or event.kind.partition(".")[2]
        check = Check.of(data, status, event.seq)
        self._checks.setdefault(event.task or "", {})[check.name] = check

    def _gate(self, event: Event) -> None:
        decision = Decision(word(event.data, "gate"), word(event.data, "place"), event.task or "", event.seq, event.ts)
        self._stands(decision)

    def _stands(self, decision: Decision) -> None:
        """A decision is to be made, about what its task has written by now."""
        self.gates[decision.gate] = decision
        if decision.place in GATES_OF_WORK:
            for version in self._current.get(decision.task, {}).values():
                version.decisions.append(decision)
        if decision.place == PLAN:
            self.plans[decision.task] = decision
        elif decision.place == "landing":
            self.landing = decision

    def _shown(self, event: Event) -> None:
        decision, data = self.gates.get(word(event.data, "gate")), event.data
        if decision is None:
            return
        decision.evidence = word(data, "evidence") or decision.evidence
        decision.document = word(data, "document") or decision.document
        if event.kind == "gate.decided":
            decision.verdict, decision.by = word(data, "verdict"), word(data, "by") or event.actor
            decision.note, decision.findings = word(data, "note"), words(data.get("findings"))
            decision.seq, decision.at = event.seq, event.ts
        if event.kind == "gate.opened" or "checks" in data:
            decision.checks = self._checks_of(decision, data.get("checks") or ())

    def _checks_of(self, decision: Decision, shown: Iterable[object]) -> tuple[Check, ...]:
        """What a gate shows, each with the file that proves it; in old journals, what was measured for it."""
        measured = self._checks.get(decision.task, {})
        found = []
        for data in shown:
            if not isinstance(data, dict):
                continue
            check = Check.of(data, word(data, "status") or ("pass" if data.get("passed") else "fail"), 0)
            proof = measured.get(check.name)
            if proof is not None:
                where = {"evidence": proof.evidence, "tree": proof.tree, "commit": proof.commit, "seq": proof.seq}
                check = replace(check, **where)  # type: ignore[arg-type]  # fields of Check, named above
            found.append(check)
        return tuple(found) or tuple(check for check in measured.values() if check.seq > decision.seq)

    def _asked(self, event: Event) -> None:
        if decision := self.gates.get(word(event.data, "gate")):
            decision.reviewers = words(event.data.get("reviewers"))

    def _again(self, event: Event) -> None:
        """What was decided counts no more, or is looked at again: the gate decides anew."""
        decision = self.gates.get(word(event.data, "gate"))
        if decision is None or not decision.verdict:
            return
        if event.kind == "gate.invalidated":
            decision.taken_back = word(event.data, "reason") or "the evidence moved"
        self._stands(Decision(decision.gate, decision.place, decision.task, event.seq, event.ts))

    def _dropped(self, event: Event) -> None:
        if decision := self.gates.get(word(event.data, "gate")):
            decision.taken_back = word(event.data, "reason") or "what it was about is gone"

    def _named(self, event: Event) -> None:
        self.run = event.run


_TAKERS: dict[str, Callable[[History, Event], None]] = {
    "run.created": History._named,
    "run.completed": History._completed,
    "task.created": History._created,
    "task.claimed": History._begun,
    "task.reassigned": History._begun,
    "artifact.read": History._given,
    "tool.used": History._used,
    "artifact.written": History._wrote,
    "commit.created": History._commit,
    **{f"artifact.{said}": History._judged for said in ("validated", "rejected", "stale", "sealed", "superseded")},
    "merge.completed": History._merged,
    "rollback.done": History._rolled_back,
    **{f"check.{said}": History._measured for said in ("passed", "failed", "not_measured")},
    "gate.evaluating": History._gate,
    "gate.opened": History._shown,
    "gate.decided": History._shown,
    "gate.consulted": History._asked,
    "gate.invalidated": History._again,
    "gate.reevaluated": History._again,
    "gate.aborted": History._dropped,
}
