"""Both palettes load and can be read; a palette that is wrong says where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.findings import ARTIFACTS, BLOCKED, finding, question
from tests.support.room import screen_segments, visit
from textual.theme import Theme

from swarm_core.vocabulary.errors import ConfigurationError
from swarm_tui import theme

PALETTES = {palette.name: palette for palette in theme.load_all()}
ON_SURFACE = ("foreground", "primary", "accent", "success", "error", "line-muted", "line-think", "line-tool")
ON_DIFF = ("line-denied", "diff-hunk")
ON_PANEL = ("foreground", "line-muted", "accent", "success", "error")  # the bars above and below
PAIRS = [
    *((name, "surface") for name in (*ON_SURFACE, *ON_DIFF)),
    *((name, "panel") for name in ON_PANEL),
    *((name, "cursor-bg") for name in ON_SURFACE),
    ("foreground", "background"),
    ("foreground", "title-bg"),
    ("diff-added", "diff-added-bg"),
    ("diff-removed", "diff-removed-bg"),
]
READABLE = 4.5
"""WCAG 2.2, success criterion 1.4.3: the contrast of text with what is behind it."""


def color_of(palette: Theme, name: str) -> str:
    value = palette.variables.get(name) or getattr(palette, name)
    assert isinstance(value, str)
    return value


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``, as WCAG defines it."""
    assert re.fullmatch("#[0-9a-f]{6}", color)
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_counted_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_there_is_one_palette_for_the_night_and_one_for_the_day() -> None:
    assert {name: palette.dark for name, palette in PALETTES.items()} == {theme.DARK: True, theme.LIGHT: False}


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(name: str, text: str, ground: str) -> None:
    palette = PALETTES[name]
    assert contrast(color_of(palette, text), color_of(palette, ground)) >= READABLE


@pytest.mark.parametrize("name", PALETTES)
async def test_what_is_painted_can_be_read(name: str, tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        at.room.theme = name
        await at.settled()
        await at.happen(*BLOCKED, *ARTIFACTS, finding(), question())
        for keys in ((), ("n",), ("escape", "at"), ("escape", "v"), ("1",), ("2",), ("3", "enter")):
            await at.press(*keys)
            weak = set()
            for segment in screen_segments(at.room):
                style = segment.style
                if not any(c.isalnum() for c in segment.text) or style is None or not (style.color and style.bgcolor):
                    continue
                pair = style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex
                if contrast(*pair) < READABLE:
                    weak.add((segment.text, *pair))
            assert weak == set()


async def test_a_key_goes_from_night_to_day_and_back(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        seen = []
        for _ in range(3):
            seen.append((at.room.theme, screen_segments(at.room)[0].style))
            await at.press("t")
        assert [name for name, _ in seen] == [theme.DARK, theme.LIGHT, theme.DARK]
        assert seen[0][1] != seen[1][1]
        assert seen[0][1] == seen[2][1]


def palette_with(path: Path, **changes: Any) -> Path:
    """The night's palette with ``group__name=value`` changed; None takes the key away."""
    body = yaml.safe_load((theme.directory() / "dark.yaml").read_text(encoding="utf-8"))
    for where, value in changes.items():
        group, _, name = where.partition("__")
        holder, key = (body[group], name.replace("_", "-")) if name else (body, group)
        if value is None:
            del holder[key]
        else:
            holder[key] = value
    file = path / "mine.yaml"
    file.write_text(yaml.safe_dump(body))
    return file


def test_a_palette_read_as_it_is_written_is_the_same(tmp_path: Path) -> None:
    assert theme.load(palette_with(tmp_path)) == PALETTES[theme.DARK]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colors__accent": "mauvish"}, "colors.accent"),
        ({"colors__accent": 123456}, "colors.accent"),
        ({"variables__diff_added": "#12"}, "variables.diff-added"),
        ({"colors__primary": None}, "primary"),
        ({"variables__cursor_bg": None}, "cursor-bg"),
        ({"colors__text_alpha": 0.5}, "text-alpha"),
        ({"variables__shine": "#ffffff"}, "shine"),
        ({"name": None}, "name"),
        ({"dark": "perhaps"}, "dark"),
        ({"variables": None}, "variables"),
        ({"colors": ["#ffffff"]}, "colors"),
    ],
)
def test_a_wrong_palette_names_the_file_and_the_key(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    file = palette_with(tmp_path, **changes)
    with pytest.raises(ConfigurationError) as caught:
        theme.load(file)
    assert str(file) in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize("text", ["colors: [", "", "- a\n- b\n", "name: swarm-x\ncolors:\n  accent: #ffffff\n"])
def test_a_file_that_is_no_palette_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(str(file))):
        theme.load(file)
