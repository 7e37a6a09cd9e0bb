"""``swarm-tui trace``: one screen that says where the time went, for finished and unfinished runs."""

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
    tell(root, a_run())
    monkeypatch.chdir(root)
    return root


def tell(root: Path, tale: Tale) -> None:
    write_journal(RepoLayout(root).run(RUN).journal, RUN, tale.drafts, tale.stamps)


def test_the_tree_marks_the_critical_path_and_lines_up(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace"]) == 0
    tree, _, path = capsys.readouterr().out.partition("\n\n")
    marked = [line.split()[1] for line in tree.splitlines()[3:] if line.startswith("*")]

    assert marked == ["task_000", "task_001", "task_002", "Landing"]
    assert len({len(line) for line in tree.splitlines()[2:]}) == 1
    assert "gate gate_005 reject" in tree
    assert path.startswith("CRITICAL PATH  70.000 s: ")


def test_depth_task_and_order_are_chosen(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", RUN, "--depth", "1"]) == 0
    shallow = capsys.readouterr().out
    assert "task_002" in shallow
    assert "attempt" not in shallow
    assert main(["trace", "--task", "task_002", "--depth", "3", "--slowest"]) == 0
    deep = capsys.readouterr().out
    lengths = [float(line[54:66]) for line in deep.splitlines()[3:] if line[4:6] != "  "]

    assert "task_001" not in deep
    assert "chat m" in deep
    assert lengths == sorted(lengths, reverse=True)


def test_the_run_can_be_named_both_ways_and_unknown_names_are_errors(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", RUN]) == main(["trace", "--run", RUN]) == 0
    assert main(["trace", "nope"]) == 2
    assert main(["trace", "--task", "nope\x1b[2J"]) == 2
    err = capsys.readouterr().err
    assert RUN in err
    assert "task_001" in err
    assert "\x1b" not in err


def test_json_holds_spans_and_path(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)

    assert body["run"] == RUN
    assert [link["task"] for link in body["critical_path"]] == ["task_000", "task_001", "task_002", "landing"]
    assert sum(link["total_s"] for link in body["critical_path"]) == pytest.approx(70)
    by_id = {span["id"]: span for span in body["spans"]}
    assert all(span["parent"] in by_id for span in body["spans"] if span["kind"] != "run")


def test_an_unfinished_run_is_measured_up_to_its_last_event(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tale = a_run()
    tale.events = [event for event in tale.events if event.seq <= 20]
    tell(repo, tale)
    assert main(["trace"]) == 0
    out = capsys.readouterr().out

    assert ">|" in out
    assert "goes on" in out


def test_hostile_titles_are_shown_and_not_obeyed(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tale = Tale()("run.created", title="\x1b]0;owned\x07")
    tale("task.created", "task_\x1b[2J", title="\x9b2J\n\u202eevil", assigned_to="\x1b[H")("task.ready", "task_\x1b[2J")
    tale("task.claimed", "task_\x1b[2J", "\x1b[5m", attempt=1)
    tale.at(1)("tool.used", "task_\x1b[2J", "\x1b[5m", name="\x1b[1m", target="\x1b[7m", ok=True, ms=float("1e300"))
    tell(repo, tale)
    assert main(["trace", "--depth", "9"]) == 0

    assert all(char.isprintable() or char == "\n" for char in capsys.readouterr().out)


def test_spans_go_into_a_file(repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--otlp", str(tmp_path / "t.jsonl")]) == 0
    assert "spans in" in capsys.readouterr().out
    assert json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])["resourceSpans"]


def test_export_without_an_endpoint_says_what_to_do(
    repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert main(["trace", "--export"]) == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in capsys.readouterr().err
