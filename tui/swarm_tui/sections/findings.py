"""What is wrong, whose it is, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.findings import RULE, SEVERITIES, Finding
from swarm_tui import words
from swarm_tui.widgets.line_pane import Row

from .base import WIDE, Look, Section, block, cells, field, happened, merged_as, task_line

GRAVITY = {severity: place for place, severity in enumerate(SEVERITIES)}


class Findings(Section):
    """Open ones first, the gravest first."""

    key, title = "findings", "Findings"
    groups = frozenset({"finding", "rule"})
    empty = "What critics, checks, agents and the monitor find wrong appears here."

    def order(self, look: Look) -> list[str]:
        found = look.view.findings
        return sorted(found, key=lambda name: _place(found[name]))

    def waiting(self, look: Look) -> int:
        return len(look.view.index.open_findings)

    def told(self, look: Look) -> str:
        opened = self.waiting(look)
        closed = len(look.view.findings) - opened
        return " · ".join((f"{opened} open", *([f"{closed} closed"] if closed else [])))

    def row(self, look: Look, name: str, width: int) -> Row:
        one = look.view.findings[name]
        symbol, style = words.FINDING.get(one.status, ("?", "muted"))
        is_wide, is_over = width >= WIDE, one.status == "closed"
        state = one.resolution or one.status
        grave = "muted" if is_over else words.SEVERITY.get(one.severity, "plain")
        head = [
            (f" {symbol} {state:<10} ", style),
            (f"{words.fit(clean_line(one.id), 13 if is_wide else 9)} ", "muted" if is_over else "strong"),
            (f"{words.fit(clean_line(one.severity), 8)} ", grave),
            (f"{words.fit(clean_line(one.owner or 'nobody'), 12 if is_wide else 9)} ", "muted"),
        ]
        if is_wide:
            head.append((f"{words.fit(clean_line(one.location or '-'), 24)} ", "tool"))
        left = width - cells(head)
        return (*head, (words.fit(clean_line(one.title), max(1, left)), "muted" if is_over else "plain"))

    def why(self, look: Look, name: str) -> str:
        one = look.view.findings[name]
        return " · ".join(filter(None, (one.location, one.reason, one.commit[:12])))

    def lines(self, look: Look, name: str) -> Iterator[str]:
        view, one = look.view, look.view.findings[name]
        state = f"{one.status}, {one.resolution}" if one.resolution else one.status
        symbol, _ = words.FINDING.get(one.status, ("?", "muted"))
        yield f"{clean_line(one.id)}  {clean_line(one.severity)}  {symbol} {clean_line(state)}"
        yield from field("title", clean_line(one.title))
        yield from field("next", _next(one))
        yield from field("place", one.location)
        yield from field("owner", one.owner or "nobody")
        yield from field("raised by", " in ".join(filter(None, (one.raised_by, one.source))))
        yield from field("category", one.category)
        yield from field("about", task_line(view, one.about) if one.about else "")
        yield from field("fixed in", task_line(view, one.task) if one.task else "")
        merged = merged_as(view, one.task)
        commits = [one.commit[:12] if one.commit != merged else "", f"merged as {merged[:12]}" if merged else ""]
        yield from field("commit", " · ".join(filter(None, commits)))
        yield from field("reason", one.reason)
        yield from block("Issue", one.issue)
        yield from block("What to do", one.fix)
        yield from block("How to see that it is gone", _verified(one))
        if past := look.past.of("finding", name):
            yield from ("", "History")
            yield from (happened(event, _said(event)) for event in past)


def _place(one: Finding) -> tuple[bool, int]:
    return one.status == "closed", GRAVITY.get(one.severity, len(GRAVITY))


def _next(one: Finding) -> str:
    """Who has to do something about it now; empty if it is closed."""
    match one.status:
        case "fixing":
            return f"{one.task or one.owner} mends it; c accepts it as it is"
        case "fixed":
            return "whoever raised it, or its check, looks whether it is gone"
        case "unresolved":
            return "it could not be mended: a gate asks you, or c accepts it as it is"
        case "open" if one.category == RULE:
            return "it closes when what was measured is right again, or when the rule is waived (4, w)"
        case "open":
            return (
                "it waits to be given out; c accepts it as it is"
                if one.owner
                else "nobody owns its place: c accepts it"
            )
    return ""


def _verified(one: Finding) -> str:
    kind, _, name = one.verification.partition(":")
    return f"the check {name} passes" if kind == "check" and name else one.verification


def _said(event: Event) -> str:
    data, what = event.data, event.kind.removeprefix("finding.").replace("_", " ")
    who = event.agent or event.actor
    told = {
        "opened": f"raised by {who}",
        "fix started": f"given to {data.get('owner', '')} {data.get('task', '')}",
        "fixed": f"fixed, commit {str(data.get('commit', ''))[:12]}",
        "closed": f"closed as {data.get('resolution', '')} by {who}",
    }.get(what, f"{what} by {who}")
    reason = str(data.get("reason", ""))
    return f"{told}: {reason}" if reason else told
