"""The kinds that look at messages, results, receipts and other tools' findings; and that every kind is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.measuring import fill, measure

from swarm_core.checks import run
from swarm_core.definitions.checks import KINDS

# -- all of them


def test_every_kind_that_can_be_written_can_be_measured_and_no_other() -> None:
    assert set(KINDS) == set(run.KINDS)


@pytest.mark.parametrize("result", ["fail", "error", "not_measured"])
async def test_only_a_pass_is_out_of_the_way_of_an_approval(tmp_path: Path, result: str) -> None:
    text = "kind: criteria, checks: []"
    found = await measure(fill(tmp_path / "t", {}), text)
    assert found.has_passed
    blocked = run.CheckRun("a", "b", 0, 0.1, "", result, required=True)
    assert (blocked.has_passed, blocked.is_in_the_way) == (False, True)
    assert not run.CheckRun("a", "b", 0, 0.1, "", result, required=False).is_in_the_way


# -- commit messages

GOOD = "feat(api): add a login\n\nSo that people can log in.\n\nTask-Id: task_001\nRun-Id: r1\n"


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (GOOD, ""),
        ("fix!: mend it", ""),
        ("Merge task_001: add a login\n", ""),
        ("added a login", "is not of the form"),
        ("wip: a login", "wip is not one of"),
        ("feat: " + "x" * 120, "longer than 100"),
        ("feat: a\nb", "no blank line"),
    ],
)
async def test_messages_are_held_to_conventional_commits(tmp_path: Path, message: str, wrong: str) -> None:
    found = await measure(fill(tmp_path / "t", {}), "kind: commit_message", messages=[message])
    assert found.result == ("fail" if wrong else "pass")
    assert wrong in "".join(one.message for one in found.found)


async def test_trailers_that_are_asked_for_have_to_be_there(tmp_path: Path) -> None:
    text = "kind: commit_message, trailers: [Task-Id, Run-Id], types: [feat]"
    place = fill(tmp_path / "t", {})
    assert (await measure(place, text, messages=[GOOD])).result == "pass"
    found = await measure(place, text, messages=[GOOD.replace("Run-Id", "Other"), "feat: b"])
    assert [one.message.rpartition(": ")[2] for one in found.found] == [
        "has no trailer Run-Id",
        "has no trailer Task-Id",
        "has no trailer Run-Id",
    ]


async def test_without_commits_nothing_is_measured(tmp_path: Path) -> None:
    assert (await measure(fill(tmp_path / "t", {}), "kind: commit_message")).result == "not_measured"


# -- criteria


@pytest.mark.parametrize(
    ("results", "result"),
    [
        ({"a": "pass", "b": "pass"}, "pass"),
        ({"a": "pass", "b": "fail"}, "fail"),
        ({"a": "error", "b": "not_measured"}, "fail"),
        ({"a": "pass", "b": "not_measured"}, "not_measured"),
        ({"a": "pass"}, "not_measured"),
    ],
)
async def test_criteria_are_met_when_every_check_passed(tmp_path: Path, results: dict[str, str], result: str) -> None:
    from swarm_core.checks.criteria import judge

    assert judge(["a", "b"], results).status == result


# -- SARIF


def sarif(*results: dict[str, Any], **run_: Any) -> str:
    driver = {"name": "x", "rules": [{"id": "R9", "properties": {"security-severity": "9.8"}}]}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run_}]})


def result(level: str = "error", rule: str = "R1", **more: Any) -> dict[str, Any]:
    region = {"artifactLocation": {"uri": "./src/a%20b.py"}, "region": {"startLine": 7}}
    places = [{"physicalLocation": region}]
    return {"ruleId": rule, "level": level, "message": {"text": "bad\nmore"}, "locations": places, **more}


async def found_in(tmp_path: Path, text: str, options: str = "", end: str = "exit 1") -> run.CheckRun:
    place = fill(tmp_path / "t", {"s.json": text})
    return await measure(place, f"kind: sarif, command: 'cp s.json {{report}}; {end}'{options}")


async def test_findings_of_a_tool_are_read_with_file_line_and_severity(tmp_path: Path) -> None:
    found = await found_in(tmp_path, sarif(result(), result("note"), result("warning", "R9")))
    assert found.result == "fail"
    assert [(one.place, one.message, one.rule, one.severity) for one in found.found] == [
        ("src/a b.py:7", "bad", "R9", "CRITICAL"),
        ("src/a b.py:7", "bad", "R1", "HIGH"),
    ]


async def test_nothing_found_or_all_suppressed_passes_however_the_tool_ended(tmp_path: Path) -> None:
    quiet = sarif(result(suppressions=[{"kind": "inSource"}]), result(kind="pass"), result("note"))
    assert (await found_in(tmp_path, quiet)).result == "pass"
    assert (await found_in(tmp_path, quiet, ", level: low")).result == "fail"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"runs": []}', '{"runs": [1]}', sarif(invocations=[{"executionSuccessful": False}])]
)
async def test_a_tool_that_did_not_do_its_work_is_an_error(tmp_path: Path, text: str) -> None:
    found = await found_in(tmp_path, text)
    assert (found.result, bool(found.hint)) == ("error", True)


async def test_sarif_may_come_from_standard_output(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"s.json": sarif(result())})
    assert (await measure(place, "kind: sarif, command: 'cat s.json'")).result == "fail"


async def test_a_tool_that_is_not_installed_is_not_measured(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {})
    assert (await measure(place, "kind: sarif, command: 'no-such-scanner'")).result == "not_measured"
