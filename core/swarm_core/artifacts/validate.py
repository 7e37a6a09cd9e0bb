"""Is an artifact what its type says it must be. Bytes in, faults with file, line and column out; no disk, no network.

What reads a format is imported when a file needs it: most of what a small file costs is the start of its process. What
cannot be measured because a library is missing is ``not_measured``, which is never ``valid``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from swarm_core.vocabulary.artifacts import ArtifactType
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.rules import MATRIX_FILE

from .fault import Fault, Faults, Place, errors
from .parsed import Parsed, number, occurrences

if TYPE_CHECKING:
    from .sql_format import Table
    from .text_formats import Heading

EXTRA = 'pip install "swarm-tui[validators]"'


@dataclass(slots=True)
class Document:
    """An artifact that was read: what its format gives, for the checks that look at several of them."""

    kind: ArtifactType
    text: str
    sha256: str
    parsed: Parsed | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    headings: list[Heading] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of it. ``missing`` names the library without which it could not be measured."""

    path: str
    sha256: str
    faults: tuple[Fault, ...] = ()
    missing: str = ""

    @property
    def status(self) -> str:
        """``valid``, ``invalid`` or ``not_measured``."""
        if errors(self.faults):
            return "invalid"
        return "not_measured" if self.missing else "valid"

    @property
    def is_valid(self) -> bool:
        return self.status == "valid"

    @property
    def reason(self) -> str:
        """Why it is not valid, in one line; empty if it is."""
        found = errors(self.faults)
        if found:
            return f"{found[0]}{f' (and {len(found) - 1} more)' if len(found) > 1 else ''}"
        return f"not measured: {self.missing} is not installed ({EXTRA})" if self.missing else ""


def validate(kind: ArtifactType, content: bytes) -> Judgement:
    """Judge the bytes of an artifact."""
    return examine(kind, content)[0]


def examine(kind: ArtifactType, content: bytes) -> tuple[Judgement, Document | None]:
    """As ``validate``, with the document that was read; None if it could not be."""
    faults, missing = Faults(kind.path), ""
    sha256 = hashlib.sha256(content).hexdigest()
    document = None
    text = _text(kind, content, faults)
    if text is not None:
        document = Document(kind, text, sha256)
        try:
            _FORMATS[kind.format](document, faults)
            if document.parsed is not None:
                _judge(document.parsed, kind, faults)
                if kind.path == MATRIX_FILE and not errors(faults.found()):
                    _judge_rules(content, faults)
        except ImportError as error:
            missing = (error.name or "a library").partition(".")[0]
        except RecursionError:
            faults.add("depth", "is nested too deep to be judged", hint="flatten it")
        except Exception as error:  # noqa: BLE001 -- a library that stumbles over hostile text is a fault of the text
            document = None
            faults.add("unreadable", f"cannot be judged: {type(error).__name__}: {error}", hint="write it more plainly")
    return Judgement(kind.path, sha256, tuple(faults.found()), missing), document


def too_large(kind: ArtifactType, size_bytes: int) -> Judgement | None:
    """The judgement of a file that need not be read; None if it must be."""
    if size_bytes <= kind.max_bytes:
        return None
    faults = Faults(kind.path)
    _say_size(kind, size_bytes, faults)
    return Judgement(kind.path, "", tuple(faults.found()))


def refused(kind: ArtifactType, code: str, message: str, hint: str = "") -> Judgement:
    """The judgement of something that cannot be read at all: a link, a directory, nothing."""
    return Judgement(kind.path, "", (Fault(code, message, Place(kind.path), hint),))


def dependency_faults(kind: ArtifactType, paths: Mapping[str, str], standing: Mapping[str, str]) -> list[Fault]:
    """What is wrong with what an artifact depends on.

    ``paths`` leads from keys to paths, ``standing`` from paths to states (``missing``, ``stale``, ``invalid``, …).
    """
    faults = Faults(kind.path)
    for key in kind.depends_on:
        path = paths[key]
        state = standing.get(path, "missing")
        if state in ("missing", "stale", "invalid", "declared"):
            words = "does not exist" if state in ("missing", "declared") else f"is {state}"
            faults.add("depends_on", f"depends on {path}, which {words}", other=Place(path))
    return faults.found()


def _say_size(kind: ArtifactType, size_bytes: int, faults: Faults) -> None:
    message = f"is {size_bytes:,} bytes, more than the {kind.max_bytes:,} it may have"
    hint = f"shorten it, or raise max_size of {kind.name} in .agent-artifacts/validation.json"
    faults.add("max_size", message, hint=hint)


def _text(kind: ArtifactType, content: bytes, faults: Faults) -> str | None:
    if len(content) > kind.max_bytes:
        _say_size(kind, len(content), faults)
        return None
    if (nul := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, nul) + 1
        column = nul - content.rfind(b"\n", 0, nul)
        faults.add("binary", "is binary: there is a NUL byte", line, column, hint=f"write it as {kind.format} text")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        faults.add("encoding", f"is not UTF-8 text (byte {error.start})", line, column, hint="save it as UTF-8")
        return None


# -- formats


def _read_yaml(document: Document, faults: Faults) -> None:
    from . import yaml_format

    document.parsed = yaml_format.parse(document.text, faults)


def _read_json(document: Document, faults: Faults) -> None:
    from . import json_format

    document.parsed = json_format.parse(document.text, faults)


def _read_openapi(document: Document, faults: Faults) -> None:
    from . import openapi_format

    is_json = document.text.lstrip().startswith("{")
    (_read_json if is_json else _read_yaml)(document, faults)
    if document.parsed is not None:
        openapi_format.check(document.parsed, document.text, faults)


def _read_sql(document: Document, faults: Faults) -> None:
    from . import sql_format

    kind = document.kind
    tables = sql_format.parse(document.text, kind.dialect, faults)
    if tables is not None:
        document.tables = tables
        sql_format.required(tables, kind.required_tables, document.text, faults)


def _read_markdown(document: Document, faults: Faults) -> None:
    from . import text_formats

    document.headings = text_formats.check_markdown(document.text, document.kind.required_sections, faults)


def _read_html(document: Document, faults: Faults) -> None:
    from . import text_formats

    text_formats.check_html(document.text, faults)


_FORMATS: Mapping[str, Callable[[Document, Faults], None]] = {
    "yaml": _read_yaml,
    "json": _read_json,
    "openapi": _read_openapi,
    "sql": _read_sql,
    "markdown": _read_markdown,
    "html": _read_html,
}


# -- rules on values


def _judge(parsed: Parsed, kind: ArtifactType, faults: Faults) -> None:
    if not isinstance(parsed.value, (dict, list)):
        faults.add("shape", "is a single value, not a document with fields")
        return
    for name in kind.required_fields:
        if next(occurrences(parsed.value, name), None) is None:
            faults.add("required_fields", f"the field {name!r} is missing", hint=f"add {name}")
    if kind.version:
        _judge_version(parsed, kind, faults)
    if kind.minimum_coverage is not None:
        _judge_coverage(parsed, kind.minimum_coverage, faults)
    if kind.schema:
        _judge_schema(parsed, kind, faults)


def _judge_version(parsed: Parsed, kind: ArtifactType, faults: Faults) -> None:
    """Of a contract, the version of OpenAPI counts, and of that the first two numbers."""
    name = "openapi" if kind.format == "openapi" else "version"
    path = next(occurrences(parsed.value, name), None)
    if path is None:
        if kind.format != "openapi":  # there, that is told already
            faults.add("version", "says no version", hint=f"add version: {kind.version}")
        return
    said, wanted = parsed.text(path), kind.version
    if kind.format == "openapi":
        said, wanted = (".".join(text.split(".")[:2]) for text in (said, wanted))
    if said != wanted:
        message = f"{name} is {parsed.text(path)!r}, not {kind.version!r}"
        faults.add("version", message, *parsed.position(path), hint=f"write {name}: {kind.version}")


def _judge_coverage(parsed: Parsed, minimum: float, faults: Faults) -> None:
    """Every figure that is called coverage counts: the lowest cannot hide behind a higher one."""
    found = [(path, number(parsed.at(path))) for path in occurrences(parsed.value, "coverage")]
    figures = [(path, figure) for path, figure in found if figure is not None]
    if not figures:
        path = found[0][0] if found else ()
        faults.add(
            "minimum_coverage", "says no coverage as a number", *parsed.position(path), hint="add coverage: 87.3"
        )
        return
    path, figure = min(figures, key=lambda one: one[1])
    if figure < minimum:
        faults.add("minimum_coverage", f"coverage {figure:g} is below {minimum:g}", *parsed.position(path))


def _judge_rules(content: bytes, faults: Faults) -> None:
    """The decision matrix holds rules that can be carried out; what cannot would change nothing once it is merged."""
    from swarm_core.definitions.matrix import read_matrix

    try:
        read_matrix(content, MATRIX_FILE)
    except ConfigurationError as error:
        line = error.line or 1
        faults.add("rules", error.message.removeprefix(f"{MATRIX_FILE}:{line}: "), line, hint=error.hint)


def _judge_schema(parsed: Parsed, kind: ArtifactType, faults: Faults) -> None:
    for error in sorted(_schema(kind.schema).iter_errors(parsed.value), key=lambda error: list(map(str, error.path))):
        path = tuple(error.absolute_path)
        name = ".".join(str(step) for step in path) or "the document"
        if error.validator == "required" and error.message.split("'")[1] in kind.required_fields:
            continue  # told by its own rule
        faults.add("schema", f"{name}: {error.message}", *parsed.position(path))
        if faults.is_full:
            return


@cache
def _schema(name: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(_schemas()[name])


@cache
def _schemas() -> Any:
    from importlib.resources import files

    import yaml

    text = files("swarm_core").joinpath("catalog", "artifacts", "schemas.yml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def summary(judgements: Sequence[Judgement]) -> str:
    """How many are what, in words."""
    counts = {status: sum(j.status == status for j in judgements) for status in ("valid", "invalid", "not_measured")}
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items() if count) or "none"
