"""What a broken registry, matrix, check or artifact gets, at every command that reads it: one error with file and line.

Never a traceback, never a command that waits, and nothing is started or left behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import repos
from tests.support.artifacts import needs_validators
from tests.support.cli import swarm

from swarm_core.client import SwarmClient

pytestmark = pytest.mark.timeout(120)
CONFIG = "adapter: scripted\nscript: rehearsal\nservices:\n  backend: {directories: [backend]}\n"
REGISTRY, VALIDATION = ".agent-artifacts/registry.yml", ".agent-artifacts/validation.json"
MATRIX, CHECKS = "artifacts/decision-matrix.yml", "multi-agent.yaml"
ENTRY = "{{producer: {}, consumers: ALL, format: yaml, path: {}}}"
ONE = f"artifact_types:\n  a: {ENTRY.format('one', 'artifacts/a.yml')}\n"
TWO = f"{ONE}  b: {ENTRY.format('two', 'artifacts/b.yml')}\n"
CIRCLE = '{"artifact_validation": {\n"a.yml": {"depends_on": ["b.yml"]},\n"b.yml": {"depends_on": ["a.yml"]}}}'
BOMB = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n"
RULE = "decision_rules:\n  testing_agent:\n    if_tests_fail:\n      "
NUL, NO_TEXT = "it holds the character #x0000", "is not UTF-8 text"
DEEP = "[" * 5000
Put = Callable[[Path], None]


def text(content: str | bytes) -> Put:
    return lambda path: void(path.write_bytes(content if isinstance(content, bytes) else content.encode()))


def fifty_megabytes(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(50_000_000)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def link_outside(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def void(_: object) -> None:
    return None


BROKEN: list[tuple[str, str, Put, int, str]] = [
    ("an entry without its fields", REGISTRY, text("artifact_types:\n  a: {producer: one}\n"), 2, "consumers, format"),
    ("no YAML", REGISTRY, text("artifact_types:\n  a: {\n"), 3, "is not valid YAML"),
    ("two producers of one path", REGISTRY, text(TWO.replace("b.yml", "a.yml")), 3, "two and one would both write it"),
    ("a path that leaves", REGISTRY, text(ONE.replace("artifacts/a.yml", "../a.yml")), 2, "leaves the repository"),
    ("a path into git", REGISTRY, text(ONE.replace("artifacts/a.yml", ".git/hooks/x")), 2, "cannot be an artifact's"),
    ("a bomb of aliases", REGISTRY, text(BOMB), 2, "aliases (*name) are not supported"),
    ("lists without end", REGISTRY, text(f"artifact_types:\n  a: {DEEP}"), 2, "is n"),
    ("no UTF-8", REGISTRY, text(b"artifact_types:\n  a: \xff\n"), 2, NO_TEXT),
    ("binary", REGISTRY, text(b"artifact_types:\n  a: \0\n"), 2, NUL),
    ("50 MB", REGISTRY, fifty_megabytes, 1, "is larger than"),
    ("a link", REGISTRY, link_outside, 1, "is not a plain file"),
    ("a pipe", REGISTRY, pipe, 1, "is not a plain file"),
    ("artifacts that need each other", VALIDATION, text(CIRCLE), 2, "depends on itself: a.yml -> b.yml -> a.yml"),
    ("a rule for nothing", VALIDATION, text('{"artifact_validation": {\n"c.yml": {}}}'), 2, "is not a registered"),
    ("rules that are no UTF-8", VALIDATION, text(b'{"artifact_validation":\n"\xff"}'), 2, NO_TEXT),
    ("rules that are binary", VALIDATION, text(b'{"artifact_validation":\n"\0"}'), 2, NUL),
    ("an action nobody knows", MATRIX, text(f"{RULE}action: dance\n"), 4, "there is no action 'dance'"),
    ("a protocol nobody knows", MATRIX, text(f"{RULE}execute: dance\n"), 4, "there is no action 'dance'"),
    ("a matrix without a rule", MATRIX, text(f"{RULE}notify: [\n"), 5, "is not valid YAML"),
    ("a matrix that is a bomb", MATRIX, text("decision_rules:\n  a: &a [x]\n  b: {if_x: *a}\n"), 3, "aliases"),
    ("a matrix that is no UTF-8", MATRIX, text(b"decision_rules:\n  a: \xff\n"), 2, NO_TEXT),
    ("a matrix that is binary", MATRIX, text(b"decision_rules:\n  a: \0\n"), 2, "character #x0000|is binary"),
    ("a matrix of 50 MB", MATRIX, fifty_megabytes, 1, "is larger than|more than the 100,000"),
    ("a matrix behind a link", MATRIX, link_outside, 1, "leads out of the repository|a link leads to it"),
    ("a matrix that is a pipe", MATRIX, pipe, 1, "is not a plain file"),
    ("a matrix that is a directory", MATRIX, directory, 1, "is a directory|is not a plain file"),
    ("a kind of check nobody knows", CHECKS, text(f"{CONFIG}checks:\n  - {{name: a, kind: magic}}\n"), 6, "'magic' is"),
    ("a threshold that is none", CHECKS, text(f"{CONFIG}checks:\n  - name: a\n    kind: coverage\n    command: x\n"
     "    threshold: much\n"), 9, "'much'"),
    ("a configuration that is no UTF-8", CHECKS, text(CONFIG.encode() + b"# \xff\n"), 5, NO_TEXT),
    ("a configuration that is a pipe", CHECKS, pipe, 1, "is not a plain file"),
]  # fmt: skip
READERS: dict[str, list[tuple[str, ...]]] = {
    REGISTRY: [("artifact", "check")],
    VALIDATION: [("artifact", "check")],
    MATRIX: [("matrix", "list"), ("artifact", "check")],
    CHECKS: [("check",), ("matrix", "list")],
}


@pytest.mark.parametrize(("path", "put", "line", "said"), [pytest.param(*case, id=name) for name, *case in BROKEN])
def test_a_broken_definition_is_one_error_with_file_and_line_at_every_command(
    tmp_path: Path, path: str, put: Put, line: int, said: str
) -> None:
    needs_validators()
    root = repos.small(tmp_path / "small")
    repos.write(root, CHECKS, CONFIG)
    if path == VALIDATION:
        repos.write(root, REGISTRY, TWO)
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).unlink(missing_ok=True)
    put(root / path)
    place = re.compile(rf"{re.escape(path)}:{line}:.*(?:{said if '|' in said else re.escape(said)})")

    for command in (*READERS[path], ("run", "Say hello", "--headless", "--yes", "--speed", "0")):
        done = swarm(*command, cwd=root)
        told = done.stdout + done.stderr
        assert done.returncode == (1 if command[0] == "artifact" and path == MATRIX else 4), (command, told)
        errors = [text for text in told.splitlines() if not text.startswith(("  next: ", "1 artifact: "))]
        assert len(errors) == 1, told
        assert place.search(errors[0]), told
        assert "  next: " in told or " -> " in told, told

    doctor = swarm("doctor", cwd=root)
    (only,) = [text for text in doctor.stdout.splitlines() if text.startswith("✗")]
    assert place.search(only), only
    assert (doctor.returncode, doctor.stderr) == (1, "")
    assert not SwarmClient(root).engine().is_alive
    assert not (root / ".runs").exists()


def test_doctor_counts_what_it_read_where_all_is_well(tmp_path: Path) -> None:
    root = repos.small(tmp_path / "small")
    repos.write(root, CHECKS, CONFIG)
    repos.write(root, REGISTRY, TWO)
    repos.write(root, MATRIX, f"{RULE}action: block_deployment\n")
    told = swarm("doctor", cwd=root).stdout
    assert "✓ .agent-artifacts/registry.yml: 2 artifacts" in told
    assert "✓ artifacts/decision-matrix.yml: 1 rules" in told


ARTIFACTS: list[tuple[str, str, Put, str]] = [
    ("50 MB", "system-design.yml", fifty_megabytes, "1:1: is 100,001 bytes, more than the 100,000"),
    ("binary", "database-schema.sql", text(b"CREATE TABLE a (\n  id \0 int);"), "2:6: is binary"),
    ("a bomb", "security-requirements.yml", text(BOMB), "2:8: aliases (*name) are not allowed"),
    ("no UTF-8", "error-reports.md", text(b"# E\n\xff\n"), "2:1: is not UTF-8 text (byte 4)"),
    ("no UTF-8 in JSON", "test-results.json", text(b'{"a": "\xff"}'), "1:8: is not UTF-8 text (byte 7)"),
    ("deep", "performance-metrics.json", text('{"components": ' + "[" * 100_000), "is nested deeper than 500 levels"),
    ("a pipe", "api-contracts.yml", pipe, "1:1: is not a plain file"),
    ("a directory", "optimization-plan.yml", directory, "1:1: is not a plain file"),
    ("a link out", "ui-components.json", link_outside, "1:1: is no file that can be read, or a link leads to it"),
]


def test_each_artifact_that_is_none_is_one_finding_and_no_other_is_kept_from_being_judged(tmp_path: Path) -> None:
    needs_validators()
    root = repos.small(tmp_path / "small")
    (root / "artifacts").mkdir()
    for _, name, put, _ in ARTIFACTS:
        put(root / "artifacts" / name)
    done = swarm("artifact", "check", cwd=root)
    told = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    for what, name, _, said in ARTIFACTS:
        (only,) = [line for line in told if line.startswith(f"artifacts/{name}:")]
        assert said in only, what
        assert " -> " in only, what
    assert told[-1] == f"{len(ARTIFACTS)} artifacts: {len(ARTIFACTS)} invalid"
    assert len(told) == len(ARTIFACTS) + 1


def test_an_artifact_behind_a_linked_directory_is_not_read(tmp_path: Path) -> None:
    root = repos.small(tmp_path / "small")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/system-design.yml").write_text("services: {a: {type: x}}\ndata_stores: {}\nintegrations: {}\n")
    (root / "artifacts").symlink_to(tmp_path / "outside")
    done = swarm("artifact", "check", "system_design", cwd=root)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("artifacts/system-design.yml:1:1: is no file that can be read, or a link leads to it")
