"""A process of its own judges artifacts: whatever a file holds, the others are judged, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support.artifacts import needs_validators, samples, shipped

from swarm_core.artifacts.aside import judge
from swarm_core.artifacts.library import Measured
from swarm_core.vocabulary.artifacts import ArtifactType, Registry


@pytest.fixture(autouse=True)
def _extra() -> None:
    needs_validators()


def test_all_samples_are_judged_and_compared_in_one_process() -> None:
    import asyncio

    registry = shipped()
    files = [(registry.types[key], text.encode()) for key, text in samples().items()]
    judged = asyncio.run(judge(registry, files, compares=True, measured={"coverage": Measured(12.0, "checks/c.txt")}))
    assert len(judged.judgements) == len(files)
    assert judged.invalid == ()
    codes = {fault.code for fault in judged.contradictions}
    assert {"pre_checks", "integration_complete"} <= codes
    assert any("12 was measured" in fault.message for fault in judged.contradictions)


async def test_a_file_that_never_ends_being_judged_is_refused_and_the_others_are_not() -> None:
    """A schema expression that takes sqlglot minutes stands for every text that some library chokes on."""
    registry = Registry(
        {
            "slow": ArtifactType("slow", "artifacts/slow.sql", "sql", "x", max_bytes=8 << 20),
            "good": ArtifactType("good", "artifacts/good.yml", "yaml", "x"),
        }
    )
    slow = b"SELECT 1 + 2 AS a FROM t;\n" * 200_000
    started = time.monotonic()
    judged = await judge(registry, [(registry.types["slow"], slow), (registry.types["good"], b"a: 1\n")], limit_s=2.0)
    assert time.monotonic() - started < 20
    assert [judgement.status for judgement in judged.judgements] == ["invalid", "valid"]
    assert "could not be judged within 2 s" in judged.judgements[0].reason
    assert judged.judgements[0].reason.startswith("artifacts/slow.sql:1:1: ")


async def test_too_large_a_file_is_not_even_sent() -> None:
    registry = shipped()
    kind = registry.types["system_design"]
    judged = await judge(registry, [(kind, b"x" * 50_000_000)])
    assert "is 50,000,000 bytes" in judged.judgements[0].reason


async def test_nothing_of_the_engines_environment_reaches_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "x.py"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "yaml.py").write_text("raise SystemExit('the wrong module')\n")
    registry = shipped()
    judged = await judge(registry, [(registry.types["system_design"], samples()["system_design"].encode())])
    assert judged.judgements[0].is_valid
