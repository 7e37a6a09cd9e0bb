"""Coverage decides at the gate: 79.9 blocks, 80.0 passes, and deleting a test to get there is caught.

A real suite of a thousand lines is run by the engine on what an approval would bring about.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cli import wait_until
from tests.support.staged import Staged, handoff, stage, work, write

pytestmark = pytest.mark.timeout(180)
PYTHON = f"'{sys.executable}'"  # its path may hold a space
TOOL = f"{PYTHON} -m coverage"
CONFIG = f"""\
checks:
  - name: coverage
    kind: coverage
    command: "{TOOL} run --include=src/m.py -m pytest -q -p no:cacheprovider . && {TOOL} json -q -o {{report}}"
  - name: deleted
    kind: tests_not_deleted
services:
  backend: {{directories: [src, tests]}}
"""
HEAD = "import sys\nsys.path.insert(0, 'src')\nimport m\n"
LOW = "def test_low():\n    assert m.f(0) == 2\n"
HIGH = "def test_high():\n    assert m.f(1) == 2\n"


def module(ran: int, total: int) -> str:
    """Source of ``total`` statements, of which f(0) runs ``ran`` and f(1) all."""
    body = "".join(f"    a{n} = {n}\n" for n in range(ran - 3))
    rest = "".join(f"        b{n} = {n}\n" for n in range(total - ran))
    return f"def f(x):\n{body}    if x:\n{rest}    return 2\n"


@pytest.fixture
def played(tmp_path: Path) -> Iterator[list[Staged]]:
    runs: list[Staged] = []
    yield runs
    for one in runs:
        one.stop()


def test_79_9_cannot_be_approved_and_80_0_is_merged_and_landed(tmp_path: Path, played: list[Staged]) -> None:
    files = {"src/m.py": module(90, 100), "tests/test_m.py": HEAD + LOW}
    below, enough = write("src/m.py", module(799, 1000)), write("src/m.py", module(800, 1000))
    backend = work("backend", [below, handoff("Coverage is at 86 %.")], [enough, handoff("Covered.")])
    run = stage(tmp_path / "small", CONFIG, backend, files=files)
    played.append(run)
    with run.under_way():
        run.decide("approve", run.gate("plan"))
        low = run.gate("merge")
        (coverage, deleted) = (check for check in low.checks if check.name in ("coverage", "deleted"))
        assert (coverage.status, coverage.value, coverage.threshold) == ("fail", 79.9, ">= 80")
        assert deleted.status == "pass"
        assert "coverage is required and failed (79.9% (>= 80))" in run.refused("approve", low)
        assert run.view.run.integration == run.view.run.base, "nothing was merged"

        low = run.gate("merge")  # it was measured again, and is as it was
        run.decide("reject", low, "--note", "cover it")
        high = run.gate("merge", beside=[low.id])
        (coverage,) = (check for check in high.checks if check.name == "coverage")
        assert (coverage.status, coverage.value) == ("pass", 80.0)
        run.decide("approve", high)
        landing = run.gate("landing")
        assert [(c.name, c.status, c.value) for c in landing.checks if c.name == "coverage"] == [
            ("coverage", "pass", 80.0)
        ]
        run.decide("approve", landing)
        wait_until("the end", lambda: run.view.is_over)
        assert run.view.run.landed
    assert (tmp_path / "small/src/m.py").read_text() == module(800, 1000)
    assert [e.data["value"] for e in run.events("check.passed") if e.data["name"] == "coverage"] == [80.0, 80.0]
    said = [finding.title for finding in run.view.findings.values() if finding.category == "forensic"]
    assert said == ["The handoff claims more coverage than was measured"]


def test_a_test_that_is_deleted_to_get_there_is_named_and_nothing_is_merged(
    tmp_path: Path, played: list[Staged]
) -> None:
    """Both tests run all of it; the hard half goes with its test, and what is left is covered completely."""
    files = {"src/m.py": module(50, 100), "tests/test_m.py": HEAD + LOW + HIGH}
    calls = [write("src/m.py", module(100, 103)), write("tests/test_m.py", HEAD + LOW), handoff("All covered.")]
    run = stage(tmp_path / "small", CONFIG, work("backend", calls), files=files)
    played.append(run)
    with run.under_way():
        run.decide("approve", run.gate("plan"))
        gate = run.gate("merge")
        assert [(c.name, c.status) for c in gate.checks][:2] == [("coverage", "pass"), ("deleted", "fail")]
        assert "deleted is required and failed" in run.refused("approve", gate)
        assert "tests/test_m.py::test_high was deleted" in run.evidence("deleted")
        gate = run.gate("merge")
        assert "deleted is required and failed" in run.refused("approve", gate, "--note", "I insist")
        assert run.view.run.integration == run.view.run.base
    assert "tests_deleted" in {f.signature.split()[-1] for f in run.view.findings.values()}
