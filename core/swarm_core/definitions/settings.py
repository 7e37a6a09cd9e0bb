"""Permission rules where people write them: ``multi-agent.yaml``, ``.claude/settings.json``, and what was granted.

A settings file that is there and cannot be read is an error with its place: to go on without it would be to go on
without its deny rules. Keys of it that this engine does not use are warnings.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.spec import PermissionSpec, RuleText

from .marked import MAX_FILE_BYTES, Marked, compose

EFFECTS = ("deny", "ask", "allow")
REPOSITORY = ("narrow", "full", "ignore")
PROJECT_FILES = (("project", ".claude/settings.json"), ("local", ".claude/settings.local.json"))
USER_FILE = "~/.claude/settings.json"
_UNUSED = ("defaultMode", "additionalDirectories", "disableBypassPermissionsMode")


@dataclass(frozen=True, slots=True)
class Settings:
    """What settings files say. ``hooks`` are their names; they are never run."""

    rules: tuple[RuleText, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trusted:
    """Content of a repository that the operator lets run, as it was when it was shown."""

    kind: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What the operator granted for good: rules by service (``*`` is every one), and trusted content."""

    rules: tuple[tuple[str, RuleText], ...] = ()
    trusted: tuple[Trusted, ...] = ()


# -- multi-agent.yaml


def top_permissions(marked: Marked) -> PermissionSpec:
    """``permissions`` at the top of the configuration."""
    fields = marked.fields((*EFFECTS, "default", "repository", "user"))
    return PermissionSpec(
        tuple(_texts(fields)),
        fields["default"].choice(EFFECTS) if "default" in fields else "allow",
        fields["repository"].choice(REPOSITORY) if "repository" in fields else "narrow",
        "user" in fields and fields["user"].choice(("true", "false")) == "true",
    )


def service_permissions(marked: Marked) -> tuple[RuleText, ...]:
    """``permissions`` of one service: further rules, for it alone."""
    return tuple(_texts(marked.fields(EFFECTS)))


def _texts(fields: Mapping[str, Marked]) -> Iterator[RuleText]:
    for effect in EFFECTS:
        for item in fields[effect].sequence() if effect in fields else ():
            yield RuleText(effect, item.text(), "config", Path(item.path).name, item.line)


# -- .claude/settings.json


def read_settings(root: Path, spec: PermissionSpec, home: Path | None = None) -> Settings:
    """The rules of the repository's settings files, and of the user's if the configuration says so.

    Raises ConfigurationError with file and line.
    """
    places = [] if spec.repository == "ignore" else [(origin, root / name) for origin, name in PROJECT_FILES]
    if spec.user:
        places.append(("user", (home or Path.home()) / USER_FILE.removeprefix("~/")))
    rules: list[RuleText] = []
    warnings: list[str] = []
    files: list[str] = []
    hooks: list[str] = []
    for origin, path in places:
        text = _read_plain(path)
        if text is None:
            continue
        shown = USER_FILE if origin == "user" else str(path.relative_to(root))
        files.append(shown)
        document = _object(text, path)
        _take(document, text, origin, shown, rules, warnings)
        found = document.get("hooks")
        hooks += [f"{shown}: {name}" for name in found] if isinstance(found, dict) else []
    if spec.repository == "narrow":
        rules = [rule for rule in rules if rule.effect != "allow" or rule.origin == "user"]
    return Settings(tuple(rules), tuple(warnings), tuple(files), tuple(hooks))


def _take(
    document: Mapping[str, Any], text: str, origin: str, shown: str, rules: list[RuleText], warnings: list[str]
) -> None:
    permissions = document.get("permissions", {})
    if not isinstance(permissions, dict):
        raise ConfigurationError("permissions must be an object", path=shown, line=_line(text, "permissions"))
    for effect in EFFECTS:
        items = permissions.get(effect, [])
        if not isinstance(items, list):
            raise ConfigurationError(f"permissions.{effect} must be a list", path=shown, line=_line(text, effect))
        for item in items:
            if isinstance(item, str):
                rules.append(RuleText(effect, item, origin, shown, _line(text, item)))
            else:
                warnings.append(f"{shown}:{_line(text, effect)}: permissions.{effect} holds what is no text; left out")
    for key in _UNUSED:
        if key in permissions:
            warnings.append(f"{shown}:{_line(text, key)}: permissions.{key} is not used here and opens nothing")


def _object(text: str, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        hint = "correct it, or set permissions.repository: ignore"
        raise ConfigurationError(f"is not JSON: {error.msg}", path=path, line=error.lineno, hint=hint) from None
    except (RecursionError, ValueError):
        raise ConfigurationError("is not JSON that can be read", path=path, line=1) from None
    if not isinstance(document, dict):
        raise ConfigurationError("must be an object", path=path, line=1)
    return document


def _line(text: str, value: str) -> int:
    """The line a text stands in; the first if it is spelled with escapes."""
    place = text.find(json.dumps(value, ensure_ascii=False))
    return text.count("\n", 0, place) + 1 if place >= 0 else 1


def _read_plain(path: Path) -> str | None:
    """The text of a plain file, None if there is none. A device or pipe is no file, and a large one no settings."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=path) from None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ConfigurationError("is not a plain file", path=path)
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigurationError(f"is larger than {MAX_FILE_BYTES} bytes", path=path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is not UTF-8 text (byte {error.start})", path=path) from None


# -- what was granted


def read_granted(layout: RepoLayout) -> Granted:
    """``.multi-agent/permissions.yaml``. Raises ConfigurationError with file and line."""
    path = layout.permissions_file
    text = _read_plain(path)
    if text is None:
        return Granted()
    top = compose(text, path).fields(("version", "granted", "trusted"))
    if "version" in top:
        top["version"].choice(("1",))
    rules = []
    for item in top["granted"].sequence() if "granted" in top else ():
        fields = item.fields(("rule", "service", "at", "run", "gate"))
        if "rule" not in fields:
            raise item.wrong("rule is missing", "write rule: Bash(...), or remove the entry")
        service = fields["service"].text() if "service" in fields else "*"
        rules.append((service, RuleText("allow", fields["rule"].text(), "grant", str(path), item.line)))
    trusted = []
    for item in top["trusted"].sequence() if "trusted" in top else ():
        fields = item.fields(("kind", "name", "sha256", "at", "run", "gate"))
        if missing := sorted({"kind", "name", "sha256"} - fields.keys()):
            raise item.wrong(f"{', '.join(missing)} missing", "remove the entry: you are asked again")
        trusted.append(Trusted(*(fields[key].text() for key in ("kind", "name", "sha256"))))
    return Granted(tuple(rules), tuple(trusted))
