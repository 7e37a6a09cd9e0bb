"""Licences of the packages a project declares, as their installed metadata states them. Nothing is fetched.

Python: what ``pyproject.toml`` and ``requirements*.txt`` name, looked up in a virtual environment of the tree
(``.venv``, ``venv``, the option ``site``). JavaScript: ``package.json`` and ``node_modules``. What is declared and not
installed cannot be told, and neither can a package that states no licence.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .files import TreeFile, files
from .measured import Found, Measured, not_measured, verdict
from .worker import Request

DENIED = ("AGPL", "GPL", "SSPL", "BUSL", "Commons-Clause", "Proprietary", "UNLICENSED")
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_CLASSIFIER = "License :: "


def scan(request: Request) -> Measured:
    declared = dict(_declared(request.root))
    if not declared:
        return not_measured("no dependency is declared", "it reads pyproject.toml, requirements.txt and package.json")
    stated = {**_python(request), **_javascript(request.root)}
    unknown = sorted(name for name in declared if not stated.get(name))
    allow, deny = request.options.get("allow", ()), request.options.get("deny", ())
    found = []
    for name, place in declared.items():
        if (licence := stated.get(name, "")) and (why := judge(licence, allow, deny)):
            found.append(Found(f"{name}: {licence[:120]} {why}", place, 0, "license", "HIGH"))
    note = f"{len(declared) - len(unknown)} of {len(declared)} licences known"
    if found or not unknown:
        return verdict(found, note)
    names = ", ".join(unknown[:5])
    hint = "install them where they can be seen (.venv, node_modules or the option site)"
    return not_measured(f"{note}; not known: {names}{', …' if len(unknown) > 5 else ''}", hint)


def judge(licence: str, allow: Sequence[str], deny: Sequence[str]) -> str:
    """Why a licence is not accepted, "" if it is. With ``allow``, everything it does not name is refused.

    One of several (``MIT OR GPL-3.0``) is enough, all of ``AND`` are needed. Names are compared by their beginning.
    """
    choices = re.split(r"\s+OR\s+", licence.strip("() "))
    reasons = [_refused(choice, allow, deny) for choice in choices]
    return "" if "" in reasons else reasons[0]


def _refused(choice: str, allow: Sequence[str], deny: Sequence[str]) -> str:
    for part in re.split(r"\s+AND\s+", choice):
        part = part.strip("() ")
        if allow and not any(part.lower().startswith(one.lower()) for one in allow):
            return "is not allowed"
        for one in deny or (() if allow else DENIED):
            if re.match(rf"(?i)(?:gnu )?{re.escape(one)}(?![a-z])", part):
                return "is denied"
    return ""


def _declared(root: Path) -> Iterator[tuple[str, str]]:
    """Names in the spelling they are compared in, and the file that declares each."""
    for file in files(root, ("pyproject.toml", "requirements*.txt", "package.json")):
        text = file.text or ""
        if file.path == "package.json":
            document = _loaded(file)
            for key in ("dependencies", "optionalDependencies"):
                yield from ((f"npm:{name}", file.path) for name in document.get(key) or {})
        elif file.path == "pyproject.toml":
            try:
                wanted = tomllib.loads(text).get("project", {}).get("dependencies", [])
            except tomllib.TOMLDecodeError as error:
                raise ValueError(f"{file.path}: {error}") from None
            yield from ((_plain(match[1]), file.path) for one in wanted if (match := _NAME.match(str(one))))
        else:
            lines = (line.partition("#")[0].strip() for line in text.splitlines())
            yield from ((_plain(match[1]), file.path) for line in lines if (match := _NAME.match(line)))


def _loaded(file: TreeFile) -> dict[str, Any]:
    try:
        document = json.loads(file.data or b"")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.path} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{file.path} is no object")
    return document


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python(request: Request) -> dict[str, str]:
    homes = [str(request.options["site"])] if "site" in request.options else [".venv", "venv"]
    places = [str(place) for home in homes for place in _sites(request.root / home)]
    return {
        _plain(str(found.metadata["Name"])): _stated(found.metadata)
        for found in importlib.metadata.distributions(path=places)
        if found.metadata["Name"]
    }


def _sites(home: Path) -> Iterator[Path]:
    yield from (place for place in (home, *home.glob("lib*/python*/site-packages")) if place.is_dir())


def _stated(metadata: Any) -> str:
    if expression := metadata.get("License-Expression"):
        return str(expression)
    named = [str(one) for one in metadata.get_all("Classifier") or () if str(one).startswith(_CLASSIFIER)]
    names = [one.rpartition(" :: ")[2] for one in named]
    stated = str(metadata.get("License") or "").strip()
    return " OR ".join(names) if any("Approved" not in name for name in names) else stated.partition("\n")[0]


def _javascript(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern in ("*/package.json", "@*/*/package.json"):
        for path in (root / "node_modules").glob(pattern):
            if path.is_symlink() or path.parent.is_symlink():
                continue
            document = _loaded(TreeFile(root, path.relative_to(root).as_posix(), path.stat().st_size))
            stated = document.get("license")
            stated = stated.get("type") if isinstance(stated, dict) else stated
            found[f"npm:{path.parent.relative_to(root / 'node_modules').as_posix()}"] = str(stated or "")
    return found
