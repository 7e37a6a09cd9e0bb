"""Claims against reality: what a handoff says about tests and coverage, held against what the engine measured.

A claim is only ever compared. What does not fit is a finding (``forensic``) and a failed line at the merge gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from swarm_core.checks.run import CheckRun
from swarm_core.policy.critics import review_of
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.view import RunView

from .runner import Runner

PASSED = re.compile(
    r"\b(?:all|the|every|unit|integration)?\s*(?:tests?|checks?|suite)\b[^.\n]{0,40}?\b(?:pass(?:es|ed|ing)?|green|succeed(?:s|ed)?)\b"
    r"|[\"']?tests?_pass(?:ed|ing)[\"']?\s*[:=]\s*true|\b0\s+(?:failed|failures)\b",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"\b(?:not|never|do(?:es)?n't|didn't|don't|no|some|fail(?:s|ed|ing)?|cannot|can't)\b", re.IGNORECASE
)
COVERAGE = re.compile(
    r"\bcoverage\b[^.%\n]{0,40}?(\d{1,3}(?:\.\d+)?)\s?%|(\d{1,3}(?:\.\d+)?)\s?%\s+(?:\w+\s+)?coverage", re.IGNORECASE
)
MEASURED_COVERAGE = re.compile(r"^TOTAL\b.*?(\d{1,3}(?:\.\d+)?)%\s*$", re.MULTILINE)
TEST_FILE = re.compile(r"(?:^|/)(?:tests?/.*|test_[^/]*|[^/]*_test\.[^/]*|[^/]*\.(?:test|spec)\.[^/]*)$")
TEST_NAME = re.compile(r"^\s*(?:async\s+)?(?:def\s+(test\w*)|(?:it|test)\(\s*(['\"].+?['\"]))")
SLACK = 0.5
SHOWN = 10
MAX_DIFF_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Mismatch:
    """``signature`` is the same for the same mismatch of the same task."""

    kind: str
    title: str
    said: str
    measured: str


@dataclass(frozen=True, slots=True)
class Told(CheckRun):
    """A line at a gate that is no command: what was compared."""

    said: str = ""

    @property
    def detail(self) -> str:
        return self.said


def mismatches(task: Task, checks: Sequence[CheckRun], diff: str) -> list[Mismatch]:
    """What the handoff of ``task`` claims and the measurements of its commit deny; tests that are gone come always."""
    said = "\n".join(task.handoff.values())
    return [*_passed(said, checks), *_coverage(said, checks), *_deleted(said, diff)]


def _passed(said: str, checks: Sequence[CheckRun]) -> Iterator[Mismatch]:
    claim = next((m[0] for m in PASSED.finditer(said) if not DENIED.search(_sentence(said, m.start(), m.end()))), "")
    failed = [check for check in checks if not check.has_passed]
    if claim and failed:
        measured = ", ".join(f"{check.name} failed ({check.detail})" for check in failed)
        yield Mismatch("passed", "The handoff says that tests pass, and they fail", claim.strip(), measured)


def _sentence(text: str, start: int, end: int) -> str:
    """The sentence around a claim, so that "the tests do not pass" claims nothing. ``0 failed`` denies nothing."""
    first = max(text.rfind(mark, 0, start) for mark in (". ", "\n", "; ")) + 1
    lasts = [place for mark in (". ", "\n", "; ") if (place := text.find(mark, end)) >= 0]
    return re.sub(
        r"\b0\s+(?:failed|failures)\b|\bno\s+(?:failures|errors)\b", "", text[first : min(lasts, default=len(text))]
    )


def _coverage(said: str, checks: Sequence[CheckRun]) -> Iterator[Mismatch]:
    claim = COVERAGE.search(said)
    measured = [float(check.value) for check in checks if check.kind == "coverage" and check.value is not None]
    if not measured:  # a plain command may print what coverage.py prints
        measured = [float(m[1]) for check in checks for m in MEASURED_COVERAGE.finditer(check.output)]
    if claim and measured and float(claim[1] or claim[2]) > max(measured) + SLACK:
        yield Mismatch(
            "coverage", "The handoff claims more coverage than was measured", claim[0], f"{max(measured):g} %"
        )


def _deleted(said: str, diff: str) -> Iterator[Mismatch]:
    """Tests that the change takes away and does not put anywhere else, unless the handoff says so."""
    gone = deleted_tests(diff)
    silent = [name for name in gone if name.rpartition("/")[2] not in said]
    if silent:
        names = ", ".join(silent[:SHOWN]) + (f" and {len(silent) - SHOWN} more" if len(silent) > SHOWN else "")
        yield Mismatch("tests_deleted", f"The change deletes {len(silent)} tests and does not say so", "nothing", names)


def deleted_tests(diff: str) -> list[str]:
    """Test files and test functions that a patch removes, without those it adds again elsewhere."""
    path, is_test, removed, added = "", False, dict[str, None](), set[str]()
    for line in diff.splitlines():
        if line.startswith("diff --git "):
            path = line.rpartition(" b/")[2]
            is_test = TEST_FILE.search(path) is not None
        if not is_test:
            continue
        if line.startswith("deleted file mode"):
            removed[path] = None
        is_line = line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
        match = TEST_NAME.match(line[1:]) if is_line else None
        if match is not None and line[0] == "-":
            removed[match[1] or match[2]] = None
        elif match is not None:
            added.add(match[1] or match[2])
    return [name for name in removed if name not in added]


def told(found: Sequence[Mismatch], seconds: float = 0.0) -> Told:
    """The line of the gate."""
    output = "\n".join(f"{one.title}: said {one.said!r}, measured {one.measured}" for one in found)
    text = f"{len(found)} claims do not fit what was measured" if found else "what was said fits what was measured"
    return Told("claims", "the handoff against the measurements", int(bool(found)), seconds, output, text)


async def compared(runner: Runner, task: Task, checks: Sequence[CheckRun], diff: bytes) -> list[CheckRun]:
    """Compare the handoff of ``task``, journal what does not fit, and say what the gate shows besides the checks."""
    found = mismatches(task, checks, diff[:MAX_DIFF_BYTES].decode(errors="replace"))
    if new := drafts(runner.view, task, found):
        await runner.record(*new)
    lines: list[CheckRun] = [told(found)] if found else []
    critic = runner.spec.critics.get(task.assigned_to)
    if critic is not None and task.commit and task.stat.files:
        lines.append(reviewed(runner.view, task, critic.service))
    return lines


def reviewed(view: RunView, task: Task, critic: str) -> Told:
    """Whether the critic has seen exactly this commit and has nothing more to say."""
    review = review_of(view, task.id, task.commit, critic)
    if review is None or review.status != "done":
        state = f"{review.id} is {review.status}" if review else "there was no review of this commit"
        return Told("critique", f"review by {critic}", 1, 0.0, state, state)
    said = [one for one in view.findings.values() if one.category == "critique" and one.about == task.id]
    accepted = sum(one.resolution != "verified" for one in said)
    text = f"{len(said)} findings, all closed" + (f", {accepted} without a fix" if accepted else "")
    return Told("critique", f"review by {critic}", 0, 0.0, text, text)


def drafts(view: RunView, task: Task, found: Sequence[Mismatch]) -> list[Draft]:
    """The findings of a comparison: new mismatches are opened, those that are gone are closed as verified."""
    known = {
        one.signature: one for one in view.findings.values() if one.category == "forensic" and one.about == task.id
    }
    now = {f"{task.id} {one.kind}": one for one in found}
    out: list[Draft] = []
    for signature, one in now.items():
        if signature not in known or known[signature].status == "closed":
            number = sum(name.startswith(f"W-{task.id.removeprefix('task_')}-F") for name in view.findings) + 1
            data = {
                "finding": f"W-{task.id.removeprefix('task_')}-F{number + len(out)}",
                "title": one.title,
                "severity": "HIGH",
                "location": task.id,
                "owner": task.assigned_to,
                "issue": f"Said: {one.said}\nMeasured: {one.measured}",
                "category": "forensic",
                "about": task.id,
                "signature": signature,
            }
            out.append(Draft("finding.opened", data, task=task.id))
    for signature, old in known.items():
        if old.status == "open" and signature not in now:
            data = {"finding": old.id, "resolution": "verified", "reason": "the next handoff fits what was measured"}
            out.append(Draft("finding.closed", data, task=task.id))
    return out
