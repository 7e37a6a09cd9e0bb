"""Do artifacts agree with each other. Pure functions over parsed artifacts; each fault names both sides.

``contradictions`` runs every comparison whose two sides are there. What the engine measured goes before what an
artifact says of itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm_core.vocabulary.artifacts import Registry

from .fault import Fault, Place
from .openapi_format import paths
from .parsed import Path, number, occurrences
from .validate import Document

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_PARAMETER = re.compile(r"\{[^/}]*\}|:[A-Za-z_]\w*")
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"})
_SETTLED = ("fixed", "auto-fixed", "closed", "resolved", "rejected", "accepted")
_STATUS = re.compile(r"\*\*Status\*\*:\s*(.+)", re.IGNORECASE)
_COVERAGE_SLACK = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """A fact that the engine measured: its value, and the file that proves it."""

    value: Any
    evidence: str


@dataclass(frozen=True, slots=True)
class Library:
    """What there is to compare: documents by the key of their type, and measured facts by name.

    Facts: ``tests_passed`` (a boolean), ``coverage`` (percent), ``security_scan`` (passed or failed),
    ``no_critical_errors`` (a boolean).
    """

    registry: Registry
    documents: Mapping[str, Document]
    measured: Mapping[str, Measured] = field(default_factory=dict)

    def tree(self, key: str) -> Document | None:
        """A document that has values; None if it is not there or could not be read."""
        found = self.documents.get(key)
        return found if found is not None and found.parsed is not None else None


def contradictions(library: Library) -> list[Fault]:
    """Everything in which the artifacts do not agree, by place."""
    found = [fault for compare in COMPARISONS for fault in compare(library)]
    return sorted(found, key=lambda fault: (fault.at.path, fault.at.line, fault.at.column))


def _at(document: Document, path: Path) -> Place:
    assert document.parsed is not None
    return Place(document.kind.path, *document.parsed.position(path))


def _value(document: Document) -> Any:
    return document.parsed.value if document.parsed is not None else None


def _mapping(value: Any, *steps: str) -> dict[str, Any]:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


# -- the API and the database


def api_and_database(library: Library) -> Iterator[Fault]:
    """A field that the API promises is a column of the table its schema is named after."""
    api, schema = library.tree("api_contracts"), library.documents.get("database_schema")
    if api is None or schema is None or not schema.tables:
        return
    for name, path, properties in _objects(_value(api)):
        table = next((schema.tables[form] for form in table_names(name) if form in schema.tables), None)
        if table is None:
            continue
        for field_name in properties:
            column = snake(field_name)
            if column in table.columns or f"{column}_encrypted" in table.columns:
                continue
            yield Fault(
                "api_db_consistency",
                f"{name} has the field {field_name!r}, the table {table.name!r} has no such column",
                _at(api, (*path, field_name)),
                f"add a migration for {table.name}.{column}, or take the field out of the contract",
                Place(schema.kind.path, *table.at),
            )


def _objects(api: Any) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Named schemas, and what requests send to a collection, each with its fields."""
    for name, schema in _mapping(api, "components", "schemas").items():
        yield from _fields(name, ("components", "schemas", name), schema)
    for route, item in _mapping(api, "paths").items():
        for method, operation in item.items() if isinstance(item, dict) else ():
            for kind, body in _mapping(operation, "requestBody", "content").items():
                where: Path = ("paths", route, method, "requestBody", "content", kind, "schema")
                first = next((part for part in route.split("/") if part and part not in ("api", "v1", "v2")), "")
                yield from _fields(first, where, body.get("schema") if isinstance(body, dict) else None)


def _fields(name: str, path: Path, schema: Any) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    properties = _mapping(schema, "properties")
    if properties:
        yield name, (*path, "properties"), properties
    parts = schema.get("allOf") if isinstance(schema, dict) else None
    for index, part in enumerate(parts if isinstance(parts, list) else []):
        yield from _fields(name, (*path, "allOf", index), part)


def snake(name: str) -> str:
    """``phoneNumber`` and ``PhoneNumber`` as ``phone_number``."""
    return _HUMP.sub(r"_\1", name).replace("-", "_").casefold()


def table_names(name: str) -> tuple[str, ...]:
    """How the table of a schema may be called: itself, or its plural."""
    plain = snake(name)
    plurals = [f"{plain}s", f"{plain}es"]
    if plain.endswith("y"):
        plurals.append(f"{plain[:-1]}ies")
    return (*plurals, plain)


# -- the user interface and the API


def interface_and_api(library: Library) -> Iterator[Fault]:
    """Every endpoint a component calls is in the contract."""
    components, api = library.tree("ui_components"), library.tree("api_contracts")
    if components is None or api is None:
        return
    known = {_route(name): methods for name, _, methods in paths(_value(api))}
    prefixes = _prefixes(_value(api))
    there = Place(api.kind.path, *(api.parsed.position(("paths",)) if api.parsed else (1, 1)))
    items = _value(components).get("components") if isinstance(_value(components), dict) else None
    for index, component in enumerate(items if isinstance(items, list) else []):
        endpoints = component.get("api_endpoints") if isinstance(component, dict) else None
        for number_, endpoint in enumerate(endpoints if isinstance(endpoints, list) else []):
            method, route = _call(str(endpoint), prefixes)
            methods = known.get(route)
            if methods is not None and (not method or method in methods):
                continue
            what = "is not in the contract" if methods is None else f"has no {method} in the contract"
            path: Path = ("components", index, "api_endpoints", number_)
            message = f"{component.get('name', 'a component')} calls {endpoint!r}, which {what}"
            hint = "add it to the contract, or correct the component"
            yield Fault("ui_api_consistency", message, _at(components, path), hint, there)


def _prefixes(api: Any) -> tuple[str, ...]:
    """The paths of the contract's servers: ``http://host/api`` serves ``/customers`` as ``/api/customers``."""
    servers = api.get("servers") if isinstance(api, dict) else None
    urls = (str(server.get("url", "")) for server in servers or () if isinstance(server, dict))
    found = ("/" + url.partition("://")[2].partition("/")[2] if "://" in url else url for url in urls)
    return tuple(prefix.rstrip("/") for prefix in found if prefix.strip("/"))


def _call(text: str, prefixes: tuple[str, ...]) -> tuple[str, str]:
    first, _, rest = text.strip().partition(" ")
    method, path = (first.upper(), rest) if first.upper() in _METHODS else ("", text.strip())
    for prefix in prefixes:
        if path.startswith(f"{prefix}/"):
            path = path.removeprefix(prefix)
    return method, _route(path)


def _route(path: str) -> str:
    """A path with every parameter alike, however it is called and spelled."""
    return _PARAMETER.sub("{}", path.partition("?")[0].strip().rstrip("/")) or "/"


# -- the design and what was integrated


def design_and_integrations(library: Library) -> Iterator[Fault]:
    """Every integration of the design is in the manifest; one that nobody designed is worth a note."""
    design, manifest = library.tree("system_design"), library.tree("integration_manifest")
    if design is None or manifest is None:
        return
    wanted = list(_integrations(_value(design)))
    path = next(occurrences(_value(manifest), "integrations"), None)
    found = _mapping(_value(manifest), *map(str, path)) if path else {}
    there = {_plain(name): name for name in found}
    for name, where in wanted:
        if _plain(name) not in there:
            message = f"the design integrates {name!r}, the manifest does not"
            hint = f"add {name} to {manifest.kind.path}"
            yield Fault("integration_complete", message, _at(design, where), hint, _at(manifest, path or ()))
    named = {_plain(name) for name, _ in wanted}
    for plain, name in there.items():
        if plain not in named:
            message = f"{name!r} is integrated, but not in the design"
            place = _at(manifest, (*(path or ()), name))
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


# -- what a deployment says of itself, and what was measured


def deployment_and_facts(library: Library) -> Iterator[Fault]:
    """No pre-check of the deployment says more than the engine measured, the tests gave and the error report holds."""
    manifest = library.tree("deployment_manifest")
    if manifest is None:
        return
    path = next(occurrences(_value(manifest), "pre_checks"), None)
    claims = _mapping(_value(manifest), *map(str, path)) if path else {}
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
        yield Fault("pre_checks", message, _at(manifest, (*(path or ()), name)), hint, place)


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
    failed = next(occurrences(_value(results), "failed"), None)
    total = next(occurrences(_value(results), "total"), None)
    if failed is not None and (count := number(_parsed_at(results, failed))) is not None:
        facts["tests_passed"] = (count == 0, _at(results, failed), f"{count:g} tests failed")
    if total is not None and number(_parsed_at(results, total)) == 0:
        facts["tests_passed"] = (False, _at(results, total), "there were no tests")
    figures = [(p, number(_parsed_at(results, p))) for p in occurrences(_value(results), "coverage")]
    known = [(p, figure) for p, figure in figures if figure is not None]
    if known:
        where, figure = min(known, key=lambda one: one[1])
        facts["coverage"] = (figure, _at(results, where), f"the test results say {figure:g}")
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


# -- documentation and its sources


def documents_and_sources(library: Library) -> Iterator[Fault]:
    """Every document is made from artifacts that are there, and from what they hold now."""
    manifest = library.tree("documentation_manifest")
    if manifest is None:
        return
    for path in occurrences(_value(manifest), "sources"):
        sources = _parsed_at(manifest, path)
        for index, source in enumerate(sources if isinstance(sources, list) else []):
            name = str(source.get("artifact", "")) if isinstance(source, dict) else str(source)
            kind = library.registry.named(name)
            found = library.documents.get(kind.key) if kind is not None else None
            where = _at(manifest, (*path, index))
            if found is None:
                message = f"the source {name!r} is {'not there' if kind else 'no registered artifact'}"
                there = Place(kind.path if kind else name)
                yield Fault("docs_sources", message, where, "name a registered artifact", there)
                continue
            said = str(source.get("sha256", "")) if isinstance(source, dict) else ""
            if said and said.casefold() != found.sha256:
                message = f"was made from {kind.name if kind else name} {said[:12]}, which is {found.sha256[:12]} now"
                yield Fault("docs_sources", message, where, "make the document again", Place(found.kind.path))


# -- counts that must add up


def counts_of_tests(library: Library) -> Iterator[Fault]:
    """The numbers of a test run add up, and as many failures are told as there were."""
    results = library.tree("test_results")
    path = next(occurrences(_value(results), "summary"), None) if results is not None else None
    if results is None or path is None:
        return
    summary = _mapping(_value(results), *map(str, path))
    counts = {name: number(summary.get(name)) for name in ("total", "passed", "failed", "skipped")}
    parts = [counts[name] or 0.0 for name in ("passed", "failed", "skipped")]
    if counts["total"] is not None and counts["total"] != sum(parts):
        message = f"total is {counts['total']:g}, but passed, failed and skipped are {sum(parts):g}"
        yield Fault("test_counts", message, _at(results, (*path, "total")), "write what the runner counted")
    told = next(occurrences(_value(results), "failures"), None)
    listed = _parsed_at(results, told) if told is not None else None
    if isinstance(listed, list) and counts["failed"] is not None and len(listed) != counts["failed"]:
        message = f"{counts['failed']:g} tests failed, {len(listed)} failures are told"
        is_note, there = len(listed) < counts["failed"], _at(results, (*path, "failed"))
        yield Fault("test_counts", message, _at(results, told or ()), other=there, is_note=is_note)


COMPARISONS: tuple[Callable[[Library], Iterator[Fault]], ...] = (
    api_and_database,
    interface_and_api,
    design_and_integrations,
    deployment_and_facts,
    results_and_facts,
    documents_and_sources,
    counts_of_tests,
)
# Which types each comparison looks at: it need not run when none of them changed.
SIDES: Mapping[Callable[[Library], Iterator[Fault]], frozenset[str]] = {
    api_and_database: frozenset({"api_contracts", "database_schema"}),
    interface_and_api: frozenset({"ui_components", "api_contracts"}),
    design_and_integrations: frozenset({"system_design", "integration_manifest"}),
    deployment_and_facts: frozenset({"deployment_manifest", "test_results", "error_reports"}),
    results_and_facts: frozenset({"test_results"}),
    documents_and_sources: frozenset({"documentation_manifest"}),
    counts_of_tests: frozenset({"test_results"}),
}


def sides(keys: frozenset[str]) -> frozenset[str]:
    """Everything that must be read to compare what changed with its other sides."""
    found = frozenset[str]().union(*(side for side in SIDES.values() if side & keys))
    return found | keys
