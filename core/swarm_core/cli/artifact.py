"""``swarm-tui artifact``: the registered artifacts, their state, their versions, and what each was made from."""

from __future__ import annotations

import argparse
import asyncio
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from swarm_core.artifacts.aside import judge
from swarm_core.artifacts.past import Version
from swarm_core.artifacts.validate import Judgement, refused, summary
from swarm_core.client import SwarmClient
from swarm_core.definitions.artifacts import load_registry
from swarm_core.vocabulary.artifacts import ArtifactType, Registry
from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.entities import Artifact
from swarm_core.vocabulary.errors import UsageError

from . import lineage
from .common import Parsers, add_run_option, chosen_run, here
from .lineage import short
from .paper import Line, columned, counted, put

INVALID_EXIT = 1


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("artifact", help="the artifacts of a run: list, show, compare, trace, check")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_run_option(actions.add_parser("ls", help="every registered artifact and its state in the run"))
    for name, told in (
        ("show", "one artifact: who writes it, its versions and what is wrong with it"),
        ("diff", "what changed between two versions (default: the last two)"),
        ("lineage", "where it comes from: who wrote each version, from what, decided how, on which evidence"),
    ):
        action = actions.add_parser(name, help=told)
        action.add_argument("artifact", metavar="ARTIFACT", help="its type, its path or its file's name")
        if name == "diff":
            action.add_argument("versions", metavar="N", nargs="*", type=int, help="one or two versions")
        if name == "lineage":
            action.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
        add_run_option(action)
    check = actions.add_parser("check", help="judge the artifacts in the working directory, and whether they agree")
    check.add_argument("artifact", metavar="ARTIFACT", nargs="*", help="only these")


def run(options: argparse.Namespace) -> int:
    client = here()
    if options.action == "check":
        return _check(client.layout.root, options.artifact)
    run_id = chosen_run(client, options.run)
    registry = load_registry(client.layout.run(run_id).dir)
    if options.action == "ls":
        return _list(client, run_id, registry)
    if options.action == "lineage":
        return lineage.show(client, run_id, options.artifact, as_json=options.as_json)
    kind, history = find(registry, options.artifact), lineage.read_history(client, run_id)
    versions = history.versions(kind.path)
    if options.action == "diff":
        return _diff(client, run_id, kind, versions, options.versions)
    put(_shown(kind, versions))
    return 0


def find(registry: Registry, name: str) -> ArtifactType:
    """Raises UsageError if no artifact is called so."""
    if (kind := registry.named(name)) is None:
        known = ", ".join(sorted(registry.types)) or "none"
        raise UsageError(f"there is no artifact {clean_line(name, 80)!r}", hint=f"artifacts: {known}")
    return kind


def _list(client: SwarmClient, run: str, registry: Registry) -> int:
    known = client.view(run).artifacts
    where = "the shipped registry" if registry.is_shipped else "the registry of the repository"
    kinds = registry.types.values()
    put([(f"{run}: {counted(len(kinds), 'artifact')} of {where}", 2)])
    put(columned([_row(kind, known.get(kind.path)) for kind in kinds], indent=2))
    for kind in kinds:
        state = known.get(kind.path)
        if state is not None and state.reason:
            put([(f"{kind.key} is {state.status}: {state.reason}", 2)])
    return 0


def _row(kind: ArtifactType, state: Artifact | None) -> tuple[str, ...]:
    if state is None:
        return kind.key, "declared", kind.path, kind.producer, ""
    return (
        kind.key,
        state.status,
        kind.path,
        kind.producer,
        f"v{state.version} {short(state.sha256)} {state.written_by}",
    )


def _shown(kind: ArtifactType, versions: list[Version]) -> Iterator[Line]:
    yield f"{kind.key} · {kind.path} · {kind.format}", 2
    told = {
        "producer": kind.producer,
        "consumers": ", ".join(kind.consumers) or "nobody",
        "depends on": ", ".join(kind.depends_on) or "nothing",
        "defined in": kind.place,
    }
    yield from ((f"  {name:<11}{text}", 13) for name, text in told.items())
    for version in versions:
        yield f"  {_version(version)}", 6
        yield from ((f"      {fault}", 8) for fault in version.faults)
    if not versions:
        yield "  not written in this run", 2


def _version(version: Version) -> str:
    gate = version.decisions[-1] if version.decisions else None
    parts = (
        f"v{version.number} {version.status} {short(version.sha256)}",
        f"{version.agent} in {version.task}",
        f"commit {short(version.commit)}" if version.commit else "",
        f"{gate.gate} {gate.verdict} by {gate.by}" if gate is not None and gate.verdict else "",
        f"merged as {short(version.merged_as)}" if version.merged_as else "",
        version.taken_back,
        version.reason if not version.faults else "",
    )
    return " · ".join(part for part in parts if part)


def _diff(client: SwarmClient, run: str, kind: ArtifactType, versions: list[Version], wanted: list[int]) -> int:
    known = [version for version in versions if version.commit]
    numbers = sorted(wanted) or [version.number for version in known[-2:]]
    found = [version for version in known if version.number in numbers]
    if len(found) != len(set(numbers)) or len(numbers) > 2 or not found:
        there = ", ".join(str(version.number) for version in known) or "none"
        raise UsageError(f"{kind.path} has no such versions to compare", hint=f"versions with a commit: {there}")
    first = found[0].commit if len(found) > 1 else f"{found[0].commit}^1"
    hub = client.layout.run(run).hub
    place = [f"--git-dir={hub}"] if hub.is_dir() else ["-C", str(client.layout.root)]
    git = ["git", *place, "-c", "core.fsmonitor=false"]
    flags = ["--no-ext-diff", "--no-textconv", "--no-color"]
    command = [*git, "diff", *flags, first, found[-1].commit, "--", f":(top,literal){kind.path}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = clean_line(done.stderr.decode(errors="replace").partition("\n")[0], 300)
        raise UsageError(
            f"git cannot compare them: {said}",
            hint="the commits of a run that was archived are in its backup: swarm-tui restore",
        )
    print(clean(done.stdout.decode("utf-8", "replace")), end="")
    return 0


# -- the working directory


def _check(root: Path, names: list[str]) -> int:
    registry = load_registry(root)
    kinds = [find(registry, name) for name in names] or list(registry.types.values())
    judgements: list[Judgement] = []
    files: list[tuple[ArtifactType, bytes]] = []
    for kind in kinds:
        content = read_artifact(root, kind)
        if isinstance(content, Judgement):
            judgements.append(content)
        elif content is not None:
            files.append((kind, content))
        elif names:
            judgements.append(refused(kind, "missing", "is not there", "write it"))
    judged = asyncio.run(judge(registry, files, compares=True)) if files else None
    judgements += judged.judgements if judged is not None else ()
    faults = [fault for judgement in judgements for fault in judgement.faults]
    faults += judged.contradictions if judged is not None else ()
    for fault in faults:
        print(clean_line(f"{fault}{f' -> {fault.hint}' if fault.hint else ''}"))
    for judgement in judgements:
        if judgement.missing:
            print(clean_line(f"{judgement.path}: {judgement.reason}"))
    print(f"{counted(len(judgements), 'artifact')}: {summary(judgements)}")
    is_well = all(judgement.is_valid for judgement in judgements) and all(fault.is_note for fault in faults)
    return 0 if is_well else INVALID_EXIT


def read_artifact(root: Path, kind: ArtifactType) -> bytes | Judgement | None:
    """An artifact's bytes, None if it is not there, or why it is none. No link is followed on the way to it."""
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *above, name = kind.path.split("/")
        for part in above:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = inner
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=held)
    except FileNotFoundError:
        return None
    except OSError:
        return refused(kind, "no_file", "is no file that can be read, or a link leads to it", "write the file itself")
    finally:
        os.close(held)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return refused(kind, "no_file", "is not a plain file", "write the file itself")
    with os.fdopen(fd, "rb") as file:
        return file.read(kind.max_bytes + 1)
