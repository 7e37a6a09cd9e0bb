"""Creates the repository the demonstration works on: a README, conventions, a configuration, and no code yet."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from swarm_core.vocabulary.errors import RepositoryError

GOAL = "Build EcoRoute: customers, bins, optimised routes and a dispatcher's dashboard"

# file in the template -> its name in the repository (an ignore file of the template's own would hide things from us)
_FILES = {
    "README.md": "README.md",
    "CLAUDE.md": "CLAUDE.md",
    "multi-agent.yaml": "multi-agent.yaml",
    "run_tests.py": "run_tests.py",
    "agent-artifacts/registry.yml": ".agent-artifacts/registry.yml",
    "agent-artifacts/validation.json": ".agent-artifacts/validation.json",
    "gitignore": ".gitignore",
    "tests/__init__.py": "tests/__init__.py",
    "tests/test_conventions.py": "tests/test_conventions.py",
}
_IDENTITY = (("user.name", "EcoRoute"), ("user.email", "demo@ecoroute.example"), ("commit.gpgsign", "false"))
_GIT_TIMEOUT_S = 60.0


def create(directory: Path, settings: str = "") -> Path:
    """Make ``directory`` a git repository with one commit on ``main``; returns its absolute path.

    ``settings`` are lines at the end of its ``multi-agent.yaml``.
    The directory is created if it is missing. Raises RepositoryError if it holds anything or if git cannot be run.
    """
    top = directory.absolute()
    if top.exists() and not top.is_dir():
        raise RepositoryError(f"{top} is not a directory", hint="name a new directory for the demonstration")
    if top.is_dir() and any(top.iterdir()):
        raise RepositoryError(f"{top} is not empty", hint="name a new or an empty directory for the demonstration")
    template = resources.files("swarm_core.demo") / "template"
    for source, name in _FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(template.joinpath(source).read_bytes())
    with open(top / "multi-agent.yaml", "a") as file:
        file.write(settings)
    _git(top, "init", "--quiet", "--template=", "--initial-branch=main")
    for key, value in _IDENTITY:
        _git(top, "config", key, value)
    _git(top, "add", "--", *_FILES.values())
    _git(top, "-c", f"core.hooksPath={os.devnull}", "commit", "--quiet", "--message", "docs: say what EcoRoute will be")
    return top


def _git(top: Path, *arguments: str) -> None:
    """Run git in ``top``, deaf to the caller's GIT_* variables and to the settings of the person and the machine."""
    program = shutil.which("git")
    if program is None:
        raise RepositoryError("git was not found on PATH", hint="install git 2.38 or newer")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    done = subprocess.run(
        [program, *arguments],
        cwd=top,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_GIT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RepositoryError(f"git {arguments[0]} failed in {top}: {done.stderr.strip()[:400]}")
