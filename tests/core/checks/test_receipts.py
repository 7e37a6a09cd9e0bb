"""Receipts are derived again from the journal: one that was edited, or counts what did not happen, is caught."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.support.crew import Run
from tests.support.measuring import fill, measure
from tests.support.story import planned, spec

from swarm_core.checks.receipts import examine
from swarm_core.engine.runner import Runner
from swarm_core.policy.effects import Act, SealPhase
from swarm_core.policy.receipts import receipt
from swarm_core.vocabulary.events import Draft

LIE = {"files": 99}


async def finished(root: Path, **lies: object) -> Runner:
    """A run that came to its end, its receipts written as the engine writes them, with ``lies`` in their counts."""
    run = await Run.open(root, spec("backend"), planned(1, "backend"))
    perform = run.crew.perform

    async def sealing(act: Act) -> None:
        if not isinstance(act, SealPhase):
            await perform(act)
            return
        document = receipt(run.runner.view, act.phase)
        document["counts"] |= lies
        path = run.runner.layout.receipt(act.phase)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        name = str(path.relative_to(run.runner.layout.dir))
        await run.runner.record(Draft("receipt.sealed", {"path": name, "sha256": sha256}, phase=act.phase))

    run.crew.perform = sealing  # type: ignore[method-assign]
    run.drive()
    await run.end()
    await run.stop()
    return run.runner


async def test_receipts_that_are_true_pass(tmp_path: Path) -> None:
    runner = await finished(tmp_path)
    found = examine(runner.layout.journal)
    assert (found.status, found.note, found.found) == ("pass", "2 receipts derived again", ())


async def test_a_receipt_edited_after_it_was_sealed_is_caught(tmp_path: Path) -> None:
    runner = await finished(tmp_path)
    path = runner.layout.receipt("build")
    path.write_text(path.read_text().replace('"merges": 1', '"merges": 2'))
    found = examine(runner.layout.journal)
    assert found.status == "fail"
    assert [(one.path, one.rule) for one in found.found] == [("build/build_receipt.json", "receipt")]


async def test_a_receipt_sealed_with_counts_that_are_not_so_is_caught(tmp_path: Path) -> None:
    runner = await finished(tmp_path, **LIE)
    found = examine(runner.layout.journal)
    assert (found.status, {one.rule for one in found.found}) == ("fail", {"counts"})
    assert "counts.files is 99" in found.found[0].message


async def test_a_receipt_that_is_gone_is_caught(tmp_path: Path) -> None:
    runner = await finished(tmp_path)
    runner.layout.receipt("plan").unlink()
    assert examine(runner.layout.journal).found[0].text.startswith("plan/plan_receipt.json: cannot be read")


async def test_a_run_without_receipts_and_no_run_at_all_are_not_measured(tmp_path: Path) -> None:
    run = await Run.open(tmp_path, spec("backend"))
    await run.stop()
    assert examine(run.runner.layout.journal).status == "not_measured"
    assert (await measure(fill(tmp_path / "t", {}), "kind: receipt_forensics")).result == "not_measured"


async def test_a_journal_that_is_not_whole_is_an_error(tmp_path: Path) -> None:
    runner = await finished(tmp_path)
    journal = runner.layout.journal
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([lines[0], lines[1].replace(b'"', b"'"), *lines[2:]]))
    found = examine(journal)
    assert (found.status, bool(found.hint)) == ("error", True)


@pytest.mark.parametrize("text", ["[]", "{}", '{"seq": "x"}'])
async def test_a_sealed_document_that_is_no_receipt_is_no_pass(tmp_path: Path, text: str) -> None:
    runner = await finished(tmp_path)
    path = runner.layout.receipt("plan")
    path.write_text(text)
    assert examine(runner.layout.journal).status == "fail"
