"""Claim: a 100 KB artifact is judged for at most half as much again as the bare library takes (or for 40 ms more, where
the library takes next to nothing), beside the event loop, which it never holds for longer than 20 ms.

Each format goes the engine's way: ``aside.judge``, a process of its own with its limits, and everything that is looked
at (size, text, keys given twice, places, rules). Beside it, in turn and in the same run: a process that is told in a
line of JSON how much to read, imports the bare library, parses the same bytes and answers in a line of JSON (PyYAML's C
loader and jsonschema, json and jsonschema, sqlglot, PyYAML and openapi-spec-validator, markdown-it-py, html.parser).
The second ratio is without processes: ``validate`` against the same calls in this one. Each is processor time, the
least of its rounds, since neighbours take the clock's. What holds the loop is timed callback by callback, in wall time;
its longest, median of the rounds.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.measure import environment, python

from swarm_core.artifacts.aside import judge
from swarm_core.artifacts.validate import validate
from swarm_core.definitions.artifacts import shipped_text
from swarm_core.vocabulary.artifacts import ArtifactType, Registry

SIZE_BYTES = 100_000
ROUNDS = 7
LIMIT = 1.5
START_MS = 40.0  # limits, rules and the answer, beside a library that is quick
HOLD_MS = 20.0

YAML = "yaml.load(data, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))"
SCHEMA = "list(Draft202012Validator(schema).iter_errors({}))"
HEAD = "import json, sys\ndata = sys.stdin.buffer.read(json.loads(sys.stdin.buffer.readline())['size'])\n"
# The bare peers: what they import, and what they do with ``data`` (and ``schema``).
PEERS = {
    "yaml": ("import yaml\nfrom jsonschema import Draft202012Validator", SCHEMA.format(YAML)),
    "json": ("import json\nfrom jsonschema import Draft202012Validator", SCHEMA.format("json.loads(data)")),
    "sql": ("import sqlglot", "sqlglot.parse(data.decode(), dialect='postgres')"),
    "openapi": (
        "import yaml\nfrom openapi_spec_validator import OpenAPIV30SpecValidator",
        f"list(OpenAPIV30SpecValidator({YAML}).iter_errors())",
    ),
    "markdown": ("from markdown_it import MarkdownIt", "MarkdownIt().parse(data.decode())"),
    "html": ("from html.parser import HTMLParser", "HTMLParser().feed(data.decode())"),
}
SCHEMAS = {"yaml": "system_design", "json": "ui_components"}


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
        "yaml": {"schema": SCHEMAS["yaml"], "required_fields": ("services",)},
        "json": {"schema": SCHEMAS["json"], "required_fields": ("components",)},
        "sql": {"required_tables": ("t1",)},
        "openapi": {"version": "3.0.0"},
        "markdown": {"required_sections": ("Section 7",)},
        "html": {},
    }
    return {name: ArtifactType(name, f"artifacts/{name}", name, "x", **more) for name, more in rules.items()}


@dataclass(slots=True)
class Times:
    """Processor seconds of one format's rounds: through a process and in this one, ours and the bare library's."""

    shipped: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> tuple[float, float]:
        return min(self.shipped) / min(self.process), min(self.ours) / min(self.bare)


class Holds:
    """How long each callback holds the event loop, while it is entered."""

    def __enter__(self) -> Holds:
        self.longest_s = 0.0
        self._run = run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            started = time.perf_counter()
            run(handle)
            self.longest_s = max(self.longest_s, time.perf_counter() - started)

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]


async def alone(program: str, content: bytes) -> None:
    """The bare library in a process of its own, fed as ours is."""
    child = await asyncio.create_subprocess_exec(
        *python("-P", "-c", program), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment()
    )
    await child.communicate(json.dumps({"size": len(content)}).encode() + b"\n" + content)
    if child.returncode:
        raise SystemExit(f"the bare library failed:\n{program}")


def processor_s() -> float:
    """Processor time of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def spent(work: Awaitable[Any]) -> float:
    before = processor_s()
    await work
    return processor_s() - before


def seconds(work: Callable[[], Any]) -> float:
    before = processor_s()
    work()
    return processor_s() - before


async def measure(name: str, kind: ArtifactType, content: bytes, schema: Any) -> Times:
    imports, call = PEERS[name]
    program = f"{HEAD}{imports}\nschema = {schema!r}\n{call}\nprint(json.dumps(len(data)))\n"
    names: dict[str, Any] = {"data": content, "schema": schema}
    exec(imports, names)
    here = partial(eval, compile(call, name, "eval"), names)
    registry, times = Registry({name: kind}), Times()
    for number in range(ROUNDS + 1):
        process = await spent(alone(program, content))
        bare = seconds(here)  # nothing else runs in this loop
        with Holds() as holds:
            shipped = await spent(asyncio.ensure_future(judge(registry, [(kind, content)])))
        ours = seconds(partial(validate, kind, content))
        if number:  # the first warms the file cache
            times.shipped.append(shipped)
            times.process.append(process)
            times.ours.append(ours)
            times.bare.append(bare)
            times.held.append(holds.longest_s)
    return times


def main() -> int:
    import yaml

    schemas, types = yaml.safe_load(shipped_text("schemas.yml")), kinds()
    is_well = True
    print(f"{'':9} {'engine':>9} {'bare':>9} {'ratio':>7}   {'in one process':>14}   {'loop held':>9}")
    for name, content in contents().items():
        judgement = validate(types[name], content)
        if not judgement.is_valid:
            raise SystemExit(f"{name}: {judgement.reason}")
        schema = json.loads(json.dumps(schemas[SCHEMAS[name]])) if name in SCHEMAS else None
        times = asyncio.run(measure(name, types[name], content, schema))
        whole, inner = times.ratios
        held_ms = statistics.median(times.held) * 1e3
        shipped, process = min(times.shipped) * 1e3, min(times.process) * 1e3
        is_cheap = whole <= LIMIT or shipped - process <= START_MS
        is_well &= is_cheap and inner <= LIMIT and held_ms <= HOLD_MS
        print(f"{name:<9} {shipped:6.0f} ms {process:6.0f} ms {whole:6.2f}x {inner:15.2f}x {held_ms:9.1f} ms")
    goal = f"each ratio <= {LIMIT:g}x or {START_MS:g} ms more, the loop held <= {HOLD_MS:g} ms"
    print(f"{'met' if is_well else 'MISSED'} · goal: {goal}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
