"""Make foreign text safe to show: no byte of it may reach the terminal as a control sequence.

Textual passes escape sequences in displayed strings through to the terminal, so text from agents, tools and
repositories could set the title, write the clipboard or paint a false gate. ``clean`` is applied where such text
enters a view; it shows control and bidirectional characters as symbols instead of dropping them, so that an
attempt stays visible.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
TAB_CELLS = 4
MAX_LINE_CHARS = 2_000


def _symbol(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd"


def clean(text: str) -> str:
    """Return ``text`` with control, format and bidirectional characters made visible; tabs become spaces.

    Newlines are kept. The common case, a line without any such character, costs one search.
    """
    if "\t" in text:
        text = text.expandtabs(TAB_CELLS)
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(_symbol, text)


def clean_line(text: str, limit: int = MAX_LINE_CHARS) -> str:
    """Return one clean line of at most ``limit`` characters; line breaks are shown as symbols."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if "\n" in text:
        text = text.replace("\n", "\u240a")
    return clean(text)
