"""Coverage as tools write it down: coverage.py's JSON, Cobertura XML, lcov. Pure.

Lines are counted, not percentages: a percentage somebody rounded would decide for them. Where a format tells branches
too, they count with the lines, as coverage.py does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .markup import MarkupError, read_xml
from .measured import Found

MAX_SHOWN = 50
_CONDITIONS = re.compile(r"\((\d{1,9})/(\d{1,9})\)")


@dataclass(slots=True)
class FileCover:
    covered: int = 0
    total: int = 0
    missing: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cover:
    """What of the code ran: ``covered`` of ``total`` lines and branches, by file."""

    files: Mapping[str, FileCover]

    @property
    def covered(self) -> int:
        return sum(file.covered for file in self.files.values())

    @property
    def total(self) -> int:
        return sum(file.total for file in self.files.values())

    @property
    def percent(self) -> Fraction | None:
        """Exact; None if there is nothing to cover."""
        return Fraction(100 * self.covered, self.total) if self.total else None

    @property
    def worst(self) -> tuple[Found, ...]:
        """The files with the most that did not run, and their first line of it."""
        lacking = [(file.total - file.covered, path, file) for path, file in self.files.items()]
        lacking = sorted((one for one in lacking if one[0] > 0), key=lambda one: (-one[0], one[1]))
        return tuple(
            Found(f"{count} of {file.total} not covered{_ranges(file.missing)}", path, min(file.missing, default=0))
            for count, path, file in lacking[:MAX_SHOWN]
        )


def read_coverage(data: bytes) -> Cover:
    """The format is told by the content. Raises ValueError (MarkupError for XML) that says what is wrong."""
    text = data.lstrip()
    if text.startswith(b"{"):
        return _json(data)
    if text.startswith(b"<"):
        return _xml(data)
    if b"end_of_record" in data:
        return _lcov(data)
    raise ValueError("is neither coverage.py JSON, nor Cobertura XML, nor lcov")


def _json(data: bytes) -> Cover:
    try:
        document = json.loads(data)
        files = {str(path): _json_file(entry) for path, entry in document["files"].items()}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON that can be read: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise ValueError("is JSON, but not of coverage.py: files with a summary are missing") from None
    return Cover(files)


def _json_file(entry: Mapping[str, Any]) -> FileCover:
    summary = entry["summary"]
    covered = _whole(summary["covered_lines"]) + _whole(summary.get("covered_branches", 0))
    total = _whole(summary["num_statements"]) + _whole(summary.get("num_branches", 0))
    if covered > total:
        raise ValueError(f"{covered} covered of {total}")
    return FileCover(covered, total, [_whole(line) for line in entry.get("missing_lines", [])])


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**9:
        raise ValueError(f"{value!r} is not a count")
    return value


def _xml(data: bytes) -> Cover:
    files: dict[str, dict[int, tuple[int, int]]] = {}
    here = ""
    is_in_methods = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal here, is_in_methods
        if name == "class":
            here = attributes.get("filename", "")
            files.setdefault(here, {})
        elif name == "methods":
            is_in_methods += 1  # a method's lines stand in its class again
        elif name == "line" and here and not is_in_methods:
            number, hits = _number(attributes.get("number")), _number(attributes.get("hits"))
            covered, total = int(hits > 0), 1
            if found := _CONDITIONS.search(attributes.get("condition-coverage", "")):
                covered, total = covered + min(int(found[1]), int(found[2])), total + int(found[2])
            before = files[here].get(number, (0, total))
            files[here][number] = (max(before[0], covered), max(before[1], total))

    def end(name: str, _: str) -> None:
        nonlocal here, is_in_methods
        if name == "methods":
            is_in_methods -= 1
        elif name == "class":
            here = ""

    root = read_xml(data, begin, end)
    if root != "coverage":
        raise MarkupError(f"it begins with <{root[:40]}>, not with <coverage>")
    return Cover({path: _of_lines(lines) for path, lines in files.items()})


def _of_lines(lines: Mapping[int, tuple[int, int]]) -> FileCover:
    missing = sorted(number for number, (covered, _) in lines.items() if not covered)
    return FileCover(sum(c for c, _ in lines.values()), sum(t for _, t in lines.values()), missing)


def _number(value: str | None) -> int:
    if value is None or not value.isdecimal() or len(value) > 12:
        raise MarkupError(f"{value!r} is not a count")
    return int(value)


def _lcov(data: bytes) -> Cover:
    files: dict[str, dict[int, int]] = {}
    branches: dict[str, dict[tuple[str, ...], int]] = {}
    here = ""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        key, _, value = line.strip().partition(":")
        if key == "SF":
            here = value
            files.setdefault(here, {})
        elif key in ("DA", "BRDA") and here:
            parts = value.split(",")
            hits = parts[-1] if key == "BRDA" else parts[1] if len(parts) > 1 else ""
            hits = "0" if hits == "-" else hits
            if not parts[0].isdecimal() or not hits.isdecimal() or len(hits) > 18:
                raise ValueError(f"is no lcov: line {number} is {line[:60]!r}")
            if key == "DA":
                files[here][int(parts[0])] = files[here].get(int(parts[0]), 0) + int(hits)
            else:
                taken = branches.setdefault(here, {})
                taken[tuple(parts[:-1])] = taken.get(tuple(parts[:-1]), 0) + int(hits)
        elif key == "end_of_record":
            here = ""
    found = {}
    for path, lines in files.items():
        marks = [*lines.values(), *branches.get(path, {}).values()]
        missing = sorted(number for number, hits in lines.items() if not hits)
        found[path] = FileCover(sum(hits > 0 for hits in marks), len(marks), missing)
    return Cover(found)


def _ranges(lines: list[int]) -> str:
    """``: lines 3-5, 9``, of the first few."""
    spans: list[list[int]] = []
    for line in sorted(set(lines)):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    text = ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in spans[:6])
    return f": lines {text}{', …' if len(spans) > 6 else ''}" if text else ""
