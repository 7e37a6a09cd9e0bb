"""``swarm-tui artifact`` in a repository: the example it writes, what it finds in files, and clear answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support import repos
from tests.support.artifacts import needs_validators
from tests.support.cli import swarm

RESULTS = {"test_execution": {"summary": {"total": 2, "passed": 2, "failed": 0, "skipped": 0, "coverage": 80.0}}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repos.small(tmp_path / "small")


def test_init_writes_the_example_once_and_keeps_what_is_there(root: Path) -> None:
    first = swarm("init", "--artifacts", cwd=root)
    assert first.returncode == 0, first.stderr
    registry = root / ".agent-artifacts/registry.yml"
    registry.write_text(registry.read_text().replace("producer: security\n", "producer: safety\n"))
    again = swarm("init", "--artifacts", cwd=root)
    assert again.returncode == 0, again.stderr
    assert "already there, kept as it is" in again.stdout
    assert "producer: safety\n" in registry.read_text()


def test_check_says_what_is_wrong_with_files_and_between_them(root: Path) -> None:
    needs_validators()
    repos.write(root, "artifacts/test-results.json", json.dumps(RESULTS))
    good = swarm("artifact", "check", cwd=root)
    assert (good.returncode, good.stdout) == (0, "1 artifact: 1 valid\n"), good.stderr
    below = json.dumps(RESULTS).replace("80.0", "79.9")
    repos.write(root, "artifacts/test-results.json", below)
    (root / "artifacts/error-reports.md").symlink_to("/etc/passwd")
    (root / "artifacts/system-design.yml").write_bytes(b"a: \xff\x1b]0;x\x07\n")
    bad = swarm("artifact", "check", cwd=root)
    assert bad.returncode == 1
    assert "artifacts/test-results.json:1:85: coverage 79.9 is below 80\n" in bad.stdout
    assert "artifacts/error-reports.md:1:1: is no file that can be read, or a link leads to it" in bad.stdout
    assert "artifacts/system-design.yml:1:4: is not UTF-8 text (byte 3)" in bad.stdout
    assert "\x1b" not in bad.stdout
    assert "root:" not in bad.stdout
    assert bad.stdout.endswith("3 artifacts: 3 invalid\n")


def test_a_name_that_no_artifact_has_is_answered_with_those_there_are(root: Path) -> None:
    unknown = swarm("artifact", "check", "nothing", cwd=root)
    assert unknown.returncode == 2
    assert "there is no artifact 'nothing'" in unknown.stderr
    assert "test_results" in unknown.stderr
    missing = swarm("artifact", "check", "system_design", cwd=root)
    assert (missing.returncode, missing.stdout.splitlines()[0]) == (
        1,
        "artifacts/system-design.yml:1:1: is not there -> write it",
    )
