"""``code_critique.md``: the worklist between a critic and an author (seed 002, with the fields of its origin)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.view import RunView

from .blocks import one_line, parse_fields, plain, render_fields, sections

TITLE = "# Code critique"
STATUSES = {"open": "pending", "fixing": "in_progress", "fixed": "fixed", "unresolved": "pending"}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to correct. ``status`` is pending, in_progress, fixed or wontfix."""

    id: str
    title: str = ""
    severity: str = "MEDIUM"
    location: str = ""
    status: str = "pending"
    task: str = ""
    issue: str = ""
    fix: str = ""
    verification: str = ""
    commit: str = ""


def worklist(view: RunView) -> list[Item]:
    """What reviews of this run found, in the order in which they found it."""
    return [item_of(found) for found in view.findings.values() if found.category == "critique"]


def item_of(found: Finding) -> Item:
    status = STATUSES.get(found.status, "")
    return Item(
        one_line(found.id),
        one_line(found.title),
        one_line(found.severity),
        one_line(found.location),
        status or ("fixed" if found.resolution == "verified" else "wontfix"),
        one_line(found.about),
        plain(found.issue),
        plain(found.fix),
        plain(found.verification),
        one_line(found.commit),
    )


def render(items: Iterable[Item]) -> str:
    """The document; the same items always give the same bytes."""
    lines = [TITLE, ""]
    for item in items:
        fields = {
            "Severity": item.severity,
            "Location": item.location,
            "Status": item.status,
            "Task": item.task,
            "Issue": item.issue,
            "Fix guidance": item.fix,
            "Verification": item.verification,
            "Commit": item.commit,
        }
        lines += [f"## {item.id}: {item.title}".rstrip(), "", *render_fields(fields), ""]
    return "\n".join(lines)


def parse(text: str) -> Sequence[Item]:
    """The items of a document. What is no item is left out."""
    out = []
    for heading, lines in sections(text, "##"):
        name, _, title = heading.partition(":")
        found = parse_fields(lines)
        if name.strip():
            out.append(
                Item(
                    name.strip(),
                    title.strip(),
                    found.get("Severity", ""),
                    found.get("Location", ""),
                    found.get("Status", ""),
                    found.get("Task", ""),
                    found.get("Issue", ""),
                    found.get("Fix guidance", ""),
                    found.get("Verification", ""),
                    found.get("Commit", ""),
                )
            )
    return out
