"""``.agent-artifacts/registry.yml`` and ``validation.json``: the formats of seed 000 as they stand.

The registry has ``artifact_types``, each with producer, consumers (a list or ``ALL``), format and path. The validation
rules have ``artifact_validation``, by file name, with required_fields, required_tables, max_size, version,
minimum_coverage and depends_on. Added: ``aliases`` in the registry; ``required_sections``, ``schema`` and ``dialect``
in the rules. A repository without a registry has the one that is shipped.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.artifacts import ALL, FORMATS, ArtifactType, Registry
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.layout import ARTIFACT_REGISTRY, ARTIFACT_VALIDATION

from .marked import Marked, compose, contents, decoded, read

DIALECTS = ("postgres", "sqlite", "mysql", "tsql", "oracle", "duckdb", "snowflake", "bigquery")
RESERVED = ("plan",)  # the architect's, which is no file of the repository
NO_SCHEMA = "none"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|KIB|MIB)?", re.IGNORECASE)
_UNITS = {"B": 1, "KB": 1000, "MB": 1000**2, "KIB": 1 << 10, "MIB": 1 << 20}
_MOST_BYTES = 8 << 20
_TYPE = ("producer", "consumers", "format", "path", "description")
_RULE = (
    "required_fields",
    "required_tables",
    "required_sections",
    "format",
    "max_size",
    "version",
    "minimum_coverage",
    "depends_on",
    "schema",
    "dialect",
    "description",
)
SHIPPED = "the shipped registry"
_EXPLAINED = "swarm-tui init --artifacts writes an example of both files"


def shipped_text(name: str) -> str:
    """A file of the shipped registry: ``registry.yml``, ``validation.json``, ``aliases.yml`` or ``schemas.yml``."""
    return files("swarm_core").joinpath("catalog", "artifacts", name).read_text(encoding="utf-8")


def load_registry(root: Path) -> Registry:
    """The repository's registry with its validation rules; the shipped one where it has none.

    Raises ConfigurationError with ``file:line`` and the next step.
    """
    registry, validation = root / ARTIFACT_REGISTRY, root / ARTIFACT_VALIDATION
    has_own, has_rules = _is_plain(registry), _is_plain(validation)
    if not has_own and not has_rules:
        return shipped_registry()
    rules = _read_json(validation) if has_rules else None
    if has_own:
        return parse_registry(read(registry), rules)
    return parse_registry(_shipped("registry.yml"), rules, named=SHIPPED, is_shipped=True)


@cache
def shipped_registry() -> Registry:
    """The registry of a repository that has none of its own."""
    return parse_registry(_shipped("registry.yml"), _shipped("validation.json"), named=SHIPPED, is_shipped=True)


def _shipped(name: str) -> Marked:
    return compose(shipped_text(name), name)


def parse_registry(
    marked: Marked, rules: Marked | None, *, named: str = ARTIFACT_REGISTRY, is_shipped: bool = False
) -> Registry:
    """Turn the two parsed documents into a Registry. Raises ConfigurationError."""
    top = marked.fields(("artifact_types", "aliases", "version"))
    if "artifact_types" not in top:
        raise marked.wrong("artifact_types is missing", _EXPLAINED)
    types: dict[str, ArtifactType] = {}
    places: dict[str, Marked] = {}
    for key, entry in top["artifact_types"].items():
        kind = _type(key, entry, named)
        if (other := next((t for t in types.values() if _same_file(t.path, kind.path)), None)) is not None:
            line = places[other.key].line
            who = f"{kind.producer} and {other.producer}" if kind.producer != other.producer else kind.producer
            what = f"{kind.path} is already {other.key}'s (line {line}): {who} would both write it"
            raise entry.wrong(what, "give each artifact a path and one producer of its own")
        types[key], places[key] = kind, entry
    shipped = _shipped_kinds() if not is_shipped else types
    for key, kind in types.items():
        if (ours := shipped.get(key)) is not None and (ours.path, ours.format) == (kind.path, kind.format):
            types[key] = replace(kind, schema=key if _has_schema(key) else "")
    if rules is not None:
        _add_rules(types, rules, named)
    aliases = _aliases(compose(shipped_text("aliases.yml"), "aliases.yml"))
    if "aliases" in top:
        aliases |= _aliases(top["aliases"])
    return Registry(types, aliases, is_shipped)


# -- the registry


def _type(key: str, entry: Marked, named: str) -> ArtifactType:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", key) is None or key in RESERVED:
        raise entry.wrong(f"{key!r} cannot name an artifact", "letters, digits, _ and -; not " + ", ".join(RESERVED))
    fields = entry.fields(_TYPE)
    if missing := sorted({"producer", "consumers", "format", "path"} - fields.keys()):
        raise entry.wrong(
            f"{', '.join(missing)} missing", f"an artifact has producer, consumers, format and path; {_EXPLAINED}"
        )
    return ArtifactType(
        key=key,
        path=_path(fields["path"]),
        format=_format(fields["format"]),
        producer=_name(fields["producer"]),
        consumers=_consumers(fields["consumers"]),
        place=f"{named}:{entry.line}",
    )


def _format(marked: Marked) -> str:
    value = marked.text()
    if value not in FORMATS:
        close = difflib.get_close_matches(value, FORMATS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"formats: {', '.join(FORMATS)}"
        raise marked.wrong(f"{value!r} is not a known format", hint)
    return value


def _name(marked: Marked) -> str:
    if not (value := marked.text().strip()):
        raise marked.wrong("is empty", "name an agent")
    return value


def _consumers(marked: Marked) -> tuple[str, ...]:
    if not hasattr(marked.node, "value") or isinstance(marked.node.value, str):
        if marked.text() != ALL:
            raise marked.wrong(f"must be a list of agents or {ALL}", f"write [{marked.text()}] or {ALL}")
        return (ALL,)
    return tuple(_name(item) for item in marked.sequence())


def _path(marked: Marked) -> str:
    """A plain repository-relative path. What climbs, is absolute or enters git's or the engine's own is refused."""
    value = marked.text().strip()
    parts = value.split("/")
    if value.startswith("/") or ".." in parts or "\\" in value or not value.isprintable():
        raise marked.wrong(f"{value!r} leaves the repository", "write a path relative to the repository's top")
    parts = [part for part in parts if part not in ("", ".")]
    if not parts or parts[0].casefold().rstrip(" .") in (".git", ".multi-agent", ".runs"):
        raise marked.wrong(f"{value!r} cannot be an artifact's path", "write one like artifacts/system-design.yml")
    return "/".join(parts)


def _same_file(a: str, b: str) -> bool:
    """Whether two paths are one file, on a disk that ignores case as well."""
    return a.casefold().replace(".yaml", ".yml") == b.casefold().replace(".yaml", ".yml")


def _aliases(marked: Marked) -> dict[str, str]:
    """``aliases``: the registry's name of an agent, then its other names."""
    plain = Registry()
    found: dict[str, str] = {}
    for name, others in marked.items():
        for other in others.texts():
            found[plain.agent(other)] = plain.agent(name)
    return found


# -- the validation rules


def _add_rules(types: dict[str, ArtifactType], marked: Marked, named: str) -> None:
    top = marked.fields(("artifact_validation", "version"))
    if "artifact_validation" not in top:
        raise marked.wrong("artifact_validation is missing", _EXPLAINED)
    registry = Registry(dict(types))
    ruled: dict[str, Marked] = {}
    for name, entry in top["artifact_validation"].items():
        kind = _known(registry, name, entry, named)
        fields = entry.fields(_RULE)
        if kind.key in ruled:
            raise entry.wrong(f"{kind.path} already has rules in line {ruled[kind.key].line}", "keep one of them")
        if "format" in fields and _format(fields["format"]) != kind.format:
            raise fields["format"].wrong(f"{kind.key} is {kind.format} in {kind.place}", "give it one format")
        ruled[kind.key] = entry
        types[kind.key] = replace(kind, **_rule(fields, registry, named, kind))
    _refuse_cycles(types, ruled)


def _known(registry: Registry, name: str, marked: Marked, named: str) -> ArtifactType:
    if (kind := registry.named(name)) is not None:
        return kind
    names = [kind.name for kind in registry.types.values()]
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"add it to {named}; there are: {', '.join(sorted(names))}"
    raise marked.wrong(f"{name!r} is not a registered artifact", hint)


def _rule(fields: Mapping[str, Marked], registry: Registry, named: str, kind: ArtifactType) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("required_fields", "required_tables", "required_sections"):
        if name in fields:
            found[name] = fields[name].texts()
    if "depends_on" in fields:
        found["depends_on"] = tuple(_known(registry, i.text(), i, named).key for i in fields["depends_on"].sequence())
    if "max_size" in fields:
        found["max_bytes"] = _size(fields["max_size"])
    if "version" in fields:
        found["version"] = fields["version"].text()
    if "minimum_coverage" in fields:
        found["minimum_coverage"] = _percentage(fields["minimum_coverage"])
    if "dialect" in fields:
        found["dialect"] = fields["dialect"].choice(DIALECTS)
    if "schema" in fields:
        value = fields["schema"].text()
        if value != NO_SCHEMA and not _has_schema(value):
            raise fields["schema"].wrong(f"{value!r} is not a shipped schema", f"write {NO_SCHEMA!r} for none")
        found["schema"] = "" if value == NO_SCHEMA else value
    return found


def _size(marked: Marked) -> int:
    """Bytes. KB and MB are powers of a thousand, KiB and MiB of 1024."""
    match = _SIZE.fullmatch(marked.text().strip())
    size = int(float(match[1]) * _UNITS[(match[2] or "B").upper()]) if match else 0
    if not 0 < size <= _MOST_BYTES:
        raise marked.wrong(f"{marked.text()!r} is not a size up to 8 MiB", "write it as 100KB")
    return size


def _percentage(marked: Marked) -> float:
    text = marked.text().strip().removesuffix("%")
    if re.fullmatch(r"\d{1,3}(\.\d+)?", text) is None or float(text) > 100:
        raise marked.wrong(f"{marked.text()!r} is not a percentage", "write a number from 0 to 100")
    return float(text)


def _refuse_cycles(types: Mapping[str, ArtifactType], ruled: Mapping[str, Marked]) -> None:
    """Raises ConfigurationError for artifacts that need each other: none of them could ever be written first."""
    done: set[str] = set()
    for start in types:
        trail: list[str] = []
        stack = [(start, iter(types[start].depends_on))] if start not in done else []
        trail.append(start)
        while stack:
            key, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(key)
                stack.pop()
                trail.pop()
            elif following in trail:
                names = [*trail[trail.index(following) :], following]
                raise ruled[following].wrong(
                    f"depends on itself: {' -> '.join(types[name].name for name in names)}",
                    "take one of these out of a depends_on",
                )
            elif following not in done:
                trail.append(following)
                stack.append((following, iter(types[following].depends_on)))


# -- files


def _is_plain(path: Path) -> bool:
    """Whether there is a file to be read; what is there and is none, or is a link, is an error with its place."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=path) from None
    if not path.is_file() or path.is_symlink() or path.parent.is_symlink():
        raise ConfigurationError("is not a plain file", path=path, line=1, hint="replace it by the file itself")
    if found.st_size > 1 << 20:
        raise ConfigurationError("is larger than 1 MiB", path=path, line=1, hint="a registry is a page of text")
    return True


def _read_json(path: Path) -> Marked:
    """JSON is read as the YAML it is, for the places; tabs between its tokens are white space in one of them only."""
    text = decoded(contents(path), path)
    return compose(text.replace("\t", " "), path)


def _has_schema(key: str) -> bool:
    return key in _schema_names()


def _schema_names() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z_]+):", shipped_text("schemas.yml"), re.MULTILINE))


def _shipped_kinds() -> Mapping[str, ArtifactType]:
    top = compose(shipped_text("registry.yml"), "registry.yml").fields(("artifact_types", "aliases", "version"))
    return {key: _type(key, entry, "the shipped registry") for key, entry in top["artifact_types"].items()}
