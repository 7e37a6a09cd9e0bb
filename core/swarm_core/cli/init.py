"""``swarm-tui init``: write a commented ``multi-agent.yaml``, in any git repository, as often as one likes."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from swarm_core.definitions import load
from swarm_core.definitions.artifacts import load_registry, shipped_text
from swarm_core.definitions.suggestions import suggested
from swarm_core.vocabulary.layout import ARTIFACT_REGISTRY, ARTIFACT_VALIDATION, CONFIG_FILE
from swarm_core.workspace.preflight import find_root

from .common import Parsers


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("init", help="write a commented multi-agent.yaml here")
    parser.add_argument("--artifacts", action="store_true", help="write .agent-artifacts/ as well")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print it instead of writing")


def run(options: argparse.Namespace) -> int:
    text = files("swarm_core").joinpath("catalog", CONFIG_FILE).read_text(encoding="utf-8")
    if options.only_print:
        print(text, end="")
        return 0
    if options.artifacts:
        _write_artifacts(find_root(Path.cwd()))
    path = find_root(Path.cwd()) / CONFIG_FILE
    if path.exists():
        spec = load(path)
        print(f"{path} is already there: {len(spec.services)} services, kept as it is")
        return 0
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")
    if offered := suggested(path.parent):
        print("CLAUDE.md names commands that could be checks; copy what you want measured into `checks:`:")
        print("\n".join(one.yaml for one in offered))
    print('next: edit its services and directories, then: swarm-tui run "what you want"')
    return 0


def _write_artifacts(root: Path) -> None:
    """The registry and its rules; what is there is kept as it is. Raises ConfigurationError if that cannot be read."""
    (root / "artifacts").mkdir(exist_ok=True)
    for name in (ARTIFACT_REGISTRY, ARTIFACT_VALIDATION):
        path = root / name
        if path.exists():
            print(f"{path} is already there, kept as it is")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(shipped_text(path.name), encoding="utf-8")
        print(f"wrote {path}")
    load_registry(root)
