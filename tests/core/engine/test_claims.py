"""What a handoff says is held against what was measured; nothing that is said makes it so."""

from __future__ import annotations

from fractions import Fraction

import pytest

from swarm_core.checks.run import CheckRun
from swarm_core.engine.claims import deleted_tests, drafts, mismatches, reviewed, told
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

GREEN = CheckRun("tests", "pytest", 0, 1.0, "5 passed\nTOTAL 100 29 71%\n")
RED = CheckRun("tests", "pytest", 1, 1.0, "1 failed, 4 passed\nTOTAL 100 29 71%\n")
DELETED = """\
diff --git a/tests/test_a.py b/tests/test_a.py
--- a/tests/test_a.py
+++ b/tests/test_a.py
@@ -1,5 +1,2 @@
-def test_hard() -> None:
-    assert 1 == 2
-def test_moved() -> None:
+async def test_new() -> None:
diff --git a/tests/test_b.py b/tests/test_b.py
deleted file mode 100644
--- a/tests/test_b.py
+++ /dev/null
-def test_gone() -> None:
diff --git a/tests/test_c.py b/tests/test_c.py
+def test_moved() -> None:
diff --git a/src/plain.py b/src/plain.py
-def test_is_no_test_here() -> None:
"""


def task(said: str) -> Task:
    return Task("task_001", "t", assigned_to="backend", handoff={"what_i_did": said})


@pytest.mark.parametrize(
    "said",
    [
        "All tests pass.",
        "I ran the suite, it is green; tests passed.",
        '{"tests_passing": true}',
        "tests_passed: true",
        "Result: 0 failed",
        "The unit tests are passing now",
    ],
)
def test_forged_results_are_caught_and_the_same_words_are_fine_when_they_are_so(said: str) -> None:
    assert [one.kind for one in mismatches(task(said), [RED], "")] == ["passed"]
    assert mismatches(task(said), [GREEN], "") == []


@pytest.mark.parametrize("said", ["The tests do not pass yet.", "Some tests fail.", "I could not run anything.", ""])
def test_who_says_that_tests_fail_claims_nothing(said: str) -> None:
    assert mismatches(task(said), [RED], "") == []


@pytest.mark.parametrize(("said", "kinds"), [("Coverage is at 86 %.", ["coverage"]), ("71% coverage", []), ("", [])])
def test_more_coverage_than_was_measured_is_caught(said: str, kinds: list[str]) -> None:
    assert [one.kind for one in mismatches(task(said), [GREEN], "")] == kinds


def test_tests_that_are_deleted_in_silence_are_caught_and_moved_ones_are_not() -> None:
    assert deleted_tests(DELETED) == ["test_hard", "tests/test_b.py", "test_gone"]
    found = mismatches(task("Made it work"), [GREEN], DELETED)
    assert [one.kind for one in found] == ["tests_deleted"]
    assert "test_hard" in found[0].measured
    honest = "I removed test_hard and test_b.py with test_gone: the feature is gone."
    assert mismatches(task(honest), [GREEN], DELETED) == []
    assert (told(found).has_passed, told([]).has_passed) == (False, True)


def test_a_mismatch_is_raised_once_and_closed_when_the_next_handoff_fits() -> None:
    view, one = RunView(), task("All tests pass.")
    found = mismatches(one, [RED], "")
    (opened,) = drafts(view, one, found)
    assert (opened.data["category"], opened.data["about"], opened.actor) == ("forensic", "task_001", "engine")
    view.apply(Event(1, "", "r", opened.kind, opened.data, task="task_001"))
    assert drafts(view, one, found) == []
    (closed,) = drafts(view, one, [])
    assert (closed.kind, closed.data["resolution"]) == ("finding.closed", "verified")


def test_a_commit_without_a_review_shows_a_failed_line() -> None:
    assert not reviewed(RunView(), Task("task_001", "t", commit="c1"), "critic").has_passed


def test_a_claim_is_held_against_the_value_of_a_coverage_check() -> None:
    low = CheckRun("coverage", "c", 0, 1.0, "", "fail", "coverage", Fraction(799, 10), "%", ">= 80", True)
    assert [one.kind for one in mismatches(task("Coverage: 86 %"), [low], "")] == ["coverage"]
    assert mismatches(task("Coverage: 79.9 %"), [low], "") == []
