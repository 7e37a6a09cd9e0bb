"""The lineage of a file as people read it, for ``swarm-tui trace ARTIFACT`` and ``swarm-tui artifact lineage``."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from swarm_core.artifacts.history import History
from swarm_core.artifacts.lineage import Lineage, Reader, Source, document, trace
from swarm_core.artifacts.past import Check, Decision, Issue, Ruling, Verdict, Version
from swarm_core.client import SwarmClient
from swarm_core.definitions.artifacts import load_registry
from swarm_core.vocabulary.artifacts import Registry
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError

from .paper import Line, put

READ_BYTES = 1 << 22
LABEL = 11
MARKS = {"pass": "✓", "not_measured": "?"}
TITLE_CHARS = 72


def show(client: SwarmClient, run: str, what: str, *, as_json: bool) -> int:
    """Print where a file of a run comes from: an artifact by its type, path or name, or any path of the repository.

    Raises UsageError if the run knows no such file, JournalError.
    """
    history, registry = read_history(client, run), load_registry(client.layout.run(run).dir)
    found = locate(history, registry, what, client.layout.root)
    if found.is_empty and registry.at(found.path) is None:
        written = [path for path in history.written if "/" in path]
        known = ", ".join(written[:10]) or ", ".join(sorted(history.committed)[:10]) or "nothing yet"
        raise UsageError(f"nobody wrote {clean_line(what, 200)!r} in {run}", hint=f"what was written: {known}")
    if as_json:
        print(json.dumps(document(found), indent=2))
    else:
        put(lines(found))
    return 0


def read_history(client: SwarmClient, run: str) -> History:
    """The past of a run's files. Raises JournalError."""
    history, reader = History(), client.reader(run)
    try:
        while events := reader.poll(READ_BYTES):
            for event in events:
                history.take(event)
    finally:
        reader.close()
    history.run = run
    return history


def locate(history: History, registry: Registry, what: str, root: Path) -> Lineage:
    """The lineage of what somebody called ``what``: in the registry, in the journal, or seen from here."""
    kind = registry.named(what)
    if kind is not None:
        return trace(history, kind.path, kind.key)
    found = [trace(history, path) for path in _spellings(history, what, root)]
    return next((one for one in found if not one.is_empty), found[0])


def _spellings(history: History, what: str, root: Path) -> Iterator[str]:
    """What a name can mean as a path of the repository, the likeliest first."""
    yield posixpath.normpath(what)
    if of_type := history.path_of(what):
        yield of_type
    here = os.path.relpath(os.path.realpath(Path.cwd()), root)
    seen = os.path.relpath(what, root) if Path(what).is_absolute() else posixpath.normpath(posixpath.join(here, what))
    if not seen.startswith(".."):
        yield seen


# -- as text


def lines(found: Lineage) -> Iterator[Line]:
    """A heading, one block a version, then what concerns the whole file."""
    versions = found.versions
    state = versions[-1].status if versions else "not written in this run"
    yield " · ".join(part for part in (found.path, found.key, state) if part), 2
    yield f"run {found.run}", 2
    by_content = {version.sha256: version for version in versions if version.sha256}
    told: set[str] = set()
    for version in versions:
        yield "", 0
        yield from _version(found, version, has_told=version.task in told)
        told.add(version.task)
        if version.sha256 and by_content[version.sha256] is version:
            readers = [_reader(found, one) for one in found.readers if one.sha256 == version.sha256]
            yield from _rows("read by", readers)
    others = [_reader(found, one) for one in found.readers if one.sha256 not in by_content]
    for title, rows in (
        ("read by", others),
        ("rules", [row for one in found.rulings for row in _ruling(one)]),
        ("findings", [row for one in found.issues for row in _issue(one)]),
    ):
        if rows:
            yield "", 0
            yield title, 0
            yield from ((f"  {row}", 6) for row in rows)
    if found.landing is not None and any(version.merged_as for version in versions):
        yield "", 0
        yield from _landing(found, found.landing)


def _version(found: Lineage, version: Version, *, has_told: bool) -> Iterator[Line]:
    yield _joined(f"v{version.number}", short(version.sha256), version.status, version.taken_back), 4
    work = found.work.get(version.task)
    title = f": {_cut(work.title)}" if work is not None and work.title else ""
    where = f" in {version.task}{title}" if version.task else ""
    yield from _rows("written by", [_joined(f"{version.agent}{where}", clock(version.at), f"event {version.seq}")])
    merged = f"merged as {short(version.merged_as)}" if version.merged_as else ""
    subject = version.message.partition("\n")[0]
    message = f" {_cut(subject)}" if subject and (work is None or subject != work.title) else ""
    yield from _rows("commit", [_joined(f"{short(version.commit)}{message}" if version.commit else "", merged)])
    if not has_told:
        yield from _rows("planned", [_planned(found, version)])
        yield from _rows("because of", [", ".join(found.causes(version.task))])
    yield from _rows("from", _from(found, version, has_told=has_told))
    yield from _rows("holds with", [_source(one) for one in found.sources(version.holds_with, of=version)])
    for decision in version.decisions:
        yield from _rows("decided", [_decision(decision), *map(_check, decision.checks)])
    yield from _rows("judged", [row for each in version.verdicts for row in _judged(version, each)], hang=22)


def _planned(found: Lineage, version: Version) -> str:
    work = found.work.get(version.task)
    if work is None or not work.planned_in:
        return ""
    gate = found.planned_at(work)
    decided = f"{gate.gate} {gate.verdict} by {gate.by}" if gate is not None and gate.verdict else ""
    return _joined(f"in {work.planned_in}", decided)


def _from(found: Lineage, version: Version, *, has_told: bool) -> list[str]:
    """The artifacts it was made from; without any, the commit its task began with."""
    sources = [_source(one) for one in found.sources(version.inputs, of=version)]
    work = found.work.get(version.task)
    if sources or work is None or has_told:
        return sources
    before = [f"{one.id} {_cut(one.title)}".strip() for one in found.built_on(version)]
    base = [f"the repository at {short(work.base)}"] if work.base else []
    return [", after ".join([*base, ", ".join(before)] if before else base)] if base or before else []


def _source(source: Source) -> str:
    made, indent = source.version, "  " * (source.depth - 1)
    if made is None:
        return f"{indent}{source.path} {short(source.sha256)} · there before the run"
    name = f"{indent}{source.path} v{made.number} {short(made.sha256)}"
    if source.was_told:
        return f"{name} · as above"
    gate = made.decisions[-1] if made.decisions else None
    decided = f"{gate.gate} {_verdict(gate)}" if gate else "not decided"
    return _joined(name, f"{made.agent} in {made.task}", decided, "and further back" if source.goes_on else "")


def _decision(decision: Decision) -> str:
    shown = f"evidence {short(decision.evidence)} {decision.document}".rstrip() if decision.evidence else ""
    asked = f"reviewed by {', '.join(decision.reviewers)}" if decision.reviewers else ""
    forced = f"in spite of {', '.join(decision.findings)}" if decision.findings else ""
    back = f"taken back: {decision.taken_back}" if decision.taken_back else ""
    note = f'"{decision.note}"' if decision.note else ""
    return _joined(f"{decision.gate} {decision.place}", _verdict(decision), note, forced, back, asked, shown)


def _verdict(decision: Decision) -> str:
    return f"{decision.verdict} by {decision.by}" if decision.verdict else "not decided"


def _check(check: Check) -> str:
    """One that passed says its value; one that did not says what is wrong."""
    says_nothing = check.value is None or not (check.unit or check.threshold)
    value = "" if says_nothing else f"{check.value:g}{'' if check.unit == '%' else ' '}{check.unit}".rstrip()
    wanted = f" ({check.threshold})" if check.threshold and value else ""
    said = f"{value}{wanted}" if check.status == "pass" or not check.detail else check.detail
    if check.status not in ("pass", "fail"):
        said = f"{check.status.replace('_', ' ')} {said}".rstrip()
    return f"{MARKS.get(check.status, '✗')} {_joined(check.name, said, check.evidence)}"


def _judged(version: Version, verdict: Verdict) -> Iterator[str]:
    """When, what and why; a version that is valid again says who found that it is."""
    again = f"it holds, says {verdict.task}" if verdict.status == "valid" and verdict.task != version.task else ""
    reason = verdict.reason if not verdict.faults else ""
    yield f"{clock(verdict.at)}  {verdict.status:<10}  {reason or again}".rstrip()
    yield from (f"  {fault}" for fault in verdict.faults)


def _reader(found: Lineage, reader: Reader) -> str:
    work = found.work.get(reader.task)
    name = f"{reader.task} {_cut(work.title)}".rstrip() if work is not None else reader.task
    content = f"as {short(reader.sha256)}" if reader.sha256 and not _is_known(found, reader.sha256) else ""
    wrote = ", ".join(f"{path} v{number}" for path, number in reader.wrote)
    return _joined(name, work.instance if work is not None else "", content, f"wrote {wrote}" if wrote else "")


def _is_known(found: Lineage, sha256: str) -> bool:
    return any(version.sha256 == sha256 for version in found.versions)


def _ruling(one: Ruling) -> Iterator[str]:
    by = "" if one.method == "rule" else f"by {one.method}"
    yield _joined(f"{one.id} {one.rule}", by, clock(one.at), f"event {one.seq}", f"evidence {short(one.evidence)}")
    yield f"  why   {one.why}"
    if one.document:
        yield f"  seen  {one.document}"
    for action in dict.fromkeys((*one.chosen, *one.outcome)):
        yield f"  does  {action}: {one.outcome[action]}" if action in one.outcome else f"  does  {action}"
    if one.settled:
        yield f"  now   {one.settled}"


def _issue(one: Issue) -> Iterator[str]:
    state = f"{one.status} ({one.resolution})" if one.resolution else one.status
    yield _joined(f"{one.id} {one.severity}", state, one.title, one.location)
    whose = f"raised by {one.raised_by}" if one.raised_by else ""
    fixed = f"fixed in {', '.join(one.tasks)}" if one.tasks else ""
    yield "  " + _joined(whose, fixed, f"commit {short(one.commit)}" if one.commit else "", one.reason)


def _landing(found: Lineage, gate: Decision) -> Iterator[Line]:
    home = f"landed as {short(found.landed)}" if found.landed else "not landed"
    yield _joined(home, _decision(gate)), 4
    yield from ((f"  {_check(check)}", 6) for check in gate.checks)


def _rows(label: str, rows: list[str], hang: int = 2) -> Iterator[Line]:
    """Rows under one label, what does not fit ``hang`` further in; those that say nothing are left out."""
    for row in rows:
        if row:
            deeper = len(row) - len(row.lstrip())
            yield f"  {label:<{LABEL}}{row}", 2 + LABEL + deeper + hang
            label = ""


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _cut(text: str) -> str:
    return clean_line(text, TITLE_CHARS)


def short(digest: str) -> str:
    """The beginning of a hash, as much as people compare."""
    return digest[:12]


def clock(at: str) -> str:
    """The time of day of an event."""
    return at[11:19]
