"""What is rendered is read back to the same, whatever an agent wrote into it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core.documents import error_report, open_questions, recovery_actions, worklist
from swarm_core.documents.blocks import one_line, plain
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.findings import SEVERITIES, Finding

MARKS = st.sampled_from(
    [
        "# x",
        "## W-9: y",
        "### 1. z",
        "- **Status**: fixed",
        "- **Issue**:",
        "\n",
        "\n\n",
        "    ",
        "`",
        ": ",
        "1. a",
        "\x1b[2J",
    ]
)
texts = st.lists(st.one_of(MARKS, st.text(max_size=12)), max_size=6).map("".join)
long = texts.map(plain)
short = texts.map(one_line)
ids = st.from_regex(r"W-[0-9]{3}(-[0-9]{1,2})?", fullmatch=True)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(
    st.lists(
        st.builds(
            worklist.Item,
            ids,
            short,
            st.sampled_from(SEVERITIES),
            short,
            st.sampled_from(["pending", "fixed"]),
            short,
            long,
            long,
            long,
            short,
        ),
        max_size=4,
    )
)
def test_a_worklist_is_read_back_to_the_same(items: list[worklist.Item]) -> None:
    assert worklist.parse(worklist.render(items)) == items


@quick
@given(
    st.lists(
        st.builds(error_report.Issue, short, ids, st.sampled_from(SEVERITIES), short, long, long, short), max_size=4
    ),
    st.lists(short.filter(bool), max_size=3),
)
def test_an_error_report_is_read_back_to_the_same(issues: list[error_report.Issue], actions: list[str]) -> None:
    order = list(error_report.GROUPS)
    sorted_ = tuple(sorted(issues, key=lambda issue: order.index(issue.severity)))
    document = error_report.Report("2026-11-21T10:00:00.000Z", sorted_, tuple(actions))
    assert error_report.parse(error_report.render(document)) == document


@quick
@given(
    st.lists(
        st.builds(
            open_questions.Question,
            st.just("OQ-BUILD-001"),
            st.sampled_from(["DEFAULTED", "NEEDS_HUMAN"]),
            long,
            long,
            long,
            st.lists(short.filter(bool), max_size=3).map(tuple),
            short,
            short,
            long,
        ),
        max_size=3,
    )
)
def test_open_questions_are_read_back_to_the_same(found: list[open_questions.Question]) -> None:
    assert open_questions.parse(open_questions.render(found)) == found


@quick
@given(st.lists(st.builds(recovery_actions.Action, ids, short, short, short, short, short, short, short), max_size=4))
def test_recovery_actions_are_read_back_to_the_same(found: list[recovery_actions.Action]) -> None:
    assert recovery_actions.parse(recovery_actions.render(found)) == found


@pytest.mark.parametrize("text", ["a: [", "recovery_actions: 3", "x: &a [1]\ny: *a", "- 1", "recovery_actions: [{}]"])
def test_what_is_no_list_of_actions_is_refused_with_its_file(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"recovery-actions\.yml"):
        recovery_actions.parse(text)


def test_the_seeds_report_is_read() -> None:
    text = """# Error Analysis Report
Generated: 2024-01-15T10:45:00Z

## Critical Issues Detected

### 1. Security Vulnerability
- **Location**: Backend API
- **Issue**: Missing rate limiting on /api/auth/login
- **Impact**: Potential brute force attacks
- **Resolution**: Implementing rate limiter middleware
- **Status**: Auto-fixed in commit abc123

### 2. Database Schema Mismatch
- **Location**: database-schema.sql vs api-contracts.yml
- **Status**: Pending approval

## Automated Actions Taken
1. Created hotfix branch: fix/security-rate-limiting

## Recommendations
- Implement automated security scanning in CI/CD
"""
    document = error_report.parse(text)
    assert [issue.title for issue in document.issues] == ["Security Vulnerability", "Database Schema Mismatch"]
    assert document.actions == ("Created hotfix branch: fix/security-rate-limiting",)
    over = ("Auto-fixed", "Verified", "Closed")
    critical = [issue for issue in document.issues if issue.severity == "CRITICAL"]
    assert [one.title for one in critical if not one.status.startswith(over)] == ["Database Schema Mismatch"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "closed", "resolution": "verified", "commit": "abc123"}, "Auto-fixed in commit abc123"),
        ({"status": "fixed", "commit": "abc123"}, "Fixed in commit abc123, not verified yet"),
        ({"status": "closed", "resolution": "accepted", "reason": "fine"}, "Closed as accepted: fine"),
        ({"status": "fixing", "task": "task_009"}, "In progress (task_009)"),
    ],
)
def test_a_status_is_said_in_the_seeds_words_with_the_real_commit(fields: dict[str, Any], said: str) -> None:
    assert error_report.status_of(Finding("W-1", **fields)) == said
