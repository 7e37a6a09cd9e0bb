"""Whether manifests say what is so: what was designed, measured, used as a source and counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .fault import Fault, Place
from .library import Library, mapping_in, place_of, value_of
from .parsed import Path, number, occurrences
from .validate import Document

_SETTLED = ("fixed", "auto-fixed", "closed", "resolved", "rejected", "accepted")
_STATUS = re.compile(r"\*\*Status\*\*:\s*(.+)", re.IGNORECASE)
_COVERAGE_SLACK = 0.05


def design_and_integrations(library: Library) -> Iterator[Fault]:
    """Every integration of the design is in the manifest; one that nobody designed is worth a note."""
    design, manifest = library.tree("system_design"), library.tree("integration_manifest")
    if design is None or manifest is None:
        return
    wanted = list(_integrations(value_of(design)))
    path = next(occurrences(value_of(manifest), "integrations"), None)
    found = mapping_in(value_of(manifest), *map(str, path)) if path else {}
    there = {_plain(name): name for name in found}
    for name, where in wanted:
        if _plain(name) not in there:
            message = f"the design integrates {name!r}, the manifest does not"
            hint = f"add {name} to {manifest.kind.path}"
            yield Fault("integration_complete", message, place_of(design, where), hint, place_of(manifest, path or ()))
    named = {_plain(name) for name, _ in wanted}
    for plain, name in there.items():
        if plain not in named:
            message = f"{name!r} is integrated, but not in the design"
            place = place_of(manifest, (*(path or ()), name))
            yield Fault("integration_complete", message, place, other=Place(design.kind.path), is_note=True)


def _integrations(design: Any) -> Iterator[tuple[str, Path]]:
    found = design.get("integrations") if isinstance(design, dict) else None
    if isinstance(found, dict):
        for purpose, name in found.items():
            if isinstance(name, list):
                yield from ((str(one), ("integrations", purpose, index)) for index, one in enumerate(name))
            elif isinstance(name, dict):
                yield str(name.get("provider", name.get("name", purpose))), ("integrations", purpose)
            else:
                yield str(name), ("integrations", purpose)
    elif isinstance(found, list):
        yield from ((str(name), ("integrations", index)) for index, name in enumerate(found))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).casefold())


def deployment_and_facts(library: Library) -> Iterator[Fault]:
    """No pre-check of the deployment says more than the engine measured, the tests gave and the error report holds."""
    manifest = library.tree("deployment_manifest")
    if manifest is None:
        return
    path = next(occurrences(value_of(manifest), "pre_checks"), None)
    claims = mapping_in(value_of(manifest), *map(str, path)) if path else {}
    facts = {**_facts_of_tests(library), **_facts_of_errors(library)}
    for name, measured in library.measured.items():
        facts[name] = (measured.value, Place(measured.evidence), f"{_word(measured.value)} was measured")
    for name, claim in claims.items():
        if name not in facts:
            continue
        value, place, how = facts[name]
        if not _says_more(claim, value):
            continue
        message = f"the pre-check {name} says {_word(claim)}, but {how}"
        hint = "a pre-check is computed from evidence, not written"
        yield Fault("pre_checks", message, place_of(manifest, (*(path or ()), name)), hint, place)


def results_and_facts(library: Library) -> Iterator[Fault]:
    """The test results say no more than what the engine measured itself."""
    results = library.tree("test_results")
    if results is None:
        return
    for name, (claim, place, _) in _facts_of_tests(library).items():
        measured = library.measured.get(name)
        if measured is not None and _says_more(claim, measured.value):
            message = f"the results say that {name} is {_word(claim)}, but {_word(measured.value)} was measured"
            yield Fault("test_results", message, place, "write what the runner told", Place(measured.evidence))


def _facts_of_tests(library: Library) -> dict[str, tuple[Any, Place, str]]:
    results = library.tree("test_results")
    if results is None:
        return {}
    facts: dict[str, tuple[Any, Place, str]] = {}
    failed = next(occurrences(value_of(results), "failed"), None)
    total = next(occurrences(value_of(results), "total"), None)
    if failed is not None and (count := number(_parsed_at(results, failed))) is not None:
        facts["tests_passed"] = (count == 0, place_of(results, failed), f"{count:g} tests failed")
    if total is not None and number(_parsed_at(results, total)) == 0:
        facts["tests_passed"] = (False, place_of(results, total), "there were no tests")
    figures = [(p, number(_parsed_at(results, p))) for p in occurrences(value_of(results), "coverage")]
    known = [(p, figure) for p, figure in figures if figure is not None]
    if known:
        where, figure = min(known, key=lambda one: one[1])
        facts["coverage"] = (figure, place_of(results, where), f"the test results say {figure:g}")
    return facts


def _facts_of_errors(library: Library) -> dict[str, tuple[Any, Place, str]]:
    """Critical issues whose status does not say that they are settled."""
    report = library.documents.get("error_reports")
    if report is None or not report.headings:
        return {}
    level = 0
    for heading in report.headings:
        if level and heading.level <= level:
            level = 0
        if "critical" in heading.title.casefold() and not level:
            level = heading.level
            continue
        status = next((match[1] for line in heading.lines if (match := _STATUS.search(line))), "")
        if level and status and not status.strip().casefold().startswith(_SETTLED):
            place = Place(report.kind.path, heading.line)
            return {"no_critical_errors": (False, place, f"{heading.title!r} is {status.strip()!r}")}
    return {"no_critical_errors": (True, Place(report.kind.path), "the error report knows of none")}


def _says_more(claim: Any, value: Any) -> bool:
    """Whether a claim is better than the fact. Saying less than what is true harms nobody."""
    if isinstance(value, bool):
        return not value and _is_yes(claim)
    figure, fact = number(claim), number(value)
    if fact is not None:
        return figure is None or figure > fact + _COVERAGE_SLACK
    return _is_yes(claim) and not _is_yes(value)


def _is_yes(value: Any) -> bool:
    return value is True or str(value).strip().casefold() in ("true", "yes", "passed", "pass", "ok", "clean", "green")


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).casefold()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parsed_at(document: Document, path: Path) -> Any:
    return document.parsed.at(path) if document.parsed is not None else None


def documents_and_sources(library: Library) -> Iterator[Fault]:
    """Every document is made from artifacts that are there, and from what they hold now."""
    manifest = library.tree("documentation_manifest")
    if manifest is None:
        return
    for path in occurrences(value_of(manifest), "sources"):
        sources = _parsed_at(manifest, path)
        for index, source in enumerate(sources if isinstance(sources, list) else []):
            name = str(source.get("artifact", "")) if isinstance(source, dict) else str(source)
            kind = library.registry.named(name)
            found = library.documents.get(kind.key) if kind is not None else None
            where = place_of(manifest, (*path, index))
            if found is None:
                message = f"the source {name!r} is {'not there' if kind else 'no registered artifact'}"
                there = Place(kind.path if kind else name)
                yield Fault("docs_sources", message, where, "name a registered artifact", there)
                continue
            said = str(source.get("sha256", "")) if isinstance(source, dict) else ""
            if said and said.casefold() != found.sha256:
                message = f"was made from {kind.name if kind else name} {said[:12]}, which is {found.sha256[:12]} now"
                yield Fault("docs_sources", message, where, "make the document again", Place(found.kind.path))


def counts_of_tests(library: Library) -> Iterator[Fault]:
    """The numbers of a test run add up, and as many failures are told as there were."""
    results = library.tree("test_results")
    path = next(occurrences(value_of(results), "summary"), None) if results is not None else None
    if results is None or path is None:
        return
    summary = mapping_in(value_of(results), *map(str, path))
    counts = {name: number(summary.get(name)) for name in ("total", "passed", "failed", "skipped")}
    parts = [counts[name] or 0.0 for name in ("passed", "failed", "skipped")]
    if counts["total"] is not None and counts["total"] != sum(parts):
        message = f"total is {counts['total']:g}, but passed, failed and skipped are {sum(parts):g}"
        yield Fault("test_counts", message, place_of(results, (*path, "total")), "write what the runner counted")
    told = next(occurrences(value_of(results), "failures"), None)
    listed = _parsed_at(results, told) if told is not None else None
    if isinstance(listed, list) and counts["failed"] is not None and len(listed) != counts["failed"]:
        message = f"{counts['failed']:g} tests failed, {len(listed)} failures are told"
        is_note, there = len(listed) < counts["failed"], place_of(results, (*path, "failed"))
        yield Fault("test_counts", message, place_of(results, told or ()), other=there, is_note=is_note)
