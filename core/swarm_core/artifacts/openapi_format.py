"""OpenAPI: YAML or JSON whose every reference stays in the document, judged by ``openapi-spec-validator``.

Response codes written as numbers (``200:``) are read as text, as the standard wants them; that is worth a note. The
validator (extra ``validators``) is imported when the first contract is looked at. A reference that leaves the document
is refused before it could be followed: it would read a file or ask a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .fault import Faults
from .parsed import Parsed, Path

MAX_REFERENCES = 20_000
_NUMBERED = re.compile(r"^[ ]+([1-5]\d\d):", re.MULTILINE)


def check(parsed: Parsed, text: str, faults: Faults) -> None:
    """Say what is wrong with the contract. Raises ImportError if the validator is not installed."""
    said = parsed.value if isinstance(parsed.value, dict) else {}
    field = "openapi" if "openapi" in said else "swagger"
    if field not in said:
        faults.add("openapi", "has no 'openapi' field: it is no contract", hint="begin with: openapi: 3.0.0")
        return
    if not isinstance(said[field], str):
        faults.add("openapi", f"{field} must be text", *parsed.position((field,)), hint='write it as "3.0.0"')
        return
    if not text.lstrip().startswith("{") and (numbered := _NUMBERED.search(text)) is not None:
        line = text.count("\n", 0, numbered.start(1)) + 1
        column = numbered.start(1) - text.rfind("\n", 0, numbered.start(1))
        message = f"the response code {numbered[1]} is a number and is read as text"
        faults.add("openapi", message, line, column, hint=f'write "{numbered[1]}":', is_note=True)
    if not _references_hold(parsed, faults):
        return
    validator = _validator(said[field])
    if validator is None:
        message = f"{field} {said[field]!r} is not a version that is known"
        faults.add("openapi", message, *parsed.position((field,)), hint="write 3.0.0 or 3.1.0")
        return
    for error in validator(parsed.value).iter_errors():
        path, message = _nearest(error)
        faults.add("openapi", f"{_name(path)}: {message}", *parsed.position(path))
        if faults.is_full:
            return


def paths(value: Any) -> Iterator[tuple[str, Path, frozenset[str]]]:
    """Every path of a contract with its methods in upper case, and the prefixes of its servers left out."""
    found = value.get("paths") if isinstance(value, dict) else None
    for name, item in (found or {}).items() if isinstance(found, dict) else ():
        methods = (key.upper() for key in item) if isinstance(item, dict) else ()
        yield name, ("paths", name), frozenset(methods)


def _validator(version: str) -> Any:
    import openapi_spec_validator as library

    named = {"3.0": "V30", "3.1": "V31", "3.2": "V32", "2.0": "V2"}.get(".".join(version.split(".")[:2]), "")
    return getattr(library, f"OpenAPI{named}SpecValidator", None) if named else None


def _references_hold(parsed: Parsed, faults: Faults) -> bool:
    """Whether every ``$ref`` leads to something in this document, and none of them in a circle of references only."""
    holds = True
    chains: dict[str, str] = {}
    for count, (path, target) in enumerate(_references(parsed.value)):
        if count >= MAX_REFERENCES:
            faults.add("openapi", f"has more than {MAX_REFERENCES} references")
            return False
        place = parsed.position(path)
        if not target.startswith("#/"):
            faults.add("reference", f"$ref {target!r} leaves the document", *place, hint="copy what it leads to")
            holds = False
            continue
        try:
            found = parsed.at(pointer(target))
        except (LookupError, TypeError, ValueError):
            faults.add("reference", f"$ref {target!r} leads to nothing", *place)
            holds = False
            continue
        if isinstance(found, dict) and isinstance(found.get("$ref"), str):
            chains[target] = found["$ref"]
    for start in chains:
        seen, step = {start}, chains[start]
        while step in chains and step not in seen:
            seen.add(step)
            step = chains[step]
        if step in seen:
            faults.add("reference", f"$ref {start!r} leads back to itself", *parsed.position(pointer(start)))
            return False
    return holds


def _references(value: Any) -> Iterator[tuple[Path, str]]:
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            target = node.get("$ref")
            if isinstance(target, str):
                yield (*path, "$ref"), target
            stack += [((*path, key), item) for key, item in node.items() if isinstance(item, (dict, list))]
        elif isinstance(node, list):
            stack += [((*path, index), item) for index, item in enumerate(node) if isinstance(item, (dict, list))]


def pointer(target: str) -> Path:
    """The steps of ``#/a/b~1c``; numbers stay text, since a contract refers to names."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in target[2:].split("/"))


def _nearest(error: Any) -> tuple[Path, str]:
    """The place and message of the alternative that came closest, where none of several fits."""
    path = tuple(error.absolute_path)
    while error.context:
        error = max(error.context, key=lambda inner: (len(inner.path), inner.validator == "required"))
        path = (*path, *error.path)
    return path, str(error.message)[:200]


def _name(path: Path) -> str:
    return ".".join(str(step) for step in path) or "the document"
