"""``swarm-tui trace ARTIFACT``: the same lineage by every name, whatever its texts hold, in every width."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.journals import write_journal
from tests.support.repos import small, write

from swarm_core.cli import main
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout

RUN = "20261121-030405-play"
EVIL = "\x1b[2J\x9b31m\u202eevil\nline"
REGISTRY = """\
artifact_types:
  api_contracts: {producer: lead, consumers: [store], format: yaml, path: artifacts/api-contracts.yml}
  tables: {producer: store, consumers: ALL, format: yaml, path: artifacts/tables.yml}
"""
GATE = {"gate": "gate_001"}


def of(kind: str, task: str = "", **data: Any) -> Draft:
    return Draft(kind, data, task=task or None, agent="lead-1" if task else None)


STORY = [
    of("task.created", "task_001", title=f"Write {EVIL}", assigned_to="lead"),
    of("commit.created", "task_001", commit="c" * 40, message=EVIL, paths=["artifacts/api-contracts.yml", EVIL]),
    of("artifact.written", "task_001", type="api_contracts", path="artifacts/api-contracts.yml", sha256="a" * 64),
    of("artifact.rejected", "task_001", path="artifacts/api-contracts.yml", reason=EVIL, faults=[EVIL]),
    of("gate.evaluating", "task_001", **GATE, place="merge"),
    of("check.failed", "task_001", name=EVIL, result="fail", evidence=EVIL),
    of("gate.opened", "task_001", **GATE, evidence=EVIL, checks=[{"name": EVIL, "passed": False, "detail": EVIL}]),
    of("gate.decided", "task_001", **GATE, verdict="force", by="operator", note=EVIL),
    of("merge.completed", "task_001", integration="d" * 40),
    of("finding.opened", "task_001", finding="W-1", title=EVIL, location=f"artifacts/api-contracts.yml:{EVIL}"),
    of("merge.conflicted", "task_001", paths=["artifacts/api-contracts.yml"]),
    of("rule.fired", "task_001", firing="firing_001", rule=EVIL, fact="conflict:task_001", why=EVIL, actions=[EVIL]),
    of("tool.used", "task_002", name="Read", target="artifacts/api-contracts.yml", ok=True),
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small(tmp_path / "repo")
    run = RepoLayout(root).run(RUN)
    write_journal(run.journal, RUN, STORY, [f"2026-11-21T03:04:{n:02}.000Z" for n in range(len(STORY))])
    write(run.dir, ".agent-artifacts/registry.yml", REGISTRY)
    monkeypatch.chdir(root)
    return root


def test_every_name_of_an_artifact_and_both_commands_print_the_same(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["trace", "artifacts/api-contracts.yml"]) == 0
    told = capsys.readouterr().out
    assert "v1 · aaaaaaaaaaaa · invalid" in told
    names = ("api_contracts", "api-contracts", "api-contracts.yml", "artifacts/api-contracts.yaml")
    for name in (*names, str(root / "artifacts/api-contracts.yml")):
        for command in (["trace", name], ["trace", name, "--run", RUN], ["artifact", "lineage", name]):
            assert main(command) == 0
            assert capsys.readouterr().out == told, command
    (root / "artifacts").mkdir(exist_ok=True)
    monkeypatch.chdir(root / "artifacts")
    assert main(["trace", "api-contracts.yml"]) == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("columns", [None, 30, 80])
def test_no_text_of_others_paints_and_no_line_is_wider_than_the_terminal(
    root: Path, columns: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in ("api_contracts", EVIL):
        assert main(["trace", name]) == 0
        told = capsys.readouterr().out
        assert "evil" in told
        assert not set(told) & {"\x1b", "\x9b", "\u202e"}
        assert not columns or max(map(len, told.splitlines())) <= columns
    assert main(["trace", "api_contracts", "--json"]) == 0
    assert capsys.readouterr().out.isascii()


def test_json_has_what_the_text_has(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "api_contracts", "--json"]) == 0
    told = capsys.readouterr().out
    assert main(["artifact", "lineage", "api_contracts", "--json"]) == 0
    assert capsys.readouterr().out == told
    body = json.loads(told)
    (version,) = body["versions"]
    assert (version["status"], version["commit"], version["merged_as"]) == ("invalid", "c" * 40, "d" * 40)
    assert (version["decisions"][0]["verdict"], version["decisions"][0]["note"]) == ("force", EVIL)
    assert [one["id"] for one in (*body["rules"], *body["findings"])] == ["firing_001", "W-1"]
    assert [one["task"] for one in body["read_by"]] == ["task_002"]


def test_a_registered_artifact_that_nobody_wrote_is_no_error_and_an_unknown_file_is(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "tables"]) == 0
    assert capsys.readouterr().out.startswith("artifacts/tables.yml · tables · not written in this run\n")
    for command in (["trace", "nope\x1b[2J"], ["artifact", "lineage", "nope\x1b[2J"], ["trace", "../../etc/passwd"]):
        assert main(command) == 2
    err = capsys.readouterr().err
    assert err.count(f"in {RUN}\n  next: what was written: artifacts/api-contracts.yml") == 3
    assert "\x1b" not in err


@pytest.mark.parametrize("option", [["--task", "task_001"], ["--slowest"], ["--depth", "1"], ["--otlp", "x"]])
def test_what_is_asked_of_runs_only_is_refused_for_a_file(
    root: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "tables", *option]) == 2
    assert f"{option[0]} is about a run" in capsys.readouterr().err
    assert not (root / "x").exists()
