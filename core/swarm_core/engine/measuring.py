"""Measures the configured checks at gates, on exactly what an approval would bring about, and journals each result.

At a merge that is the result of merging the task into the integration line; at a landing it is the integration line. A
task that conflicts has no result, so its own commit is measured. Each check finds the commit as it is, and nothing of
what the check before it left behind.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from swarm_core.checks.measured import Measured
from swarm_core.checks.run import CheckRun, run_check
from swarm_core.checks.site import Around
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import REQUIRED
from swarm_core.vocabulary.spec import CheckSpec
from swarm_core.workspace import files
from swarm_core.workspace.facts import MergeTry
from swarm_core.workspace.hub import Hub

from .confining import grounds
from .runner import Runner

SLOTS = 2  # that many commits are measured at the same time
MAX_FILES = 50  # that an event names; its evidence has them all
EVENTS = {"pass": "check.passed", "fail": "check.failed", "error": "check.failed", "not_measured": "check.not_measured"}


class Measuring:
    """The measurements of one run."""

    def __init__(self, runner: Runner, hub: Callable[[], Awaitable[Hub]]) -> None:
        self.runner, self._hub = runner, hub
        self._slots = asyncio.Semaphore(SLOTS)
        self._free = list(range(SLOTS))
        self._remember: dict[tuple[str, str], Measured] = {}
        self._shown: dict[str, str] = {}  # the tree that was measured, by task

    def specs(self, place: str) -> list[CheckSpec]:
        """The checks that are measured at a place."""
        return [spec for spec in self.runner.spec.checks if place in spec.at]

    async def at_merge(self, task: Task, onto: str, attempt: MergeTry) -> list[CheckRun]:
        """Measure what merging a task would give."""
        specs = self.specs("merge")
        if not task.commit or not specs:
            return []
        hub = await self._hub()
        base = await hub.merge_base(onto, task.commit) or onto
        around = Around(messages=await hub.messages(base, task.commit), journal=self.runner.layout.journal)
        if not attempt.is_clean:
            return await self._measure(task.id, specs, task.commit, base, "agent", around)
        merged = await hub.merged(onto, task.commit, attempt.tree)
        self._shown[task.id] = attempt.tree
        results = await self._measure(task.id, specs, merged, onto, "merged", around)
        wrong = [spec for spec, result in zip(specs, results, strict=True) if not result.has_passed]
        if not wrong or merged == task.commit:
            return results
        alone = await self._measure(task.id, wrong, task.commit, base, "alone", around)
        own = {result.name: result.result.replace("_", " ") for result in alone}
        return [_told_apart(result, own[result.name]) if result.name in own else result for result in results]

    async def at_landing(self) -> list[CheckRun]:
        """Measure the integration line."""
        return await self._on_the_line(self.specs("landing"))

    async def at_phase(self, names: Collection[str]) -> list[CheckRun]:
        """Measure the integration line with the checks that a phase names."""
        return await self._on_the_line([spec for spec in self.runner.spec.checks if spec.name in names])

    async def _on_the_line(self, specs: Sequence[CheckSpec]) -> list[CheckRun]:
        hub = await self._hub()
        line = await hub.integration()
        around = Around(messages=await hub.messages(hub.base, line), journal=self.runner.layout.journal)
        return await self._measure("", specs, line, hub.base, "merged", around)

    async def before_merge(self, task: Task, commit: str, onto: str) -> str:
        """Why the merge that was approved must not happen now: the line moved, and a check is worse than was shown.

        Empty if it may. Costs nothing while the result is the one that was measured.
        """
        specs = self.specs("merge")
        hub = await self._hub()
        if not specs or await hub.find_merge(commit, task.id):
            return ""
        attempt = await hub.try_merge(onto, commit)
        if not attempt.is_clean or self._shown.get(task.id) == attempt.tree:
            return ""
        gate = self.runner.view.latest_gate("merge", task.id)
        known = {check.name: check.has_passed for check in gate.checks} if gate is not None else {}
        merged = await hub.merged(onto, commit, attempt.tree)
        base = await hub.merge_base(onto, commit) or onto
        around = Around(messages=await hub.messages(base, commit), journal=self.runner.layout.journal)
        results = await self._measure(task.id, specs, merged, onto, "merged", around)
        is_forced = gate is not None and gate.forced
        worse = [
            r.name for r in results if not r.has_passed and ((r.required and not is_forced) or known.get(r.name, True))
        ]
        if not worse:
            self._shown[task.id] = attempt.tree
            return ""
        return f"merged with what came in since the approval, {', '.join(worse)} did not pass"

    # -- one commit

    async def _measure(
        self, task: str, specs: Sequence[CheckSpec], commit: str, base: str, where: str, around: Around
    ) -> list[CheckRun]:
        if not specs:
            return []
        hub, results = await self._hub(), dict[str, CheckRun]()
        confines = await grounds(hub, self.runner.spec.confinement)
        async with self._slot() as slot:
            tree, beside = hub.check_tree(f"check-{slot}"), hub.check_tree(f"base-{slot}")
            for spec in specs:
                scratch = self.runner.layout.state_dir / "scratch" / f"check-{slot}"
                await asyncio.to_thread(files.delete, scratch)
                seen = dataclasses.replace(
                    around,
                    confines=confines,
                    base=lambda: beside.place(base),
                    base_commit=base,
                    results={name: result.result for name, result in results.items()},
                    is_clean=True,
                    remember=self._remember,
                )
                place = await tree.place(commit)
                result = await run_check(spec, place, scratch, self.runner.clock, seen)
                results[spec.name] = await self.record(task, result, commit, where)
            await asyncio.to_thread(files.delete, scratch)
        return list(results.values())

    async def record(self, task: str, result: CheckRun, commit: str, where: str) -> CheckRun:
        """Keep the evidence, then journal the result that names it; the result knows where it lies."""
        told = await self.told(task, result, commit, where)
        await self.runner.record(told)
        return dataclasses.replace(result, kept=told.data["evidence"])

    async def told(
        self, task: str, result: CheckRun, commit: str, where: str, *, seen: Sequence[str] | None = None
    ) -> Draft:
        """Keep the evidence; the fact that names it. ``seen`` are the findings that it still shows."""
        layout = self.runner.layout
        name = f"checks/{result.name}-{commit[:12]}-{self.runner.view.last_seq}.txt"
        evidence = self.runner.secrets.redact_bytes(result.evidence(commit=commit, tree=where).encode())
        await self.runner.papers.keep(layout.dir / name, evidence)
        data = {
            **{key: value for key, value in result.data.items() if key != "status"},
            "result": result.result,
            "kind": result.kind,
            "command": result.command,
            "exit_code": result.exit_code,
            "seconds": round(result.seconds, 3),
            "note": clean_line(result.note, 160),
            "findings": len(result.found),
            "files": list(dict.fromkeys(found.path for found in result.found if found.path))[:MAX_FILES],
            "tree": where,
            "commit": commit,
            "evidence": name,
            **({"seen": list(seen)} if seen is not None else {}),
        }
        return Draft(EVENTS[result.result], data, task=task or None)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[int]:
        async with self._slots:
            number = self._free.pop()
            try:
                yield number
            finally:
                self._free.append(number)


def _told_apart(result: CheckRun, own: str) -> CheckRun:
    """Whose fault it is: the task's, or that of both lines of work together."""
    note = f"{result.note}; " if result.note else ""
    return dataclasses.replace(result, note=f"{note}on the task's own commit: {own}")


def required_missing(checks: Sequence[CheckRun]) -> list[str]:
    """What is in an approval's way, each with what was seen: required checks that are anything but a pass."""
    return [
        f"{check.name}{REQUIRED}{_said(check)}{f': {check.hint}' if check.hint else ''}"
        for check in checks
        if check.is_in_the_way
    ]


def _said(check: CheckRun) -> str:
    said = {"fail": "failed", "error": "went wrong", "not_measured": "was not measured"}[check.result]
    seen = check.shown_value or check.note
    return f"{said} ({seen})" if seen else said
