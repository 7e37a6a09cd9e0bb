"""Where things lie on disk. Paths only: nothing here touches the disk.

``.runs/<run>/`` is evidence, ``.multi-agent/`` is the live control plane and may be deleted at any time, and the
state directory outside the repository holds the hub and its worktrees (a worktree inside the repository that loses
its ``.git`` would let an agent's ``git reset`` reach the operator's checkout).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

CONFIG_FILE = "multi-agent.yaml"
ARTIFACT_REGISTRY = ".agent-artifacts/registry.yml"
ARTIFACT_VALIDATION = ".agent-artifacts/validation.json"


def state_home() -> Path:
    """``$XDG_STATE_HOME/swarm-tui``, by default ``~/.local/state/swarm-tui``."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "swarm-tui"


@dataclass(frozen=True, slots=True)
class RepoLayout:
    """Paths of one repository; ``root`` is its absolute top directory."""

    root: Path

    @property
    def key(self) -> str:
        """A short name for the repository, unique by its path."""
        return f"{self.root.name[:24]}-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]}"

    @property
    def config(self) -> Path:
        return self.root / CONFIG_FILE

    @property
    def runs(self) -> Path:
        return self.root / ".runs"

    @property
    def control(self) -> Path:
        return self.root / ".multi-agent"

    @property
    def inbox(self) -> Path:
        return self.control / "inbox"

    @property
    def inbox_done(self) -> Path:
        return self.inbox / "done"

    @property
    def engine_file(self) -> Path:
        return self.control / "engine.json"

    @property
    def engine_lock(self) -> Path:
        return self.control / "engine.lock"

    @property
    def engine_log(self) -> Path:
        return self.control / "engine.jsonl"

    @property
    def tasks_file(self) -> Path:
        return self.control / "tasks.json"

    @property
    def state_file(self) -> Path:
        return self.control / "state.json"

    @property
    def metrics_file(self) -> Path:
        return self.control / "metrics.json"

    @property
    def permissions_file(self) -> Path:
        """What the operator granted for good at gates."""
        return self.control / "permissions.yaml"

    @property
    def logs(self) -> Path:
        return self.control / "logs"

    @property
    def state_dir(self) -> Path:
        return state_home() / self.key

    def run(self, run: str) -> RunLayout:
        return RunLayout(self, run)


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Paths of one run."""

    repo: RepoLayout
    run: str

    @property
    def dir(self) -> Path:
        return self.repo.runs / self.run

    @property
    def journal(self) -> Path:
        return self.dir / "events.jsonl"

    @property
    def gates(self) -> Path:
        return self.dir / "gates"

    @property
    def checks(self) -> Path:
        return self.dir / "checks"

    @property
    def plan(self) -> Path:
        return self.dir / "plan.json"

    def receipt(self, phase: str) -> Path:
        return self.dir / phase / f"{phase}_receipt.json"

    @property
    def logs(self) -> Path:
        return self.repo.logs / self.run

    def log(self, instance: str) -> Path:
        return self.logs / f"{instance}.log"

    def transcript(self, instance: str, task: str) -> Path:
        return self.dir / "transcripts" / instance / f"{task}.jsonl"

    @property
    def state_dir(self) -> Path:
        return self.repo.state_dir / self.run

    @property
    def hub(self) -> Path:
        return self.state_dir / "hub.git"

    @property
    def trees(self) -> Path:
        return self.state_dir / "trees"
