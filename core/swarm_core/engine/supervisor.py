"""The engine process: one lock, one inbox, one runner for each run that is not over.

Starting it is resuming: every run whose journal does not end is folded and driven on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import swarm_core
from swarm_core.definitions import load
from swarm_core.journal.journal import Journal
from swarm_core.journal.opening import last_events, open_view
from swarm_core.journal.projections import prepare
from swarm_core.journal.segments import runs
from swarm_core.telemetry import live
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import (
    EngineError,
    JournalCorrupt,
    JournalError,
    JournalPoisoned,
    SwarmError,
    UsageError,
)
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.ids import SLUG, ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import CONFIG_FILE, RepoLayout, RunLayout
from swarm_core.workspace.preflight import check as check_repository

from .acts import Hands
from .diagnostics import LOGGER
from .drift import Drift
from .inbox import Inbox, Verdict
from .known_secrets import secrets_of
from .limits import SharedLimits
from .models import ModelPool
from .papers import PapersOnDisk
from .permissions import check_rules
from .requests import handle
from .runner import Runner
from .sharing import Sharing
from .status import EngineStatusFile

LINGER_S = 30.0
TITLE_CHARS = 72
ENDINGS = frozenset({"run.completed", "run.failed", "run.aborted"})
LAST_EVENTS = 200
RESUME_AGAIN_S = 5.0


class Supervisor:
    """Owns the runs of one repository. ``serve`` returns when it was asked to stop or nothing is left to do."""

    def __init__(self, layout: RepoLayout, clock: Clock, *, linger_s: float = LINGER_S) -> None:
        self.layout, self.clock, self.linger_s = layout, clock, linger_s
        self.status = EngineStatusFile(layout.engine_file, clock)
        self.runs: dict[str, tuple[Runner, asyncio.Task[None]]] = {}
        self.sharing = Sharing()
        self.limits = SharedLimits(clock)
        self.drift = Drift(layout.config)
        self.tracing: list[subprocess.Popen[bytes]] = []
        self.stopping = asyncio.Event()
        self.idle_since = clock.monotonic_s()
        self.born = ulid()
        self.root_identity = _identity(layout.root)
        self.unresumed: dict[str, str] = {}
        self.retry_at_s: dict[str, float] = {}
        self._fatal: BaseException | None = None

    async def serve(self) -> None:
        """Resume what is unfinished, then take requests. Raises JournalPoisoned: then leave at once."""
        prepare(self.layout)
        self.status.say("starting")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        beat = asyncio.create_task(self.status.beat())
        await self._resume_all()
        inbox = asyncio.create_task(Inbox(self.layout, self.clock, self._handle).serve())
        self._say_ready()
        try:
            await self._until_done(inbox)
        finally:
            for task in (inbox, beat):
                task.cancel()
            await asyncio.gather(inbox, beat, return_exceptions=True)
            for _, drive in self.runs.values():
                drive.cancel()
            await asyncio.gather(*(drive for _, drive in self.runs.values()), return_exceptions=True)
        if self._fatal is not None:
            raise self._fatal
        self.status.say("stopped")

    async def _until_done(self, inbox: asyncio.Task[None]) -> None:
        while not self.stopping.is_set() and self._fatal is None:
            if inbox.done():
                inbox.result()
            if _identity(self.layout.root) != self.root_identity:
                self._leave_at_once(f"{self.layout.root} was deleted or moved away")
            self.tracing = [process for process in self.tracing if process.poll() is None]
            await self.drift.look([runner for runner, _ in self.runs.values()])
            await self._try_again()
            if self.runs or self.retry_at_s:
                self.idle_since = self.clock.monotonic_s()
            elif self.clock.monotonic_s() - self.idle_since > self.linger_s:
                return
            try:
                async with asyncio.timeout(0.5):
                    await self.stopping.wait()
            except TimeoutError:
                continue

    def _leave_at_once(self, reason: str) -> None:
        """As a crash would: to clean up would make the directories anew that somebody removed."""
        LOGGER.error("the engine ends: %s", reason)
        sys.stderr.write(f"swarm-tui engine: {reason}: the engine ends\n")
        sys.stderr.flush()
        os._exit(EngineError.exit_code)

    # -- runs

    async def _resume_all(self) -> None:
        for run in runs(self.layout.runs):
            layout = self.layout.run(run)
            if await asyncio.to_thread(_is_over, layout.journal):
                continue
            await self._try_to_resume(layout)

    async def _try_to_resume(self, layout: RunLayout) -> None:
        """What keeps a run from going on is said; what may pass by itself (space, permissions) is tried again."""
        run = layout.run
        try:
            await self._resume(layout)
        except (SwarmError, OSError) as error:
            LOGGER.error("run %s cannot be resumed: %s", run, error)
            self.unresumed[run] = error.message if isinstance(error, SwarmError) else str(error)
            if isinstance(error, (OSError, JournalError)) and not isinstance(error, JournalCorrupt):
                self.retry_at_s[run] = self.clock.monotonic_s() + RESUME_AGAIN_S
        else:
            self.unresumed.pop(run, None)

    async def _try_again(self) -> None:
        now_s = self.clock.monotonic_s()
        for run in [run for run, due_s in self.retry_at_s.items() if due_s <= now_s]:
            del self.retry_at_s[run]
            await self._try_to_resume(self.layout.run(run))
            if run not in self.unresumed:
                self._say_ready()

    def _say_ready(self) -> None:
        left = "".join(f"; run {run} cannot be resumed: {why}" for run, why in self.unresumed.items())
        self.status.say(f"ready{left}")

    async def _resume(self, layout: RunLayout) -> None:
        journal = await Journal.open(layout.journal, layout.run, self.clock)
        if not journal.last_seq:  # it died before its first fact: its request still waits, and has the goal
            await journal.close()
            return
        spec = load(layout.dir / CONFIG_FILE)
        secrets = await asyncio.to_thread(secrets_of, self.layout.root)
        runner = Runner(layout, journal, spec, self.clock, self.status.say, secrets=secrets)
        if runner.view.engine_pid:
            data = {"pid": runner.view.engine_pid, "last_seq": runner.view.last_seq}
            await runner.record(Draft("engine.crash_detected", data))
        await self._drive(runner)

    async def _start(self, item: InboxItem) -> Verdict:
        """Create a run. The same request again, after a crash, finds the run it made."""
        if SLUG.fullmatch(item.run) is None or len(item.run) > 63:
            raise UsageError(f"{item.run!r} is not a name for a run")
        layout = self.layout.run(item.run)
        if item.run in self.runs or (layout.journal.exists() and layout.journal.stat().st_size):
            return Verdict(True, "it was already there", item.run)
        goal, options = str(item.data["goal"]).strip(), item.data.get("options", {})
        if not goal or not isinstance(options, dict):
            raise UsageError("a run needs a goal", hint='swarm-tui run "what you want"')
        await asyncio.to_thread(check_repository, self.layout.root)
        spec = load(self.layout.config)
        await asyncio.to_thread(check_rules, spec, self.layout.root)
        models = ModelPool(spec, self.layout.root, self.clock)
        await asyncio.to_thread(models.check, options)
        services = {
            key: {
                "persona": service.persona,
                "model": models.label(service, options),
                "directories": list(service.directories),
                "replicas": service.replicas,
                "adapter": service.adapter,
                "retries": service.retries,
            }
            for key, service in spec.services.items()
        }
        layout.dir.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(shutil.copyfile, self.layout.config, layout.dir / CONFIG_FILE)
        journal = await Journal.open(layout.journal, layout.run, self.clock)
        secrets = await asyncio.to_thread(secrets_of, self.layout.root)
        runner = Runner(layout, journal, spec, self.clock, self.status.say, secrets=secrets)
        data = {
            "title": goal.splitlines()[0][:TITLE_CHARS],
            "goal": goal,
            "services": services,
            "spec_sha256": hashlib.sha256((layout.dir / CONFIG_FILE).read_bytes()).hexdigest(),
            "options": options,
            "command": item.id,
        }
        await runner.record(Draft("run.created", data, actor=OPERATOR))
        await self._drive(runner)
        return Verdict(True, run=item.run)

    async def _drive(self, runner: Runner) -> None:
        models = ModelPool(runner.spec, self.layout.root, self.clock, runner.view.run.goal, self.limits)
        runner.performer = Hands(runner, models)
        data = {"pid": os.getpid(), "version": swarm_core.__version__}
        await runner.record(Draft("engine.started", data))
        name = runner.layout.run
        if isinstance(runner.papers, PapersOnDisk):
            runner.papers.is_shown = lambda: name >= max(self.runs, default="")
        if (tracing := live.start(runner.layout)) is not None:
            self.tracing.append(tracing)
        self.sharing.join(runner)
        self.runs[name] = (runner, asyncio.create_task(self._carry_out(runner), name=name))
        self.drift.forget()

    async def _carry_out(self, runner: Runner) -> None:
        try:
            await runner.drive()
            await runner.leave()
        except asyncio.CancelledError:
            await runner.leave()
            raise
        except JournalPoisoned as error:
            self._fatal = error
        except Exception as error:  # noqa: BLE001 -- one run's bug must not end the others
            LOGGER.exception("run %s stopped", runner.layout.run)
            self.status.say(f"run {runner.layout.run} stopped: {error}")
        finally:
            self.sharing.leave(runner)
            self.limits.leave(runner)
            await runner.journal.close()
            self.runs.pop(runner.layout.run, None)

    # -- requests

    async def _handle(self, item: InboxItem) -> Verdict:
        match item.kind:
            case "run.start":
                return await self._start(item)
            case "engine.stop" | "engine.halt" if item.id < self.born:
                return Verdict(False, "it was meant for an engine that is gone")
            case "engine.stop":
                self.stopping.set()
                return Verdict(True)
            case "engine.halt":
                return await self._halt_everything(item)
        if item.run in self.unresumed:
            return Verdict(False, f"run {item.run} cannot be resumed: {self.unresumed[item.run]}", item.run)
        if item.run not in self.runs:
            return await asyncio.to_thread(self._after_the_run, item)
        return await handle(self.runs[item.run][0], item)

    def _after_the_run(self, item: InboxItem) -> Verdict:
        """A request about a run that is over: it may be the one that ended it, found again after a crash."""
        path = self.layout.run(item.run).journal if SLUG.fullmatch(item.run) else None
        if path is not None and path.exists():
            view, reader = open_view(path)
            reader.close()
            if item.id in view.commands and item.id not in view.refused:
                return Verdict(True, run=item.run)
        return Verdict(False, f"no run {item.run!r} is under way", item.run)

    async def _halt_everything(self, item: InboxItem) -> Verdict:
        """The emergency stop: every agent of every run is taken away at once; ``resume`` goes on from the disk."""
        halted = []
        for name, (runner, _) in sorted(self.runs.items()):
            stop = InboxItem(item.id, "run.halt", name, item.by, item.at, {**item.data, "mode": "stop"})
            if runner.view.run.pause != "stop" and (await handle(runner, stop)).is_applied:
                halted.append(name)
        return Verdict(True, f"halted: {', '.join(halted) or 'nothing was under way'}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def _is_over(path: Path) -> bool:
    """Whether the run ended and its engine left it in order, judged from the journal's last events."""
    try:
        kinds = [event.kind for event in last_events(path, LAST_EVENTS)]
    except JournalError:
        return False  # opening it says what is wrong
    return not ENDINGS.isdisjoint(kinds) and kinds[-1] == "engine.released"
