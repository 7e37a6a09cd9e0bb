"""The life of artifacts in a run: what agents wrote is measured when it is committed, and journaled.

An artifact's bytes are read from the commit, never from the worktree. Only its producer writes it; what depends on it
goes stale when another version reaches the integration line; every task records what it was given to read.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_core.artifacts.aside import Judged, judge
from swarm_core.artifacts.consistency import sides
from swarm_core.artifacts.fault import errors
from swarm_core.artifacts.library import Measured
from swarm_core.artifacts.validate import Judgement, dependency_faults
from swarm_core.checks.run import CheckRun
from swarm_core.definitions.artifacts import load_registry
from swarm_core.policy.phases import phases_of_work
from swarm_core.vocabulary.artifacts import ArtifactType, Registry
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import ARTIFACT_REGISTRY, ARTIFACT_VALIDATION
from swarm_core.workspace.blobs import Entry, contents, entries
from swarm_core.workspace.facts import Change
from swarm_core.workspace.hub import Hub

from .agreement import agreement, own
from .forensics import facts_of

if TYPE_CHECKING:
    from .agent_act import AgentAct
    from .runner import Runner
from .artifact_evidence import complaints, unreadable

MAX_TOLD = 10
MAX_REMEMBERED = 4096


def keep_registry(root: Path, run: Path) -> None:
    """Copy the repository's registry into the run, which goes on with what it began with.

    Raises ConfigurationError with ``file:line`` if it cannot be read.
    """
    load_registry(root)
    for name in (ARTIFACT_REGISTRY, ARTIFACT_VALIDATION):
        if (root / name).is_file():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, run / name)


class Registrar:
    """Knows the registered artifacts of one run, judges what is written and records what becomes of it."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.mode = runner.spec.artifacts
        self._hashes: dict[str, str] = {}

    @cached_property
    def registry(self) -> Registry:
        """What the run began with. It is read when somebody first asks: a restart does not wait for it."""
        return load_registry(self.runner.layout.dir) if self.mode != "off" else Registry()

    def load(self) -> None:
        """Read the registry now. It blocks, so it belongs into a thread."""
        _ = self.registry

    # -- who may write what

    def refusal(self, service: str, path: str) -> str:
        """Why a service may not write a path; empty if artifacts have nothing against it."""
        if self.mode == "off":
            return ""
        kind = self.registry.at(path)
        if kind is not None and kind.path == path:
            if self._may_write(service, kind):
                return ""
            return f"{path} is {kind.producer}'s artifact: only its producer writes it"
        if self.mode == "strict" and self.registry.is_home(path):
            return f"{path} is not registered: {self._unregistered(path)}"
        return ""

    def _may_write(self, service: str, kind: ArtifactType) -> bool:
        if self.registry.is_agent(service, kind.producer):
            return True
        if not self.registry.is_shipped:
            return False
        return not any(self.registry.is_agent(key, kind.producer) for key in self.runner.spec.services)

    def _unregistered(self, path: str) -> str:
        kind = self.registry.at(path)
        return f"write {kind.path}" if kind is not None else f"add it to {ARTIFACT_REGISTRY}"

    def owned_by(self, service: str) -> tuple[str, ...]:
        """The files a service may write besides its directories, because the repository says that it produces them."""
        if self.registry.is_shipped:
            return ()
        kinds = self.registry.types.values()
        return tuple(sorted(kind.path for kind in kinds if self.registry.is_agent(service, kind.producer)))

    async def take_back(self, act: AgentAct, hub: Hub, changes: Sequence[Change]) -> list[str]:
        """Put what a service may not write into quarantine. Returns what to tell the agent, one line each."""
        reasons = {change.path: why for change in changes if (why := self.refusal(act.service.key, change.path))}
        if not reasons:
            return []
        await hub.quarantine(act.instance.id, reasons)
        for path, why in reasons.items():
            rule = "artifact_owner" if self.registry.at(path) else "artifact_unregistered"
            data = {"tool": "commit", "target": clean_line(path, 200), "rule": rule, "message": clean_line(why, 300)}
            await act.report(Draft("policy.denied", data))
        return [f"{clean_line(why, 300)}. Your change of it was taken out." for why in reasons.values()]

    # -- what a task was given

    async def given(self, act: AgentAct, hub: Hub) -> None:
        """Record the exact artifacts in an agent's tree that its service consumes."""
        service = act.service.key
        kinds = [
            kind
            for kind in self.registry.types.values()
            if self.registry.consumes(service, kind) and not self.registry.is_agent(service, kind.producer)
        ]
        found = await entries(hub.desk, await hub.tip(act.instance.id), [kind.path for kind in kinds])
        hashes = await self._sha256(hub, [entry for entry in found.values() if entry.kind == "file"])
        reads = tuple(sorted(hashes.items()))
        if reads != self.runner.view.tasks[act.task.id].reads:
            await act.report(Draft("artifact.read", {"reads": [list(read) for read in reads]}))

    async def _sha256(self, hub: Hub, found: Sequence[Entry]) -> dict[str, str]:
        """The SHA-256 of files by path; each version of a file is read once in an engine's life."""
        unknown = [e for e in found if e.oid not in self._hashes and not self._is_too_large(e)]
        for oid, content in (await contents(hub.desk, [entry.oid for entry in unknown])).items():
            if len(self._hashes) >= MAX_REMEMBERED:
                self._hashes.clear()
            self._hashes[oid] = hashlib.sha256(content).hexdigest()
        return {entry.path: self._hashes[entry.oid] for entry in found if entry.oid in self._hashes}

    def _is_too_large(self, entry: Entry) -> bool:
        kind = self.registry.at(entry.path)
        return kind is not None and entry.size_bytes > kind.max_bytes

    # -- what was written

    async def written(self, act: AgentAct, hub: Hub, commit: str, paths: Iterable[str]) -> list[str]:
        """Judge and record the registered artifacts among the paths of a commit. Returns what to tell the agent."""
        paths = list(paths)
        kinds = self.registered(paths)
        told = [
            f"{clean_line(path, 200)} is not a registered artifact: {self._unregistered(path)}"
            for path in paths
            if self.mode != "off" and self.registry.is_home(path) and path not in self.registry.paths
        ]
        kinds = await self._news(hub, commit, kinds)
        judged = await self.judged(hub, commit, kinds) if kinds else Judged()
        for kind, judgement in zip(kinds, judged.judgements, strict=True):
            await self.record(act, hub, commit, kind, judgement)
            told += complaints(judgement)
        return told[:MAX_TOLD] + ([f"and {len(told) - MAX_TOLD} more"] if len(told) > MAX_TOLD else [])

    async def _news(self, hub: Hub, commit: str, kinds: Sequence[ArtifactType]) -> list[ArtifactType]:
        """Those of which a commit holds another version than the one that is known, or one that was not judged yet."""
        found = await entries(hub.desk, commit, [kind.path for kind in kinds])
        hashes = await self._sha256(hub, [entry for entry in found.values() if entry.kind == "file"])
        known = self.runner.view.artifacts
        return [
            kind
            for kind in kinds
            if kind.path not in known
            or known[kind.path].status == "draft"
            or known[kind.path].sha256 != hashes.get(kind.path, "")
        ]

    async def proposed(self, hub: Hub, commit: str, kind: ArtifactType, content: bytes) -> Judgement:
        """Judge what an agent is about to write into a tree that stands at ``commit``."""
        needs = [self.registry.types[key].path for key in kind.depends_on]
        judged = await judge(self.registry, [(kind, content)])
        return self._with_needs(kind, judged.judgements[0], await entries(hub.desk, commit, needs))

    async def record(self, act: AgentAct, hub: Hub, commit: str, kind: ArtifactType, judgement: Judgement) -> None:
        """What was written, and what came of it, as facts."""
        view, path = self.runner.view, kind.path
        known = view.artifacts.get(path)
        if known is not None and (known.status, known.sha256) == ("draft", judgement.sha256):
            await self._verdict(act, hub, commit, kind, judgement)  # it was written down; a crash came before this
            return
        if known is not None and known.status == "sealed":
            reason = f"{act.task.id} writes another version"
            await act.report(Draft("artifact.stale", {"path": path, "reason": reason}))
        inputs = [list(read) for read in view.tasks[act.task.id].reads]
        about = {"type": kind.key, "path": path, "sha256": judgement.sha256, "commit": commit, "inputs": inputs}
        await act.report(Draft("artifact.written", about))
        await self._verdict(act, hub, commit, kind, judgement)

    async def _verdict(self, act: AgentAct, hub: Hub, commit: str, kind: ArtifactType, judgement: Judgement) -> None:
        if not judgement.is_valid:
            faults = [str(fault) for fault in judgement.faults]
            data = {"path": kind.path, "reason": judgement.reason, "faults": faults}
            await act.report(Draft("artifact.rejected", data))
            return
        await act.report(Draft("artifact.validated", {"path": kind.path}))
        if moved := await self._moved(act, hub, commit, kind):
            reason = f"was written from another {moved} than the integration line has now"
            await act.report(Draft("artifact.stale", {"path": kind.path, "reason": reason, "upstream": moved}))

    async def _moved(self, act: AgentAct, hub: Hub, commit: str, kind: ArtifactType) -> str:
        """What an artifact depends on that has another version on the integration line than where it was written."""
        service = act.service.key
        needs = [self.registry.types[key] for key in kind.depends_on]
        paths = [need.path for need in needs if not self.registry.is_agent(service, need.producer)]
        here = await entries(hub.desk, commit, paths)
        there = await entries(hub.desk, await hub.integration(), paths)
        return next((path for path in paths if path in there and there[path].oid != _oid(here, path)), "")

    async def handed_in(self, act: AgentAct, hub: Hub, commit: str, paths: Iterable[str]) -> None:
        """Make up for what a crash left out; then, a producer that hands in its stale artifacts unchanged says that
        they hold: they are judged anew.
        """
        await self.written(act, hub, commit, paths)
        view = self.runner.view
        kinds = [
            kind
            for kind in self.registry.types.values()
            if (known := view.artifacts.get(kind.path)) is not None
            and known.status == "stale"
            and self.registry.is_agent(act.service.key, kind.producer)
        ]
        if not kinds:
            return
        judged = await self.judged(hub, commit, kinds)
        for kind, judgement in zip(kinds, judged.judgements, strict=True):
            is_same = judgement.sha256 == view.artifacts[kind.path].sha256
            if is_same and judgement.is_valid and not await self._moved(act, hub, commit, kind):
                inputs = [list(read) for read in view.tasks[act.task.id].reads]
                await act.report(Draft("artifact.validated", {"path": kind.path, "inputs": inputs}))

    # -- judging

    def registered(self, paths: Iterable[str]) -> list[ArtifactType]:
        found = (self.registry.at(path) for path in paths if path in self.registry.paths)
        return [kind for kind in found if kind is not None]

    async def judged(
        self,
        hub: Hub,
        commit: str,
        kinds: Sequence[ArtifactType],
        *,
        compares: bool = False,
        measured: Mapping[str, Measured] | None = None,
    ) -> Judged:
        """Judge artifacts as a commit holds them, in the order of ``kinds``; with ``compares``, against each other and
        against what was ``measured``.
        """
        by_key = self.registry.types
        needs = [by_key[key].path for kind in kinds for key in kind.depends_on]
        beside = [by_key[key] for key in sides(frozenset(kind.key for kind in kinds)) if key in by_key]
        also = [kind for kind in beside if compares and kind not in kinds]
        found = await entries(hub.desk, commit, [*(kind.path for kind in (*kinds, *also)), *needs])
        done: dict[str, Judgement] = {}
        for kind in (*kinds, *also):
            if (judgement := unreadable(kind, found.get(kind.path))) is not None:
                done[kind.key] = judgement
        readable = [kind for kind in (*kinds, *also) if kind.key not in done]
        blobs = await contents(hub.desk, [found[kind.path].oid for kind in readable])
        files = [(kind, blobs[found[kind.path].oid]) for kind in readable]
        judged = await judge(self.registry, files, compares=compares, measured=measured) if files else Judged()
        done |= {kind.key: judgement for (kind, _), judgement in zip(files, judged.judgements, strict=True)}
        wanted = tuple(self._with_needs(kind, done[kind.key], found) for kind in kinds)
        return Judged(wanted, judged.contradictions)

    def _with_needs(self, kind: ArtifactType, judgement: Judgement, found: Mapping[str, Entry]) -> Judgement:
        paths = {key: self.registry.types[key].path for key in kind.depends_on}
        known = self.runner.view.artifacts
        standing = {p: known[p].status if p in known else "there" for p in paths.values() if p in found}
        missing = dependency_faults(kind, paths, standing)
        if not missing:
            return judgement
        return Judgement(judgement.path, judgement.sha256, (*judgement.faults, *missing), judgement.missing)

    async def checks(
        self, hub: Hub, service: str, tip: str, paths: Iterable[str], checks: Sequence[CheckRun] = ()
    ) -> list[CheckRun]:
        """What the merge gate shows of the artifacts a task changed: is each valid and its own, do they agree with each
        other and with what ``checks`` measured.

        ``tip`` is what merging it gives. Where it does not agree with another producer's artifact is told and fails
        nothing: no further round of this task mends that, and ``agreement`` raises it as it is merged.
        """
        paths = list(paths)
        kinds = self.registered(paths)
        foreign = [why for path in paths if (why := self.refusal(service, path))]
        if not kinds and not foreign:
            return []
        started_s = self.runner.clock.monotonic_s()
        measured = facts_of(checks)
        judged = await self.judged(hub, tip, kinds, compares=True, measured=measured) if kinds else Judged()
        lines = [*foreign]
        for judgement in judged.judgements:
            lines += [f"{judgement.path}: {judgement.status}", *(f"  {fault}" for fault in judgement.faults)]
            lines += [f"  {judgement.reason}"] if judgement.missing else []
        for kind in kinds:
            if (known := self.runner.view.artifacts.get(kind.path)) is not None and known.status == "stale":
                lines.append(f"{kind.path}: stale: {known.reason}")
                foreign.append(kind.path)
        took_s = self.runner.clock.monotonic_s() - started_s
        is_well = not judged.invalid and not foreign
        mine = own(judged.contradictions, lambda path: not self.refusal(service, path))
        shared = [fault for fault in judged.contradictions if fault not in mine]
        lines += [f"a finding when it is merged: {fault}" for fault in shared]
        note = f"does not agree with others' artifacts, a finding when it is merged: {shared[0]}" if shared else ""
        output = "\n".join(lines) + "\n"
        is_strict = self.runner.spec.artifacts == "strict"
        results = [
            CheckRun("artifacts", "built in", 0 if is_well else 1, took_s, output, required=is_strict, note=note)
        ]
        if errors(mine) or (
            not shared and (len(kinds) > 1 or sides(frozenset(k.key for k in kinds)) != {k.key for k in kinds})
        ):
            results.append(agreement(mine))
        return results

    # -- the integration line

    def outdated(self, paths: Iterable[str], task: Task) -> list[Draft]:
        """What goes stale when a merge changes ``paths`` on the line: everything built on them.

        What the same merge brings along is built on it, and stays. Costs what changed and what depends on it.
        """
        changed = self.registered(paths)
        names = ", ".join(kind.path for kind in changed)
        drafts = []
        for kind in self.registry.dependents([kind.key for kind in changed]):
            known = self.runner.view.artifacts.get(kind.path)
            if known is not None and known.status in ("valid", "sealed"):
                data = {"path": kind.path, "reason": f"{names} changed in {task.id}", "upstream": names}
                drafts.append(Draft("artifact.stale", data, task=task.id))
        return drafts

    def sealing(self, phase: str) -> list[Draft]:
        """What is sealed with a phase: every artifact that is valid when the work is done."""
        if phase != phases_of_work(self.runner.spec)[-1]:
            return []
        known = self.runner.view.artifacts.values()
        return [Draft("artifact.sealed", {"path": one.path}) for one in known if one.status == "valid"]


def _oid(found: Mapping[str, Entry], path: str) -> str:
    return found[path].oid if path in found else ""
