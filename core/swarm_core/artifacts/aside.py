"""Has artifacts judged beside the event loop, in time and memory that are bounded whatever the files hold."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.artifacts import ArtifactType, Registry

from .consistency import NAMING
from .fault import Fault, Place
from .library import Measured
from .validate import Judgement, refused, too_large
from .worker import registry_data

LIMIT_S = 20.0
MAX_ANSWER_BYTES = 8 << 20
_TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a set of files: a judgement of each, and what does not agree between them."""

    judgements: tuple[Judgement, ...] = ()
    contradictions: tuple[Fault, ...] = ()

    @property
    def invalid(self) -> tuple[Judgement, ...]:
        return tuple(judgement for judgement in self.judgements if not judgement.is_valid)


@dataclass(slots=True)
class _Progress:
    judgements: dict[str, Judgement] = field(default_factory=dict)
    contradictions: tuple[Fault, ...] = ()
    at: str = ""


async def judge(
    registry: Registry,
    files: Sequence[tuple[ArtifactType, bytes]],
    *,
    compares: bool = False,
    measured: Mapping[str, Measured] | None = None,
    limit_s: float = LIMIT_S,
) -> Judged:
    """Judge each file, and with ``compares`` whether they agree. Never raises for what a file holds.

    A file at which the judging process dies or takes longer than ``limit_s`` is invalid, and the others are judged
    without it.
    """
    done = _Progress()
    for kind, content in files:
        if (found := too_large(kind, len(content))) is not None:
            done.judgements[kind.key] = found
    left = [(kind, content) for kind, content in files if kind.key not in done.judgements]
    while left or compares:
        before = len(done.judgements)
        code = await _run(registry, left, compares, measured or {}, limit_s, done)
        if code == 0:
            break
        if done.at == "consistency":
            place = Place(left[0][0].path if left else "artifacts")
            done.contradictions = (Fault("limit", "could not be compared within its limits", place),)
            break
        stuck = next((kind for kind, _ in left if kind.key == done.at), left[0][0] if left else None)
        if stuck is None:
            break
        message = f"could not be judged within {limit_s:g} s and its share of memory"
        done.judgements[stuck.key] = refused(stuck, "limit", message, "make it smaller and simpler")
        left = [(kind, content) for kind, content in left if kind.key not in done.judgements or compares]
        left = [(kind, content) for kind, content in left if kind.key != stuck.key]
        assert len(done.judgements) > before
    keys = [kind.key for kind, _ in files]
    return Judged(tuple(done.judgements[key] for key in keys if key in done.judgements), done.contradictions)


async def _run(
    registry: Registry,
    files: Sequence[tuple[ArtifactType, bytes]],
    compares: bool,
    measured: Mapping[str, Measured],
    limit_s: float,
    done: _Progress,
) -> int:
    """One worker for all of ``files``; its exit code. What it judged before it died is kept."""
    request = {
        "limit_s": limit_s,
        "registry": registry_data(_of_these(registry, files, compares)),
        "files": [{"key": kind.key, "size": len(content)} for kind, content in files],
        "compares": compares,
        "measured": {name: [fact.value, fact.evidence] for name, fact in measured.items()},
    }
    header = json.dumps(request).encode() + b"\n"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "swarm_core.artifacts.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(_TOP), "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
        start_new_session=True,
        limit=MAX_ANSWER_BYTES,
    )
    try:
        async with asyncio.timeout(limit_s + 2):
            await asyncio.gather(_feed(process, header, files), _listen(process, registry, done))
            return await process.wait()
    except TimeoutError:
        return -1
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _of_these(registry: Registry, files: Sequence[tuple[ArtifactType, bytes]], compares: bool) -> Registry:
    """What the worker has to know: the types of the files, and all of them only where sources are looked up by name."""
    keys = [kind.key for kind, _ in files]
    if compares and not NAMING.isdisjoint(keys):
        return registry
    return Registry({key: registry.types[key] for key in keys}, {}, registry.is_shipped)


async def _feed(
    process: asyncio.subprocess.Process, header: bytes, files: Sequence[tuple[ArtifactType, bytes]]
) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it died; its exit code says so
        for part in (header, *(content for _, content in files)):
            process.stdin.write(part)
            await process.stdin.drain()
        process.stdin.close()


async def _listen(process: asyncio.subprocess.Process, registry: Registry, done: _Progress) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        _take(json.loads(line), registry, done)


def _take(answer: Mapping[str, Any], registry: Registry, done: _Progress) -> None:
    if "begins" in answer:
        done.at = str(answer["begins"])
    elif "contradictions" in answer:
        done.contradictions = tuple(Fault.of(data) for data in answer["contradictions"])
    else:
        faults = tuple(Fault.of(data) for data in answer["faults"])
        path = registry.types[answer["key"]].path
        done.judgements[answer["key"]] = Judgement(path, str(answer["sha256"]), faults, str(answer["missing"]))
