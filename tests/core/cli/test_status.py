"""``swarm-tui status``: cost and the cache's hit rate of the run, its agents and its tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.journals import write_journal
from tests.support.repos import RUN, small

from swarm_core.cli import main
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout

CACHED = {"input_tokens": 10, "cache_read_tokens": 300, "cache_write_tokens": 90, "cache_write_1h_tokens": 40}
DRAFTS = (
    Draft("run.created", {"title": "Add a login"}),
    Draft("task.created", {"title": "Log in", "assigned_to": "backend"}, task="task_001"),
    Draft("agent.starting", {"service": "backend"}, agent="backend-1"),
    Draft("agent.starting", {"service": "testing"}, agent="testing-1"),
    Draft("llm.call", CACHED, task="task_001", agent="backend-1"),
    Draft("llm.call", {"input_tokens": 100}, agent="testing-1"),
)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small(tmp_path / "repo")
    write_journal(RepoLayout(root).run(RUN).journal, RUN, DRAFTS)
    monkeypatch.chdir(root)
    return root


def test_the_hit_rate_is_there_for_run_agents_and_tasks(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--run", RUN, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    agents = {one["id"]: one["usage"] for one in body["instances"]}
    (task,) = body["tasks"]
    assert task["usage"]["cache_hit_rate"] == agents["backend-1"]["cache_hit_rate"] == 0.75
    assert task["usage"]["cache_write_1h_tokens"] == 40
    assert agents["testing-1"]["cache_hit_rate"] == 0
    assert body["usage"]["cache_hit_rate"] == 0.6

    assert main(["status", "--run", RUN]) == 0
    assert "  cache 60%  " in capsys.readouterr().out
