"""Palettes from ``themes/*.yaml`` as Textual themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from textual.color import Color, ColorParseError
from textual.theme import Theme

from swarm_core.vocabulary.errors import ConfigurationError

FIELDS = frozenset(Theme.__dataclass_fields__) - {"name", "dark", "variables", "ansi"}
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
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(body, dict) or not isinstance(body.get("colors"), dict):
        raise ConfigurationError("a palette has name, dark, colors and variables", path=path)
    colors: dict[str, str] = body["colors"]
    variables: dict[str, str] = body.get("variables", {})
    if wrong := sorted((colors.keys() - FIELDS) | (variables.keys() ^ VARIABLES)):
        raise ConfigurationError(f"unknown or missing: {', '.join(wrong)}", path=path)
    for name, value in {**colors, **variables}.items():
        try:
            Color.parse(value)
        except ColorParseError as error:
            raise ConfigurationError(f"{name}: {value!r} is not a color", path=path) from error
    named: dict[str, Any] = dict(colors)
    return Theme(name=body["name"], dark=bool(body["dark"]), variables=variables, **named)


def load_all() -> list[Theme]:
    return [load(path) for path in sorted(directory().glob("*.yaml"))]
