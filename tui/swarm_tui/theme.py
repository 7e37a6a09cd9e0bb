"""Palettes from ``themes/*.yaml`` as Textual themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from textual.color import Color, ColorParseError
from textual.theme import Theme

from swarm_core.vocabulary.errors import ConfigurationError

COLORS = frozenset(
    {"primary", "secondary", "accent", "success", "warning", "error", "foreground", "background", "surface", "panel"}
)
VARIABLES = frozenset(
    {f"line-{name}" for name in ("muted", "think", "tool", "denied")}
    | {f"diff-{name}" for name in ("added", "removed", "added-bg", "removed-bg", "hunk")}
    | {"cursor-bg", "title-bg"}
)
DARK, LIGHT = "swarm-dark", "swarm-light"


def directory() -> Path:
    """Where the palettes are: in the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parent / "themes"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "themes"


def load(path: Path) -> Theme:
    """Read one palette. Raises ConfigurationError naming the file and the key."""
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"not YAML: {error}", path=path) from error
    if not isinstance(body, dict):
        raise ConfigurationError("a palette has name, dark, colors and variables", path=path)
    for key, kind in (("name", str), ("dark", bool)):
        if not isinstance(body.get(key), kind):
            raise ConfigurationError(f"{key}: {body.get(key)!r} is not {KINDS[kind]}", path=path)
    colors: dict[str, Any] = _colors(body, "colors", COLORS, path)
    return Theme(name=body["name"], dark=body["dark"], variables=_colors(body, "variables", VARIABLES, path), **colors)


KINDS = {str: "a text", bool: "true or false"}


def _colors(body: dict[str, Any], key: str, wanted: frozenset[str], path: Path) -> dict[str, str]:
    """A group of colors: exactly those that are ``wanted``."""
    group = body.get(key)
    if not isinstance(group, dict):
        raise ConfigurationError(f"{key}: a palette has such a group of colors", path=path)
    if wrong := sorted(str(name) for name in group.keys() ^ wanted):
        raise ConfigurationError(f"{key}: unknown or missing: {', '.join(wrong)}", path=path)
    for name, value in group.items():
        try:
            if not isinstance(value, str):
                raise ColorParseError("a color is a text")
            Color.parse(value)
        except ColorParseError as error:
            hint = 'quote it: a color is a text like "#d8dee9"'
            raise ConfigurationError(f"{key}.{name}: {value!r} is not a color", path=path, hint=hint) from error
    return group


def load_all() -> list[Theme]:
    return [load(path) for path in sorted(directory().glob("*.yaml"))]
