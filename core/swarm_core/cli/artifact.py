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
from swarm_core.artifacts.lineage import History, Version
from swarm_core.artifacts.validate import Judgement, refused, summary
from swarm_core.client import SwarmClient
from swarm_core.definitions.artifacts import load_registry
from swarm_core.vocabulary.artifacts import ArtifactType, Registry
from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.errors import UsageError

from .common import Parsers, add_run_option, chosen_run, here

INVALID_EXIT = 1
READ_BYTES = 1 << 22


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("artifact", help="the artifacts of a run: list, show, compare, trace, check")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_run_option(actions.add_parser("ls", help="every registered artifact and its state in the run"))
    for name, told in (
        ("show", "one artifact: who writes it, its versions and what is wrong with it"),
        ("diff", "what changed between two versions (default: the last two)"),
        ("lineage", "what its last version was made from, and that from what"),
    ):
        action = actions.add_parser(name, help=told)
        action.add_argument("artifact", metavar="ARTIFACT", help="its type, its path or its file's name")
        if name == "diff":
            action.add_argument("versions", metavar="N", nargs="*", type=int, help="one or two versions")
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
    kind, history = find(registry, options.artifact), read_history(client, run_id)
    lines = {"show": _shown, "lineage": lineage}
    if options.action == "diff":
        return _diff(client, run_id, kind, history, options.versions)
    for line in lines[options.action](kind, history):
        print(clean_line(line))
    return 0


def find(registry: Registry, name: str) -> ArtifactType:
    """Raises UsageError if no artifact is called so."""
    if (kind := registry.named(name)) is None:
        known = ", ".join(sorted(registry.types)) or "none"
        raise UsageError(f"there is no artifact {clean_line(name, 80)!r}", hint=f"artifacts: {known}")
    return kind


def read_history(client: SwarmClient, run: str) -> History:
    """All versions of a run's artifacts. Raises JournalError."""
    history, reader = History(), client.reader(run)
    while events := reader.poll(READ_BYTES):
        for event in events:
            history.take(event)
    reader.close()
    return history


def _list(client: SwarmClient, run: str, registry: Registry) -> int:
    known = client.view(run).artifacts
    where = "the shipped registry" if registry.is_shipped else "the registry of the repository"
    print(f"{run}: {len(registry.types)} artifacts of {where}")
    for kind in registry.types.values():
        state = known.get(kind.path)
        about = f"v{state.version} {state.sha256[:12]} {state.written_by}" if state is not None else ""
        status = state.status if state is not None else "declared"
        print(clean_line(f"  {kind.key:<24} {status:<9} {kind.path:<40} {kind.producer:<38} {about}".rstrip()))
        if state is not None and state.reason:
            print(clean_line(f"    {state.reason}"))
    return 0


def _shown(kind: ArtifactType, history: History) -> Iterator[str]:
    yield f"{kind.key}  {kind.path}  {kind.format}"
    yield f"  producer   {kind.producer}"
    yield f"  consumers  {', '.join(kind.consumers) or 'nobody'}"
    yield f"  depends on {', '.join(kind.depends_on) or 'nothing'}"
    yield f"  defined in {kind.place}"
    for version in history.versions.get(kind.path, []):
        yield f"  {_version(version)}"
        yield from (f"    {fault}" for fault in version.faults)
    if kind.path not in history.versions:
        yield "  not written in this run"


def _version(version: Version) -> str:
    parts = [f"v{version.number} {version.status} {version.sha256[:12]}", f"{version.task} by {version.agent}"]
    parts += [f"commit {version.commit[:12]}"] if version.commit else []
    parts += [f"{version.gate} {version.verdict} by {version.by}"] if version.gate else []
    parts += [f"merged as {version.merged_as[:12]}"] if version.merged_as else []
    parts += [version.reason] if version.reason else []
    return " · ".join(parts)


def lineage(kind: ArtifactType, history: History) -> Iterator[str]:
    """The last version, what decided it, and everything it was made from."""
    version = history.latest(kind.path)
    if version is None:
        yield f"{kind.path} was not written in this run"
        return
    yield f"{kind.path}  {_version(version)}"
    if version.evidence:
        yield f"  decided on evidence {version.evidence}"
    for depth, path, sha256, found in history.ancestry(version):
        told = _version(found) if found is not None else f"{sha256[:12]} · there before the run"
        yield f"{'  ' * depth}<- {path}  {told}"


def _diff(client: SwarmClient, run: str, kind: ArtifactType, history: History, wanted: list[int]) -> int:
    known = [version for version in history.versions.get(kind.path, []) if version.commit]
    numbers = sorted(wanted) or [version.number for version in known[-2:]]
    found = [version for version in known if version.number in numbers]
    if len(found) != len(set(numbers)) or len(numbers) > 2 or not found:
        there = ", ".join(str(version.number) for version in known) or "none"
        raise UsageError(f"{kind.path} has no such versions to compare", hint=f"versions with a commit: {there}")
    first = found[0].commit if len(found) > 1 else f"{found[0].commit}^1"
    git = ["git", f"--git-dir={client.layout.run(run).hub}", "-c", "core.fsmonitor=false"]
    flags = ["--no-ext-diff", "--no-textconv", "--no-color"]
    command = [*git, "diff", *flags, first, found[-1].commit, "--", f":(top,literal){kind.path}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise UsageError(f"git cannot compare them: {clean(done.stderr.decode(errors='replace'))[:300]}")
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
    print(f"{len(judgements)} artifacts: {summary(judgements)}")
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
