"""Whether the database and the user interface keep to the API's contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .fault import Fault, Place
from .library import Library, mapping_in, place_of, value_of
from .openapi_format import paths
from .parsed import Path

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_PARAMETER = re.compile(r"\{[^/}]*\}|:[A-Za-z_]\w*")
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"})


def api_and_database(library: Library) -> Iterator[Fault]:
    """A field that the API promises is a column of the table its schema is named after."""
    api, schema = library.tree("api_contracts"), library.documents.get("database_schema")
    if api is None or schema is None or not schema.tables:
        return
    for name, path, properties in _objects(value_of(api)):
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
                place_of(api, (*path, field_name)),
                f"add a migration for {table.name}.{column}, or take the field out of the contract",
                Place(schema.kind.path, *table.at),
            )


def _objects(api: Any) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Named schemas, and what requests send to a collection, each with its fields."""
    for name, schema in mapping_in(api, "components", "schemas").items():
        yield from _fields(name, ("components", "schemas", name), schema)
    for route, item in mapping_in(api, "paths").items():
        for method, operation in item.items() if isinstance(item, dict) else ():
            for kind, body in mapping_in(operation, "requestBody", "content").items():
                where: Path = ("paths", route, method, "requestBody", "content", kind, "schema")
                first = next((part for part in route.split("/") if part and part not in ("api", "v1", "v2")), "")
                yield from _fields(first, where, body.get("schema") if isinstance(body, dict) else None)


def _fields(name: str, path: Path, schema: Any) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    properties = mapping_in(schema, "properties")
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


def interface_and_api(library: Library) -> Iterator[Fault]:
    """Every endpoint a component calls is in the contract."""
    components, api = library.tree("ui_components"), library.tree("api_contracts")
    if components is None or api is None:
        return
    known = {_route(name): methods for name, _, methods in paths(value_of(api))}
    prefixes = _prefixes(value_of(api))
    there = Place(api.kind.path, *(api.parsed.position(("paths",)) if api.parsed else (1, 1)))
    items = value_of(components).get("components") if isinstance(value_of(components), dict) else None
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
            yield Fault("ui_api_consistency", message, place_of(components, path), hint, there)


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
