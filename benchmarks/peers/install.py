"""The peers' own environment: pinned, in the user's cache, never in the repository and never in ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PINS = {"langgraph": "1.2.22", "langgraph-checkpoint-sqlite": "3.1.2", "dbos": "3.4.0"}
PIP = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20")
INSTALL_TIMEOUT_S = 600.0
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ")


class NotInstalledError(Exception):
    """Why the peers cannot be measured here."""


def cache_directory(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/swarm-tui/bench-peers``, by default under ``~/.cache``; a relative value does not count."""
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    home = Path(environ.get("HOME") or Path.home())
    return (base if base.is_absolute() else home / ".cache") / "swarm-tui" / "bench-peers"


def requirements(pins: Mapping[str, str]) -> list[str]:
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def peer_environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What a contestant sees: our sources and a home of its own, no setting that would switch tracing on."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    path = os.pathsep.join((str(TOP), str(TOP / "core")))
    return {**kept, "HOME": str(scratch), "PYTHONPATH": path}


@dataclass(frozen=True, slots=True)
class PeerEnvironment:
    """A virtual environment and the note, written last, of what was installed into it."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def _note(self) -> Path:
        return self.directory / "installed.txt"

    @property
    def is_ready(self) -> bool:
        """Whether it holds exactly the pinned versions, for this Python."""
        try:
            return self._note.read_text() == _note() and self.python.exists()
        except OSError:
            return False

    def install(self) -> None:
        """Make it anew. Raises NotInstalledError with what pip said."""
        sys.stderr.write(f"installing {', '.join(requirements(PINS))} into {self.directory}, only this once ...\n")
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self._note.unlink(missing_ok=True)
        _run([str(TOP / ".ci" / "venv"), str(self.directory), sys.executable])
        _run([str(self.python), "-m", "pip", "install", *PIP, *requirements(PINS)])
        self._note.write_text(_note())


def ready_peers(environ: Mapping[str, str]) -> PeerEnvironment:
    """The peers' environment, installed if it is not there. Raises NotInstalledError."""
    peers = PeerEnvironment(cache_directory(environ))
    if not peers.is_ready:
        peers.install()
    return peers


def _note() -> str:
    return "\n".join([f"python {sys.version_info[0]}.{sys.version_info[1]}", *requirements(PINS), ""])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(f"{error}") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalledError(said[-1].strip() if said else f"{Path(command[0]).name} ended with {done.returncode}")
