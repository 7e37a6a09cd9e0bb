"""A web page as text with Markdown's marks: headings, lists, links, code and tables; no scripts and no styles."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object", "canvas"})
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption"}
    | {"figure", "footer", "form", "header", "hr", "main", "nav", "ol", "p", "section", "summary", "table", "tbody"}
    | {"thead", "tr", "ul"}
)
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
MAX_DEPTH = 500


class _Page(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._out: list[str] = []
        self._skipping: list[str] = []
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []
        self._pre = 0
        self._in_title = False
        self.title = ""

    def text(self) -> str:
        text = "".join(self._out)
        text = re.sub(r"[ \t]+\n", "\n", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if self._skipping:
            if tag == self._skipping[-1] and len(self._skipping) < MAX_DEPTH:
                self._skipping.append(tag)
            return
        given = {name: value or "" for name, value in attributes}
        if tag in _SKIPPED:
            self._skipping.append(tag)
        elif tag == "title":
            self._in_title = True
        elif tag in _HEADINGS:
            self._out.append(f"\n\n{_HEADINGS[tag]} ")
        elif tag == "br":
            self._out.append("\n")
        elif tag == "pre":
            self._pre += 1
            self._out.append("\n\n```\n")
        elif tag == "code" and not self._pre:
            self._out.append("`")
        elif tag in ("ul", "ol") and len(self._lists) < MAX_DEPTH:
            self._lists.append(0 if tag == "ol" else None)
            self._out.append("\n")
        elif tag == "li":
            self._item()
        elif tag in ("td", "th"):
            self._out.append(" | ")
        elif tag == "img" and given.get("alt"):
            self._out.append(f"[picture: {given['alt']}]")
        elif tag == "a" and given.get("href"):
            self._links = [(given["href"], len(self._out))]  # a link inside a link is none
        elif tag in _BLOCKS:
            self._out.append("\n" if tag == "tr" else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.pop()
            return
        if tag == "title":
            self._in_title = False
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self._out.append("\n```\n\n")
        elif tag == "code" and not self._pre:
            self._out.append("`")
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            self._out.append("\n")
        elif tag == "a" and self._links:
            self._link(*self._links.pop())
        elif tag in _HEADINGS or (tag in _BLOCKS and tag not in ("tr", "hr")):
            self._out.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._skipping:
            return
        if self._in_title:
            self.title += data
        elif self._pre:
            self._out.append(data)
        else:
            text = re.sub(r"\s+", " ", data)
            if text == " " and (not self._out or self._out[-1].endswith(("\n", " "))):
                return
            self._out.append(text.lstrip() if not self._out or self._out[-1].endswith(("\n", " ")) else text)

    def _item(self) -> None:
        indent = "  " * max(0, min(len(self._lists), 20) - 1)
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        self._out.append(f"\n{indent}{'- ' if number is None else f'{number + 1}. '}")

    def _link(self, href: str, begin: int) -> None:
        said = "".join(self._out[begin:])
        try:
            target = urljoin(self._base, href.strip())
        except ValueError:
            return
        if said.strip() and target.startswith(("http://", "https://")) and "\n\n" not in said.strip():
            self._out[begin:] = [f"[{said.strip()}]({target})"]


# What the parser would go through again and again: comments and declarations, and ``<`` that begin no tag.
_NO_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^>]*(?:>|\Z)", re.S)
_NO_BEGIN = re.compile(r"<(?!/?[a-zA-Z][^<>]{0,8000}>)")


def _plain(html: str) -> str:
    return _NO_BEGIN.sub("&lt;", _NO_TAG.sub("", html))


def page_text(html: str, base: str) -> str:
    """The page as text; links are absolute. Takes any input."""
    page = _Page(base)
    page.feed(_plain(html))
    page.close()
    title = " ".join(page.title.split())
    return f"{title}\n\n{page.text()}".strip() if title else page.text()
