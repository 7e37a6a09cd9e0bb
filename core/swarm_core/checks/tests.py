"""Tests, read off the JUnit XML that the check's own command wrote.

Fails for a failed test, for none collected, for none that ran, and for a command that ends badly although its report is
good. The value is the number of tests that passed.
"""

from __future__ import annotations

from fractions import Fraction

from .confined import Ended
from .junit import TestReport, read_junit
from .markup import MarkupError
from .measured import Found, Measured, Status, broken
from .reports import reported
from .site import Site


async def measure(site: Site) -> Measured:
    found = await reported(site)
    if isinstance(found, Measured):
        return found
    try:
        report = read_junit(found.data)
    except MarkupError as error:
        hint = "let the command write JUnit XML to {report}, as pytest does with --junit-xml={report}"
        return broken(f"the report is no JUnit XML: {error}", hint, found.ended.text, found.ended.exit_code)
    skips = site.spec.options.get("max_skipped")
    return judge(report, found.ended, None if skips is None else int(skips))


def judge(report: TestReport, ended: Ended, max_skipped: int | None = None) -> Measured:
    """What a report and the end of the command that wrote it come to. Pure."""
    counts = f"{len(report.passed)} passed, {len(report.failed)} failed, {len(report.skipped)} skipped"
    found = list(report.failed.values())
    if report.broken_suites:
        found.append(Found(f"{report.broken_suites} suites broke before their tests", severity="HIGH"))
    if not report.collected:
        found.append(Found("no test was collected", severity="HIGH"))
    elif not report.passed and not report.failed:
        found.append(Found(f"no test ran: all {len(report.skipped)} were skipped", severity="HIGH"))
    if max_skipped is not None and len(report.skipped) > max_skipped:
        names = ", ".join(report.skipped[:5])
        found.append(Found(f"{len(report.skipped)} were skipped, {max_skipped} may be: {names}"))
    if ended.exit_code and not found:
        found.append(Found(f"the command ended with exit {ended.exit_code}, though its report has no failure"))
    value = Fraction(len(report.passed))
    status: Status = "fail" if found else "pass"
    return Measured(status, value, "", tuple(found), counts, output=ended.text, exit_code=ended.exit_code)
