"""The registered files that agents coordinate by: which hold, which do not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Artifact, Gate
from swarm_core.vocabulary.events import Event
from swarm_tui import words
from swarm_tui.widgets.line_pane import Row

from .base import WIDE, Look, Section, cells, field, happened, merged_as, task_line

PLAN = "plan"
RANK = {"invalid": 0, "stale": 1, "draft": 2, "valid": 3, "sealed": 3, "superseded": 4, "declared": 5}
TROUBLED = ("invalid", "stale")
SHORT = 8
MOST_DIFFS = 5
MOST_FAULTS = 50


class Artifacts(Section):
    """A thing's name is its path: that is what the fold knows it by."""

    key, title = "artifacts", "Artifacts"
    groups = frozenset({"artifact", "task"})
    empty = "Registered files that agents write for each other appear here, with their state."

    def order(self, look: Look) -> list[str]:
        known = [path for path, one in look.view.artifacts.items() if one.type != PLAN]
        paths = dict.fromkeys((*(kind.path for kind in look.past.registry.types.values()), *known))
        return sorted(paths, key=lambda path: RANK.get(artifact(look, path).status, 9))

    def waiting(self, look: Look) -> int:
        return sum(one.status in TROUBLED for one in look.view.artifacts.values())

    def told(self, look: Look) -> str:
        counts = Counter(artifact(look, path).status for path in self.order(look))
        shipped = ["the shipped registry"] if look.past.registry.is_shipped else []
        if look.past.problem:
            shipped = ["the registry cannot be read"]
        return " · ".join((*(f"{counts[status]} {status}" for status in RANK if counts[status]), *shipped))

    def row(self, look: Look, name: str, width: int) -> Row:
        one, kind = artifact(look, name), look.past.registry.at(name)
        symbol, style = words.ARTIFACT.get(one.status, ("?", "muted"))
        text = "muted" if one.status in ("declared", "superseded") else "plain"
        is_wide = width >= WIDE
        key = words.fit(clean_line(kind.key if kind else one.type or name), 22 if is_wide else 21)
        version = f"v{one.version} {one.sha256[:SHORT]}" if one.version else ""
        head = [
            (f" {symbol} {one.status:<10} ", style),
            (f"{key} ", "strong" if text == "plain" else "muted"),
            (f"{version:<13} ", "muted"),
        ]
        left = width - cells(head)
        if is_wide:
            head.append((f"{words.fit(clean_line(producer(look, name)), 16)} ", text))
            left -= 17
        why = clean_line(one.reason) if one.status in TROUBLED else ""
        if not why:
            return (*head, (words.fit(clean_line(name), max(1, left)), "muted"))
        path = words.fit(clean_line(name), 30) + "  " if left > 48 else ""
        return (*head, (path, "muted"), (words.fit(why, max(1, left - len(path))), style))

    def why(self, look: Look, name: str) -> str:
        one = artifact(look, name)
        return f"{one.status}: {one.reason}" if one.reason else ""

    def lines(self, look: Look, name: str) -> Iterator[str]:
        view, one, kind = look.view, artifact(look, name), look.past.registry.at(name)
        symbol, _ = words.ARTIFACT.get(one.status, ("?", "muted"))
        version = f" · v{one.version} {one.sha256[:12]}" if one.version else ""
        yield f"{clean_line(kind.key if kind else one.type or name)}  {symbol} {one.status}{version}"
        yield from field("why", one.reason)
        yield from field("path", clean_line(name))
        yield from field("producer", producer(look, name))
        if kind is not None:
            yield from field("consumers", ", ".join(kind.consumers) or "nobody")
            stands = [registered(look, key) for key in kind.depends_on]
            yield from field("depends on", "\n".join(stands) or "nothing")
            after = look.past.registry.dependents([kind.key])
            yield from field("needed by", "\n".join(registered(look, other.key) for other in after))
            yield from field("defined in", kind.place)
        yield from field("written in", task_line(view, one.written_by) if one.written_by else "")
        merged = merged_as(view, one.written_by)
        commits = (one.commit[:12], f"merged as {merged[:12]}" if merged else "")
        yield from field("commit", " · ".join(filter(None, commits)))
        yield from field("made from", "\n".join(f"{path} {sha256[:12]}" for path, sha256 in one.inputs))
        past = look.past.of("artifact", name)
        yield from ("", "Versions, the newest first" if past else "Not written in this run yet.")
        for event in reversed(past):
            yield happened(event, _said(event))
            faults = [clean_line(str(fault)) for fault in event.data.get("faults", ())]
            yield from (f"      {fault}" for fault in faults[:MOST_FAULTS])
            if len(faults) > MOST_FAULTS:
                yield f"      … and {len(faults) - MOST_FAULTS} more"


def artifact(look: Look, path: str) -> Artifact:
    """An artifact as the fold knows it, or as one that is only declared."""
    return look.view.artifacts.get(path) or Artifact(path)


def producer(look: Look, path: str) -> str:
    """Who writes it by the registry, else who wrote it."""
    kind, known = look.past.registry.at(path), look.view.artifacts.get(path)
    task = look.view.tasks.get(known.written_by) if known is not None else None
    if kind is not None:
        return kind.producer
    return task.assigned_to if task is not None else ""


def registered(look: Look, key: str) -> str:
    """``api_contracts △ stale``"""
    kind = look.past.registry.types.get(key)
    if kind is None:
        return key
    status = artifact(look, kind.path).status
    return f"{words.ARTIFACT.get(status, ('?', ''))[0]} {status:<10} {key}"


def _said(event: Event) -> str:
    data, kind = event.data, event.kind.removeprefix("artifact.")
    if kind == "written":
        inputs = data.get("inputs", ())
        made = f" · made from {words.some(len(inputs), 'artifact')}" if inputs else ""
        return f"written {str(data.get('sha256', ''))[:12]} · {event.task or ''} by {event.agent or event.actor}{made}"
    word = {"validated": "valid", "rejected": "invalid"}.get(kind, kind)
    reason = str(data.get("reason", ""))
    return f"{word}: {reason}" if reason else word


def shown_at(look: Look, path: str) -> list[Gate]:
    """The gates whose documents show a version of an artifact, the newest first; each version at the first that did."""
    written = [event for event in look.past.of("artifact", path) if event.kind == "artifact.written"]
    of_task: dict[str, list[Gate]] = {}
    for gate in look.view.gates.values():
        if gate.task and gate.document:
            of_task.setdefault(gate.task, []).append(gate)
    found: dict[str, Gate] = {}
    for event in reversed(written):
        later = (g for g in of_task.get(event.task or "", ()) if max(g.opened_seq, g.decided_seq) > event.seq)
        if (first := next(later, None)) is not None:
            found.setdefault(first.id, first)
    return list(found.values())[:MOST_DIFFS]
