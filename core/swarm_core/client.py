"""What any front end needs: find a run, follow it, send a decision, make sure there is an engine.

Imports nothing heavy: the control room starts with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm_core.journal.opening import last_events, open_view
from swarm_core.journal.process import is_alive
from swarm_core.journal.projections import prepare
from swarm_core.journal.segments import runs
from swarm_core.journal.tail import JournalReader, LogReader
from swarm_core.vocabulary.artifacts import Registry
from swarm_core.vocabulary.clock import Clock, SystemClock
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import EngineError, EngineRunning
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.ids import run_id, ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.view import RunView

ENGINE_TIMEOUT_S = 20.0
OUTPUT_TAIL_BYTES = 4_000
OTHER_LEAVES_S = 5.0
RETRY_S = 0.1


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What ``engine.json`` says, held against the processes that live."""

    pid: int = 0
    is_alive: bool = False
    version: str = ""
    started_at: str = ""
    heartbeat_age_s: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine did with a request. ``result`` is ``applied`` or ``refused``."""

    result: str
    reason: str = ""
    run: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class SwarmClient:
    """One repository's swarm, seen from outside the engine. ``root`` is the repository's top directory."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.layout = RepoLayout(Path(os.path.realpath(root)))
        self.clock = clock or SystemClock()

    # -- reading

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first."""
        return runs(self.layout.runs)

    def latest(self) -> str | None:
        runs = self.runs()
        return runs[-1] if runs else None

    def reader(self, run: str) -> JournalReader:
        return JournalReader(self.layout.run(run).journal)

    def log_reader(self, run: str, instance: str) -> LogReader:
        return LogReader(self.layout.run(run).log(instance))

    def view(self, run: str) -> RunView:
        """The state of a run as of now. Raises JournalError."""
        view, reader = open_view(self.layout.run(run).journal)
        reader.close()
        return view

    def follow(self, run: str, count: int) -> tuple[RunView, list[Event], JournalReader]:
        """The state of a run as of now, its last ``count`` events, and a reader for what comes next.

        Costs what is recent, not what was. Raises JournalError, or IllegalTransition if an event does not fit.
        """
        path = self.layout.run(run).journal
        view, reader = open_view(path)
        return view, [event for event in last_events(path, count) if event.seq <= view.last_seq], reader

    def document(self, run: str, gate: Gate) -> bytes:
        """What a gate shows; empty if the gate has none yet or it is gone."""
        directory = self.layout.run(run).dir
        path = directory / gate.document
        if not gate.document or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
            return b""
        try:
            return path.read_bytes()
        except OSError:
            return b""

    def registry(self, run: str) -> Registry:
        """Which artifacts a run has and who writes each, by its copy of the registry. Raises ConfigurationError."""
        from swarm_core.definitions.artifacts import load_registry  # reads YAML: only for whoever asks

        return load_registry(self.layout.run(run).dir)

    # -- asking

    def send(self, item: InboxItem) -> str:
        """Drop a request into the inbox, whole or not at all. Returns its id. Raises EngineError."""
        path = self.layout.inbox / f"{item.id}.json"
        temporary = path.with_suffix(".tmp")
        try:
            prepare(self.layout)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(item.encode())
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()
                raise
        except OSError as error:
            raise EngineError(
                f"{path} cannot be written: {error.strerror}", hint="check permissions and free space"
            ) from error
        return item.id

    def start_run(self, goal: str, options: dict[str, Any]) -> str:
        """Ask for a run; its answer names the run."""
        now = self.clock.now()
        name, number = run_id(goal, now), 2
        while (self.layout.runs / name).exists():
            name, number = f"{run_id(goal, now)}-{number}", number + 1
        data = {"goal": goal, "options": options}
        return self.send(InboxItem(ulid(), "run.start", name, at=now, data=data))

    def decide(
        self,
        run: str,
        gate: str,
        verdict: str,
        note: str,
        evidence: str,
        scope: str = "",
        *,
        typed: str = "",
        until: str = "",
    ) -> str:
        """Send a decision about a gate; ``evidence`` is the SHA-256 of what was shown.

        ``scope`` of a yes at a permission gate: once (the default), session or always. ``typed`` is the gate's id as
        the operator typed it, for a force; ``until`` is how long a deferral puts off: a time, a task or a gate.
        """
        data = {"gate": gate, "verdict": verdict, "note": note, "evidence": evidence}
        data |= {key: value for key, value in (("scope", scope), ("typed", typed), ("until", until)) if value}
        return self.send(InboxItem(ulid(), "gate.decide", run, at=self.clock.now(), data=data))

    def ask(self, kind: str, run: str, **data: Any) -> str:
        """Send any other request about a run (see ``vocabulary.inbox``). Returns its id."""
        return self.send(InboxItem(ulid(), kind, run, at=self.clock.now(), data=data))

    def answer(self, item: str) -> Answer | None:
        """What became of a request; None while the engine has not answered."""
        if not item.isalnum():
            return None
        try:
            body = json.loads((self.layout.inbox_done / f"{item}.json").read_bytes())
            data = body.get("data", {})
            return Answer(str(body["result"]), str(body.get("reason", "")), str(body.get("run", "")), dict(data))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    # -- the engine

    def engine(self) -> EngineStatus:
        """Who works here; cheap enough to ask every second."""
        try:
            age_s = max(0.0, time.time() - self.layout.engine_file.stat().st_mtime)
            body = json.loads(self.layout.engine_file.read_bytes())
            pid, start = int(body["pid"]), body.get("start")
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return EngineStatus()
        message = str(body.get("message", ""))
        alive = message != "stopped" and is_alive(pid, start if isinstance(start, int) else None)
        return EngineStatus(pid, alive, str(body.get("version", "")), str(body.get("started_at", "")), age_s, message)

    def ensure_engine(self, timeout_s: float = ENGINE_TIMEOUT_S) -> EngineStatus:
        """Start an engine if none lives; it goes on when the caller ends.

        Raises EngineError with what the engine said if it does not come up.
        """
        status = self.engine()
        if status.is_alive:
            return status
        process, output = self._spawn()
        started_s = time.monotonic()
        while (waited_s := time.monotonic() - started_s) < timeout_s:
            status = self.engine()
            if status.is_alive and status.message not in ("", "starting"):
                return status
            code = process.poll()
            if code == EngineRunning.exit_code and not status.is_alive and waited_s < OTHER_LEAVES_S:
                # Another engine holds the repository: it leaves, comes up, or writes its deleted control files anew.
                time.sleep(RETRY_S)
                process, output = self._spawn()
            elif code is not None and not status.is_alive:
                said = output.read_bytes()[-OUTPUT_TAIL_BYTES:].decode(errors="replace").strip()
                raise EngineError(
                    f"the engine did not start (exit {code}): {said or 'it said nothing'}",
                    hint=f"swarm-tui doctor; {self.layout.engine_log}",
                )
            time.sleep(0.02)
        raise EngineError(f"the engine did not come up within {timeout_s:g} s", hint=f"see {output}")

    def _spawn(self) -> tuple[subprocess.Popen[bytes], Path]:
        package = Path(__file__).resolve().parents[1]
        path = os.pathsep.join(part for part in (str(package), os.environ.get("PYTHONPATH", "")) if part)
        output = self.layout.control / "engine.out"
        try:
            prepare(self.layout)
            with open(output, "wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "swarm_core.engine", str(self.layout.root)],
                    cwd=self.layout.root,
                    env={**os.environ, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise EngineError(
                f"{self.layout.control} cannot be used: {error.strerror}",
                hint="make the repository writable and check free space",
            ) from error
        # The engine outlives this object; somebody has to take note of its end all the same, or it stays a zombie.
        threading.Thread(target=process.wait, name="engine", daemon=True).start()
        return process, output
