"""``checks`` of ``multi-agent.yaml``: commands, and the kinds of measurement that are built in.

A kind says which options it has, which of them it needs, the unit of its value and the threshold that counts when none
is written. ``{name, command, timeout}`` without a kind is a command whose exit status 0 passes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.spec import CHECK_PLACES, CheckSpec
from swarm_core.vocabulary.threshold import parse_threshold

from .marked import Marked

Reader = Callable[[Marked], Any]
LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
MAX_CHECKS = 100
_DEFAULT_TIMEOUT_S = 120.0


def _path(marked: Marked) -> str:
    """A path of the repository in normal form, or a pattern of such paths."""
    parts = [part for part in marked.text().strip().split("/") if part not in ("", ".")]
    if marked.text().startswith("/") or ".." in parts or any(part.lower() == ".git" for part in parts) or not parts:
        raise marked.wrong(f"{marked.text()!r} is not a path in the repository")
    return "/".join(parts)


def _paths(marked: Marked) -> tuple[str, ...]:
    return tuple(_path(item) for item in marked.sequence())


def _level(marked: Marked) -> str:
    value = marked.text().upper()
    if value not in LEVELS:
        raise marked.wrong(f"{marked.text()!r} is not one of {', '.join(LEVELS)}")
    return value


def _flag(marked: Marked) -> bool:
    return marked.choice(("true", "false")) == "true"


def _url_path(marked: Marked) -> str:
    value = marked.text()
    if not value.startswith("/") or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise marked.wrong(f"{value!r} is not the path of a URL, such as /health")
    return value


@dataclass(frozen=True, slots=True)
class CheckKind:
    """What can be written for a kind. ``unit`` is None where its value is compared with no threshold."""

    options: Mapping[str, Reader] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    unit: str | None = None
    threshold: str = ""
    at: tuple[str, ...] = ("merge", "landing")


_FILES: Mapping[str, Reader] = {"paths": _paths, "exclude": _paths}
_COMMAND: Mapping[str, Reader] = {"command": Marked.text}
_REPORT: Mapping[str, Reader] = {**_COMMAND, "report": _path}
_SERVICE: Mapping[str, Reader] = {
    "start": Marked.text,
    "port": lambda m: m.whole(0, 65535),
    "path": _url_path,
    "requests": lambda m: m.whole(1, 10_000),
    "ready": Marked.seconds,
}
KINDS: Mapping[str, CheckKind] = {
    "command": CheckKind(_COMMAND, ("command",)),
    "tests": CheckKind({**_REPORT, "max_skipped": lambda m: m.whole(0, 1_000_000)}, ("command",), ""),
    "coverage": CheckKind(_REPORT, ("command",), "%", ">= 80"),
    "coverage_not_dropped": CheckKind(_REPORT, ("command",), "%", ">= 0"),
    "tests_not_deleted": CheckKind({**_REPORT, **_FILES}),
    "compile": CheckKind(_FILES),
    "complexity": CheckKind(_FILES, (), "", "<= 15"),
    "secret_scan": CheckKind(_FILES),
    "sast_min": CheckKind({**_FILES, "level": _level}),
    "license": CheckKind({"allow": Marked.texts, "deny": Marked.texts, "site": _path}),
    "migration_up_down": CheckKind({"directory": _path}),
    "html_a11y": CheckKind(_FILES),
    "bundle_size": CheckKind({**_FILES, **_COMMAND}, ("paths", "threshold"), "bytes"),
    "response_time": CheckKind(_SERVICE, ("start",), "ms", "<= 200ms"),
    "memory": CheckKind(_SERVICE, ("start",), "bytes", "<= 256MiB"),
    "commit_message": CheckKind({"types": Marked.texts, "trailers": Marked.texts}, at=("merge",)),
    "receipt_forensics": CheckKind(at=("landing", "phase")),
    "criteria": CheckKind({"checks": Marked.texts}, ("checks",), at=("landing",)),
    "sarif": CheckKind({**_REPORT, "level": _level}, ("command",)),
}
_COMMON = ("name", "kind", "timeout", "required", "at", "threshold")


def read_checks(marked: Marked) -> tuple[CheckSpec, ...]:
    """All checks of a configuration, in its order. Raises ConfigurationError with file and line."""
    items = marked.sequence()
    if len(items) > MAX_CHECKS:
        raise marked.wrong(f"more than {MAX_CHECKS} checks")
    checks: dict[str, CheckSpec] = {}
    for item in items:
        check = _check(item)
        if check.name in checks:
            raise item.wrong(f"there is another check {check.name!r}", "each check needs a name of its own")
        _look_back(item, check, checks)
        checks[check.name] = check
    return tuple(checks.values())


def _check(marked: Marked) -> CheckSpec:
    named = dict(marked.items())
    kind_name = named["kind"].choice(tuple(KINDS)) if "kind" in named else "command"
    kind = KINDS[kind_name]
    fields = marked.fields((*_COMMON, *kind.options))
    if missing := [key for key in ("name", *kind.needs) if key not in fields]:
        raise marked.wrong(f"{' and '.join(sorted(missing))} missing", f"a check of kind {kind_name} needs it")
    name = fields["name"].text()
    if SLUG.fullmatch(name) is None:
        raise fields["name"].wrong("a check's name is lower-case letters, digits and dashes")
    values = {key: reader(fields[key]) for key, reader in kind.options.items() if key in fields}
    command = str(values.pop("command", ""))
    check = CheckSpec(
        name,
        command,
        kind=kind_name,
        options=values,
        required=_flag(fields["required"]) if "required" in fields else "kind" in fields,
        at=_places(fields["at"]) if "at" in fields else kind.at,
        threshold=_threshold(fields, kind),
        place=f"{marked.path}:{marked.line}",
    )
    if "timeout" in fields:
        return dataclasses.replace(check, timeout_s=fields["timeout"].seconds())
    return check if command else dataclasses.replace(check, timeout_s=_DEFAULT_TIMEOUT_S)


def _threshold(fields: Mapping[str, Marked], kind: CheckKind) -> str:
    if "threshold" not in fields:
        return kind.threshold
    marked = fields["threshold"]
    if kind.unit is None:
        raise marked.wrong("this kind has no threshold", "remove the key: any finding fails it")
    try:
        return parse_threshold(marked.text(), kind.unit).text
    except ValueError as error:
        raise marked.wrong(str(error), 'write it as ">= 80" or "<= 200ms", in quotes') from None


def _places(marked: Marked) -> tuple[str, ...]:
    places = tuple(dict.fromkeys(item.choice(CHECK_PLACES) for item in marked.sequence()))
    if not places:
        raise marked.wrong("names no place, so nothing would ever be measured", f"one of {', '.join(CHECK_PLACES)}")
    return places


def _look_back(marked: Marked, check: CheckSpec, before: Mapping[str, CheckSpec]) -> None:
    """Criteria are made of checks that were measured before them."""
    for name in check.options.get("checks", ()) if check.kind == "criteria" else ():
        if name not in before:
            known = ", ".join(before) or "none"
            raise marked.wrong(f"there is no check {name!r} above this one", f"checks above: {known}")
        if missing := sorted(set(check.at).difference(before[name].at)):
            raise marked.wrong(
                f"{name} is not measured at {', '.join(missing)}, where these criteria are",
                f"write at: [{', '.join(check.at)}] for {name}",
            )
