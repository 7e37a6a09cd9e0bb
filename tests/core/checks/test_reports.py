"""Tests and coverage are believed for what the check's own run wrote, counted exactly; all else is no pass."""

from __future__ import annotations

import contextlib
import json
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.measuring import fill, measure

from swarm_core.checks.coverage_reports import read_coverage
from swarm_core.checks.junit import read_junit
from swarm_core.checks.markup import MarkupError, read_xml
from swarm_core.checks.reports import MAX_REPORT_BYTES

PYTHON = f'"{sys.executable}"'  # its path may hold a space
PYTEST = f"kind: tests, command: '{PYTHON} -m pytest -q -p no:cacheprovider --junit-xml={{report}} .'"
GOOD = "def test_a(): assert 1\ndef test_b(): assert 2\n"
JUNIT = '<testsuites><testsuite failures="0"><testcase classname="t" name="a"/></testsuite></testsuites>'


# -- tests


async def test_a_real_test_run_passes_with_its_counts(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"test_a.py": GOOD}), PYTEST)
    assert [found.result, found.value, found.note] == ["pass", 2, "2 passed, 0 failed, 0 skipped"]


async def test_a_failed_test_is_named_with_what_it_said(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"test_a.py": GOOD + "def test_c(): assert 1 == 3, 'odd'\n"}), PYTEST)
    assert (found.result, found.exit_code) == ("fail", 1)
    assert found.found[0].message.startswith("test_a::test_c: AssertionError: odd")
    assert "1 failed" in found.detail


async def test_no_test_collected_is_a_failure(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {"a.py": "x = 1\n"}), PYTEST)
    assert (found.result, found.found[0].message) == ("fail", "no test was collected")


async def test_tests_that_are_all_skipped_are_a_failure(tmp_path: Path) -> None:
    text = "import pytest\n@pytest.mark.skip\ndef test_a(): ...\n"
    found = await measure(fill(tmp_path / "t", {"test_a.py": text}), PYTEST)
    assert (found.result, found.found[0].message) == ("fail", "no test ran: all 1 were skipped")


async def test_more_skipped_than_may_be_is_a_failure(tmp_path: Path) -> None:
    text = GOOD + "import pytest\n@pytest.mark.skip\ndef test_c(): ...\n"
    place = fill(tmp_path / "t", {"test_a.py": text})
    assert (await measure(place, PYTEST)).result == "pass"
    assert (await measure(place, PYTEST + ", max_skipped: 0")).result == "fail"


async def test_a_threshold_counts_the_tests_that_passed(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"test_a.py": GOOD})
    assert (await measure(place, PYTEST + ', threshold: ">= 3"')).result == "fail"
    assert (await measure(place, PYTEST + ', threshold: ">= 2"')).result == "pass"


async def test_a_command_that_ends_badly_with_a_good_report_fails(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"good.xml": JUNIT})
    found = await measure(place, "kind: tests, command: 'cp good.xml {report}; exit 9'")
    assert (found.result, "exit 9" in found.found[0].message) == ("fail", True)


# -- what counts as a report


async def test_a_report_that_lay_there_before_the_run_counts_for_nothing(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"build/junit.xml": JUNIT})
    found = await measure(place, "kind: tests, command: 'true', report: build/junit.xml")
    assert (found.result, found.has_passed) == ("not_measured", False)
    assert not (place / "build/junit.xml").exists()


async def test_a_report_in_the_tree_counts_if_the_run_wrote_it(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"good.xml": JUNIT})
    found = await measure(place, "kind: tests, command: 'mkdir -p b; cp good.xml b/j.xml', report: b/j.xml")
    assert [found.result, found.value] == ["pass", 1]


async def test_a_report_in_scratch_from_before_counts_for_nothing(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"good.xml": JUNIT})
    assert (await measure(place, "kind: tests, command: 'cp good.xml $SWARM_REPORT'")).result == "pass"
    assert (await measure(place, "kind: tests, command: 'test -n $SWARM_REPORT'")).result == "not_measured"


@pytest.mark.parametrize(
    ("command", "result", "said"),
    [
        ("ln -s $PWD/good.xml $SWARM_REPORT", "error", "cannot be read"),
        ("mkdir $SWARM_REPORT", "error", "Is a directory"),
        ("mkfifo $SWARM_REPORT", "error", "not a plain file"),
        ("truncate -s 60M $SWARM_REPORT", "error", f"larger than {MAX_REPORT_BYTES >> 20} MiB"),
        (": >$SWARM_REPORT", "error", "empty"),
        ("head -c 1000 /dev/urandom >$SWARM_REPORT", "error", "no JUnit XML"),
        ("echo '<html/>' >$SWARM_REPORT", "error", "<html>"),
        ("no-such-tool-here --out $SWARM_REPORT", "not_measured", "not installed"),
        ("echo nothing; exit 2; $SWARM_REPORT", "not_measured", "no report (exit 2)"),
        ("sleep 30; $SWARM_REPORT", "error", "stopped"),
    ],
)
async def test_what_is_no_report_is_no_pass_and_says_why(tmp_path: Path, command: str, result: str, said: str) -> None:
    place = fill(tmp_path / "t", {"good.xml": JUNIT})
    found = await measure(place, f"kind: tests, timeout: 2s, command: {json.dumps(command)}")
    assert (found.result, found.has_passed) == (result, False)
    assert said in found.note
    assert found.hint


async def test_a_command_that_floods_is_stopped(tmp_path: Path) -> None:
    found = await measure(fill(tmp_path / "t", {}), "kind: tests, command: 'yes $SWARM_REPORT', timeout: 60s")
    assert (found.result, "flood" in found.note, len(found.output) < 2 << 20) == ("error", True, True)


# -- JUnit and XML


def test_failures_errors_and_suites_that_broke_are_told_apart() -> None:
    text = """<?xml version="1.0"?><testsuite failures="1" errors="3">
    <testcase classname="A" name="x" file="a.py" line="7"><failure message="two is not one"/></testcase>
    <testcase classname="A" name="y"><error>Traceback\nValueError: no</error></testcase>
    <testcase name="z"><skipped/></testcase><testcase classname="A" name="w"><system-out>fine</system-out></testcase>
    </testsuite>"""
    report = read_junit(text.encode())
    assert [found.text for found in report.failed.values()] == [
        "a.py:7: A::x: two is not one",
        "A::y: ValueError: no",
    ]
    assert (report.passed, report.skipped, report.broken_suites) == (["A::w"], ["z"], 2)


BOMB = """<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
OUTSIDE = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="a">&x;</testcase></testsuite>'
)


@pytest.mark.parametrize(
    "text", [BOMB, OUTSIDE, "<a>" * 500, "<a><b></a>", "", "\0", '<?xml version="1.0" encoding="x"?><a/>']
)
def test_hostile_or_broken_xml_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(MarkupError):
        read_xml(text.encode(), lambda name, attributes: None)


def test_a_doctype_that_only_names_a_file_is_read() -> None:
    text = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd"><coverage/>'
    assert read_xml(text.encode(), lambda name, attributes: None) == "coverage"


# -- coverage


def covered(place: Path, ran: int, total: int) -> Path:
    """A module of ``total`` lines and a test that runs ``ran`` of them."""
    head, rest = ran - 3, total - ran
    body = "def f(x):\n" + "".join(f"    a{n} = {n}\n" for n in range(head)) + "    if x:\n        return 1\n"
    body = body.replace("        return 1\n", "".join(f"        b{n} = {n}\n" for n in range(rest))) + "    return 2\n"
    return fill(place, {"m.py": body, "test_m.py": "import m\nassert m.f(0) == 2\n"})


def coverage(how: str) -> str:
    tool = f"{PYTHON} -m coverage"
    return f"'{tool} run --include=m.py test_m.py && {tool} {how}'"


@pytest.mark.parametrize("how", ["json -q -o {report}", "xml -q -o {report}", "lcov -q -o {report}"])
@pytest.mark.parametrize(("ran", "result"), [(799, "fail"), (800, "pass")])
async def test_79_9_blocks_and_80_0_passes_measured_from_a_real_run(
    tmp_path: Path, how: str, ran: int, result: str
) -> None:
    place = covered(tmp_path / "t", ran, 1000)
    found = await measure(place, f"kind: coverage, command: {coverage(how)}")

    assert found.value == Fraction(ran, 10), found.output + found.note
    assert (found.result, found.is_in_the_way) == (result, result == "fail")
    assert found.shown_value == f"{'79.9' if ran == 799 else '80'}% (>= 80)"
    assert found.found[0].path.endswith("m.py")


async def test_a_percentage_that_a_report_claims_is_not_believed(tmp_path: Path) -> None:
    """Lines are counted: neither a rounded ``percent_covered`` nor a rounded ``line-rate`` decides."""
    claimed = {"totals": {"percent_covered": 80.0}, "files": {"m.py": {"summary": {
        "covered_lines": 7999, "num_statements": 10000, "percent_covered": 80.0}}}}  # fmt: skip
    place = fill(tmp_path / "t", {"c.json": json.dumps(claimed)})
    found = await measure(place, "kind: coverage, command: 'cp c.json {report}'")
    assert (found.result, found.shown_value) == ("fail", "79.99% (>= 80)")


async def test_coverage_of_a_run_that_failed_is_an_error(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"c.info": "SF:a\nDA:1,1\nend_of_record\n"})
    assert (await measure(place, "kind: coverage, command: 'cp c.info {report}'")).value == 100
    found = await measure(place, "kind: coverage, command: 'cp c.info {report}; exit 1'")
    assert (found.result, "exit 1" in found.note) == ("error", True)


async def test_a_report_without_a_line_is_not_measured(tmp_path: Path) -> None:
    place = fill(tmp_path / "t", {"c.json": json.dumps({"files": {}})})
    assert (await measure(place, "kind: coverage, command: 'cp c.json {report}'")).result == "not_measured"


@pytest.mark.parametrize(
    "text",
    ["{", '{"files": []}', '{"files": {"a": {}}}',
     '{"files": {"a": {"summary": {"covered_lines": 5, "num_statements": 1}}}}',
     '{"files": {"a": {"summary": {"covered_lines": 1e99, "num_statements": true}}}}', "<coverage><class", "<other/>",
     '<coverage><class filename="a"><line number="x" hits="1"/></class></coverage>', "hello",
     "SF:a\nDA:one,1\nend_of_record"],
)  # fmt: skip
def test_what_is_no_coverage_report_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_coverage(text.encode())


def test_branches_count_with_the_lines() -> None:
    xml = """<coverage><packages><package><classes><class filename="a.py"><methods><method><lines>
    <line number="1" hits="0"/></lines></method></methods><lines><line number="1" hits="3"/>
    <line number="2" hits="1" branch="true" condition-coverage="50% (1/2)"/><line number="3" hits="0"/>
    </lines></class></classes></package></packages></coverage>"""
    lcov = "SF:a.py\nDA:1,3\nDA:2,1\nDA:3,0\nBRDA:2,0,0,1\nBRDA:2,0,1,-\nend_of_record\n"
    for text in (xml, lcov):
        cover = read_coverage(text.encode())
        assert (cover.covered, cover.total, cover.files["a.py"].missing) == (3, 5, [3])


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_raise_anything_else(data: bytes) -> None:
    for read in (read_coverage, read_junit):
        with contextlib.suppress(ValueError):
            read(data)


# -- against the base


async def base_of(place: Path) -> Path:
    return place


async def test_coverage_that_dropped_fails_and_coverage_that_stayed_passes(tmp_path: Path) -> None:
    before, now = covered(tmp_path / "base", 90, 100), covered(tmp_path / "t", 89, 100)
    text = f"kind: coverage_not_dropped, command: {coverage('json -q -o {report}')}"
    found = await measure(now, text, base=lambda: base_of(before))
    assert [found.result, found.value, found.note] == ["fail", -1, "89% now, 90% before"]
    same = await measure(before, text, base=lambda: base_of(before))
    assert [same.result, same.value] == ["pass", 0]
    assert (await measure(now, text + ', threshold: ">= -1"', base=lambda: base_of(before))).result == "pass"


async def test_without_a_base_nothing_is_measured(tmp_path: Path) -> None:
    place = covered(tmp_path / "t", 90, 100)
    for text in (f"kind: coverage_not_dropped, command: {coverage('json -q -o {report}')}", "kind: tests_not_deleted"):
        assert (await measure(place, text)).result == "not_measured"


async def test_the_base_is_measured_once_for_a_commit(tmp_path: Path) -> None:
    before = fill(tmp_path / "base", {"c.info": "SF:a\nDA:1,1\nend_of_record\n"})
    text = "kind: coverage_not_dropped, command: 'echo once >>runs; cp c.info {report}'"
    remember: dict[tuple[str, str], object] = {}
    place = fill(tmp_path / "t", {"c.info": "SF:a\nDA:1,1\nend_of_record\n"})
    for _ in range(2):
        around = {"base": lambda: base_of(before), "base_commit": "abc", "remember": remember}
        assert (await measure(place, text, **around)).result == "pass"
    assert (before / "runs").read_text() == "once\n"


async def test_a_deleted_test_is_named_by_the_files(tmp_path: Path) -> None:
    before = fill(tmp_path / "base", {"tests/test_a.py": GOOD})
    now = fill(tmp_path / "t", {"tests/test_a.py": "def test_a(): assert 1\ndef test_c(): assert 1\n"})
    found = await measure(now, "kind: tests_not_deleted", base=lambda: base_of(before))
    assert [found.result, found.value, found.note] == ["fail", 1, "1 of 2 deleted, 1 new"]
    assert found.found[0].text == "tests/test_a.py: tests/test_a.py::test_b was deleted"
    assert (await measure(before, "kind: tests_not_deleted", base=lambda: base_of(before))).result == "pass"


async def test_a_test_deleted_or_skipped_is_named_by_a_real_run(tmp_path: Path) -> None:
    before = fill(tmp_path / "base", {"test_a.py": GOOD + "def test_c(): assert 1\n"})
    skipped = "import pytest\n@pytest.mark.skip\ndef test_b(): assert 2\ndef test_c(): assert 1\n"
    now = fill(tmp_path / "t", {"test_a.py": skipped})
    text = PYTEST.replace("kind: tests", "kind: tests_not_deleted")
    found = await measure(now, text, base=lambda: base_of(before))
    assert [one.message for one in found.found] == [
        "test_a::test_a was deleted",
        "test_a::test_b ran before and is skipped now",
    ]


async def test_a_test_file_that_cannot_be_parsed_is_not_measured(tmp_path: Path) -> None:
    before = fill(tmp_path / "base", {"test_a.py": GOOD})
    now = fill(tmp_path / "t", {"test_a.py": "def test_a(:\n"})
    found = await measure(now, "kind: tests_not_deleted", base=lambda: base_of(before))
    assert (found.result, "test_a.py" in found.note) == ("not_measured", True)
