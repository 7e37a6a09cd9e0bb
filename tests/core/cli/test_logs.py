"""``swarm-tui logs``: what was said, by whom, about what; for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.journals import write_journal
from tests.support.repos import small
from tests.support.tales import RUN, a_run

from swarm_core.cli import main
from swarm_core.vocabulary.layout import RepoLayout


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small(tmp_path / "repo")
    layout = RepoLayout(root)
    write_journal(layout.run(RUN).journal, RUN, a_run().drafts, a_run().stamps)
    for run, name, second in ((RUN, "a-1", 2), (RUN, "b-1", 1), ("20260101-old", "a-1", 0)):
        path = layout.run(run).log(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        body = {"ts": f"2026-11-21T10:00:0{second}.000Z", "level": "INFO", "kind": "say", "text": f"{run} {name}"}
        think = {**body, "level": "DEBUG", "kind": "think", "text": "hm \x1b[2J"}
        path.write_text(f"{json.dumps(body)}\n{json.dumps(think)}\n")
    body = {"ts": "2026-11-21T10:00:03.000Z", "level": "WARN", "task": "task_001", "kind": "engine", "text": "slow"}
    layout.engine_log.write_text(json.dumps(body) + "\n")
    monkeypatch.chdir(root)
    return root


def test_the_latest_runs_logs_are_one(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[:3] for line in lines] == [
        ["10:00:01.000", "INFO", "b-1"],
        ["10:00:02.000", "INFO", "a-1"],
        ["10:00:03.000", "WARN", "engine"],
    ]


def test_lines_are_chosen(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*options: str) -> list[str]:
        assert main(["logs", "--json", *options]) == 0
        return [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]

    assert said("--level", "warn") == ["slow"]
    assert said("--task", "task_001") == ["slow"]
    assert said("--instance", "a-1", "--level", "DEBUG") == [f"{RUN} a-1", "hm ␛[2J"]
    assert said("--all") == ["20260101-old a-1", f"{RUN} b-1", f"{RUN} a-1", "slow"]


def test_following_a_run_that_is_over_ends(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--follow", "--level", "DEBUG"]) == 0
    out = capsys.readouterr().out

    assert len(out.splitlines()) == 5
    assert all(char.isprintable() or char == "\n" for char in out)
