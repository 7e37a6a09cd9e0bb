"""``swarm-tui metrics``: a table for people, JSON for programs, text for Prometheus; all of one document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.journals import write_journal
from tests.support.repos import small
from tests.support.tales import RUN, Tale, a_run

from swarm_core.cli import main
from swarm_core.vocabulary.layout import RepoLayout


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small(tmp_path / "repo")
    write_journal(RepoLayout(root).run(RUN).journal, RUN, a_run().drafts, a_run().stamps)
    monkeypatch.chdir(root)
    return root


def test_the_table_shows_times_cost_and_errors(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics"]) == 0
    out = capsys.readouterr().out
    rows = {line.split("  ")[0].strip(): line.split() for line in out.splitlines() if line.strip()}

    assert "parallelism 1.15" in out
    assert rows["waiting: rate limit"][3:] == ["1", "5.000", "5.000", "5.000", "5.000"]
    assert rows["run"] == ["run", "2", "107", "13", "0", "0%", "0.750000"]
    assert "task.failed          1  stalled" in out


def test_json_and_prometheus_say_the_same(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", RUN, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert main(["metrics", RUN, "--prometheus"]) == 0
    text = capsys.readouterr().out

    assert body["wall_s"] == 70
    assert f'swarm_wall_seconds{{run="{RUN}"}} 70\n' in text
    assert f'swarm_parallelism{{run="{RUN}"}} {body["parallelism"]:.10g}\n' in text


def test_hostile_names_are_shown_and_not_obeyed(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tale = Tale()("run.created")("agent.starting", None, "a-1", service="\x1b[2J")
    tale("llm.call", "\x1b]0;x\x07", "a-1", model="m", input_tokens=1)
    tale("policy.denied", "t", "a-1", rule="\x9b2J\nERRORS none")
    write_journal(RepoLayout(repo).run(RUN).journal, RUN, tale.drafts, tale.stamps)
    assert main(["metrics"]) == 0

    assert all(char.isprintable() or char == "\n" for char in capsys.readouterr().out)
    with pytest.raises(SystemExit, match="2"):
        main(["metrics", "--json", "--prometheus"])
