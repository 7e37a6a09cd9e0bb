"""HTML that everybody can use, as far as its text tells: WCAG 2.1 criteria a reader of the source can decide.

Language of the page (3.1.1), title (2.4.2), text alternatives (1.1.1), labels of fields (1.3.1, 4.1.2), order of
headings (1.3.1), names of links and buttons (2.4.4, 4.1.2), unique ids (4.1.1), no positive tabindex (2.4.3).
Fragments without ``<html>`` are held to what is in them.
"""

from __future__ import annotations

from fractions import Fraction
from html.parser import HTMLParser

from .measured import Found, Measured, not_measured, verdict
from .worker import Request

_FIELDS = ("input", "select", "textarea")
_UNLABELLED = ("hidden", "submit", "reset", "button", "image")
_NAMED = ("a", "button")
Attributes = dict[str, str | None]


def scan(request: Request) -> Measured:
    found: list[Found] = []
    count = 0
    for file in request.files(("**/*.html", "**/*.htm")):
        if file.text is None:
            return not_measured(f"{file.path} is no text that can be read", "exclude it if it is not yours")
        count += 1
        found += barriers(file.path, file.text)
    if not count:
        return not_measured("there is no HTML file", "set paths, or remove the check")
    return verdict(found, f"{count} pages", Fraction(len(found)))


def barriers(path: str, text: str) -> list[Found]:
    """What is in somebody's way on one page, in order of lines."""
    page = _Page(path)
    page.feed(text)
    page.close()
    return sorted(page.judge(), key=lambda one: one.line)


class _Page(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.found: list[Found] = []
        self.ids: set[str] = set()
        self.labelled: set[str] = set()
        self.unlabelled: list[tuple[int, str, str]] = []  # line, element, id
        self.level = 0
        self.html: int | None = None
        self.title: str | None = None
        self._open_labels = 0
        self._names: list[list[str]] = []
        self._named: list[tuple[str, int, bool]] = []
        self._is_title = False

    def _report(self, line: int, rule: str, message: str, severity: str = "MEDIUM") -> None:
        self.found.append(Found(message, self.path, line, rule, severity))

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        line, given = self.getpos()[0], dict(pairs)
        self._any(tag, given, line)
        if tag == "html":
            self.html = line
            if not (given.get("lang") or "").strip():
                self._report(line, "lang", "<html> has no lang", "HIGH")
        elif tag == "title":
            self._is_title, self.title = True, self.title or ""
        elif tag == "img" or (tag == "input" and given.get("type") == "image") or tag == "area":
            if "alt" not in given and not _named(given) and given.get("role") not in ("presentation", "none"):
                self._report(line, "alt", f"<{tag}> has no alt", "HIGH")
            elif given.get("alt"):
                self._say(str(given["alt"]))
        elif tag == "label":
            self._open_labels += 1
            self.labelled.add(given.get("for") or "")
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._heading(int(tag[1]), line)
        elif tag in _NAMED and (tag == "button" or "href" in given):
            self._named.append((tag, line, _named(given)))
            self._names.append([])
        if (
            tag in _FIELDS
            and given.get("type", "text") not in _UNLABELLED
            and not _named(given)
            and not self._open_labels
        ):
            self.unlabelled.append((line, tag, given.get("id") or ""))

    def _any(self, tag: str, given: Attributes, line: int) -> None:
        if (id_ := given.get("id")) is not None:
            if id_ in self.ids:
                self._report(line, "id", f"the id {id_[:60]!r} is there twice")
            self.ids.add(id_)
        index = (given.get("tabindex") or "").strip()
        if index.isdecimal() and int(index[:9]) > 0:
            self._report(line, "tabindex", f"tabindex {index[:9]} changes the order of the keyboard")
        if tag in ("iframe", "frame") and not _named(given):
            self._report(line, "title", f"<{tag}> has no title")

    def _heading(self, level: int, line: int) -> None:
        if level > self.level + 1:
            above = f"<h{self.level}>" if self.level else "no heading"
            self._report(line, "headings", f"<h{level}> follows {above}")
        self.level = level

    def _say(self, text: str) -> None:
        for name in self._names:
            name.append(text)

    def handle_data(self, data: str) -> None:
        if self._is_title:
            self.title = (self.title or "") + data
        self._say(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._is_title = False
        elif tag == "label":
            self._open_labels = max(0, self._open_labels - 1)
        elif tag in _NAMED and self._named and self._named[-1][0] == tag:
            (_, line, is_named), name = self._named.pop(), "".join(self._names.pop())
            if not is_named and not name.strip():
                self._report(line, "name", f"<{tag}> has no text", "HIGH")

    def judge(self) -> list[Found]:
        """What only the whole page tells."""
        for line, tag, id_ in self.unlabelled:
            if not id_ or id_ not in self.labelled:
                self._report(line, "label", f"<{tag}> has no label", "HIGH")
        if self.html is not None and not (self.title or "").strip():
            self._report(self.html, "title", "the page has no title")
        return self.found


def _named(given: Attributes) -> bool:
    return any((given.get(key) or "").strip() for key in ("aria-label", "aria-labelledby", "title"))
