"""``.multi-agent/permissions.yaml``: what an operator granted with "always". It is the operator's to edit or delete."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swarm_core.definitions.settings import read_granted
from swarm_core.vocabulary.layout import RepoLayout

HEAD = """\
# What you granted with "always" at a gate. It is yours: remove an entry and you are asked again.
# A grant answers an ask rule or the default. It never answers a deny rule, and it opens no directory or network.
version: 1
"""


def keep(layout: RepoLayout, granted: Sequence[Mapping[str, str]], trusted: Sequence[Mapping[str, str]]) -> None:
    """Add entries, whole or not at all. An entry that is there already is not added.

    Raises ConfigurationError if the file cannot be read as it is (nothing is overwritten then), and OSError.
    """
    before = read_granted(layout)
    rules = {(service, text.text) for service, text in before.rules}
    known = {(one.kind, one.name, one.sha256) for one in before.trusted}
    granted = [entry for entry in granted if (entry["service"], entry["rule"]) not in rules]
    trusted = [entry for entry in trusted if (entry["kind"], entry["name"], entry["sha256"]) not in known]
    if not granted and not trusted:
        return
    path = layout.permissions_file
    old: dict[str, list[Mapping[str, Any]]] = {"granted": [], "trusted": []}
    if path.exists():
        old = _entries(path)
    lines = [HEAD]
    for key, added in (("granted", granted), ("trusted", trusted)):
        entries = [*old[key], *added]
        lines.append(f"{key}:\n" if entries else f"{key}: []\n")
        lines += [_entry(entry) for entry in entries]
    _replace(path, "".join(lines).encode())


def _entry(entry: Mapping[str, Any]) -> str:
    first, *rest = [f"{key}: {json.dumps(str(value), ensure_ascii=False)}\n" for key, value in entry.items()]
    return "  - " + first + "".join("    " + line for line in rest)


def _entries(path: Path) -> dict[str, list[Mapping[str, Any]]]:
    import yaml

    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) or {}
    return {key: list(loaded.get(key) or ()) for key in ("granted", "trusted")}


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
