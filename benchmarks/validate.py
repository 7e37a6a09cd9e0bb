"""Claim: judging a 100 KB artifact costs at most half as much again as the bare libraries on the same bytes.

Each format is judged whole: size, text, keys given twice, places, rules. Beside it, in the same run: PyYAML's C loader
and jsonschema, json and jsonschema, sqlglot, PyYAML and openapi-spec-validator, markdown-it-py, html.parser. Last, the
whole set in a process of its own, as the engine does it, with that process's start.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from typing import Any

from swarm_core.artifacts.aside import judge
from swarm_core.artifacts.validate import validate
from swarm_core.definitions.artifacts import shipped_text
from swarm_core.vocabulary.artifacts import ArtifactType, Registry

SIZE_BYTES = 100_000
ROUNDS = 5
LIMIT = 1.5


def filled(part: Callable[[int], str], head: str = "", tail: str = "") -> bytes:
    text, number = head, 0
    while len(text) + len(tail) < SIZE_BYTES:
        text += part(number)
        number += 1
    return (text.rstrip(",") + tail).encode()


def contents() -> dict[str, bytes]:
    """A document of each format, about as large as an artifact may be."""
    service = "  s{0}:\n    type: rest\n    port: 3000\n    responsibilities: [a, b]\n"
    component = '{{"name": "C{0}", "type": "page", "path": "f/{0}.tsx", "api_endpoints": ["/a/{0}"]}},'
    table = "CREATE TABLE t{0} (id int PRIMARY KEY, name varchar(80) NOT NULL, at timestamp DEFAULT now());\n"
    path = '  /p{0}:\n    get:\n      responses:\n        "200": {{description: ok}}\n'
    return {
        "yaml": filled(service.format, "data_stores: {}\nintegrations: {}\nservices:\n"),
        "json": filled(component.format, '{"components": [', "]}"),
        "sql": filled(table.format),
        "openapi": filled(path.format, 'openapi: 3.0.0\ninfo: {title: T, version: "1"}\npaths:\n'),
        "markdown": filled("## Section {0}\n\n- **Status**: closed\n\n".format),
        "html": filled(
            "<p>line <b>{0}</b></p>\n".format, "<html><head><title>t</title></head><body>", "</body></html>"
        ),
    }


def kinds() -> dict[str, ArtifactType]:
    rules: dict[str, dict[str, Any]] = {
        "yaml": {"schema": "system_design", "required_fields": ("services",)},
        "json": {"schema": "ui_components", "required_fields": ("components",)},
        "sql": {"required_tables": ("t1",)},
        "openapi": {"version": "3.0.0"},
        "markdown": {"required_sections": ("Section 7",)},
        "html": {},
    }
    return {name: ArtifactType(name, f"artifacts/{name}", name, "x", **more) for name, more in rules.items()}


def parsers() -> dict[str, Callable[[bytes], Any]]:
    import openapi_spec_validator
    import sqlglot
    import yaml
    from jsonschema import Draft202012Validator
    from markdown_it import MarkdownIt

    schemas = yaml.safe_load(shipped_text("schemas.yml"))

    def fits(name: str, value: Any) -> bool:
        return not list(Draft202012Validator(schemas[name]).iter_errors(value))

    def plain_yaml(data: bytes) -> Any:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    def html(data: bytes) -> None:
        reader = HTMLParser()
        reader.feed(data.decode())
        reader.close()

    return {
        "yaml": lambda data: fits("system_design", plain_yaml(data)),
        "json": lambda data: fits("ui_components", json.loads(data)),
        "sql": lambda data: sqlglot.parse(data.decode(), dialect="postgres"),
        "openapi": lambda data: list(openapi_spec_validator.OpenAPIV30SpecValidator(plain_yaml(data)).iter_errors()),
        "markdown": lambda data: MarkdownIt().parse(data.decode()),
        "html": html,
    }


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> int:
    data, types, bare = contents(), kinds(), parsers()
    is_well = True
    for name, content in data.items():
        judgement = validate(types[name], content)
        if not judgement.is_valid:
            raise SystemExit(f"{name}: {judgement.reason}")
        ours, theirs = [], []
        for _ in range(ROUNDS):  # in turn, so that a busy machine slows both
            theirs.append(seconds(partial(bare[name], content)))
            ours.append(seconds(partial(validate, types[name], content)))
        ratio = statistics.median(ours) / statistics.median(theirs)
        is_well &= ratio <= LIMIT
        told = f"{statistics.median(ours) * 1e3:8.1f} ms, bare {statistics.median(theirs) * 1e3:8.1f} ms"
        print(f"{name:<9} {len(content):,} bytes  {told}  {ratio:6.2f}x · goal <= {LIMIT:g}x")
    registry = Registry(types)
    files = [(types[name], content) for name, content in data.items()]
    whole = [seconds(lambda: asyncio.run(judge(registry, files))) for _ in range(ROUNDS)]
    print(f"all six in a process of their own: {statistics.median(whole):.2f} s with its start and imports")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
