"""Coverage of the tests, and whether it dropped below what it was before the work.

A percentage is of lines that the report counts, exact: 79.9 misses 80 and nothing is rounded. A test run that failed
measures nothing, since lines that a broken test reached prove nothing; neither does a report with no lines in it.
"""

from __future__ import annotations

import dataclasses
import hashlib

from swarm_core.vocabulary.threshold import shown

from .confined import private
from .coverage_reports import Cover, read_coverage
from .measured import Measured, broken, not_measured
from .reports import reported
from .site import Site


async def measure(site: Site) -> Measured:
    now = await _covered(site)
    return await _against_base(site, now) if site.spec.kind == "coverage_not_dropped" else now


async def _covered(site: Site) -> Measured:
    found = await reported(site)
    if isinstance(found, Measured):
        return found
    ended = found.ended
    if ended.exit_code:
        hint = "make the tests pass first: a run that broke off covers whatever it came to"
        return broken(f"the command ended with exit {ended.exit_code}", hint, ended.text, ended.exit_code)
    try:
        cover = read_coverage(found.data)
    except ValueError as error:
        hint = "let the command write coverage.py JSON or XML, or lcov, to {report}"
        return broken(f"the report {error}", hint, ended.text)
    return dataclasses.replace(judge(cover), output=ended.text)


def judge(cover: Cover) -> Measured:
    """The percentage; the threshold decides. Pure."""
    percent = cover.percent
    if percent is None:
        return not_measured("the report has no line to cover", "see which files the tool was told to measure")
    return Measured("", percent, "%", cover.worst, f"{cover.covered} of {cover.total} lines and branches")


async def _against_base(site: Site, now: Measured) -> Measured:
    """How many points more or less than at the base. Measured there once for each commit and command."""
    if now.value is None:
        return now
    around = site.around
    key = (around.base_commit, hashlib.sha256(repr((site.spec.command, site.spec.options)).encode()).hexdigest())
    before = around.remember.get(key)
    if before is None:
        tree = await around.base()
        if tree is None:
            hint = "it is measured where there is a commit to compare with: at a merge, or with swarm-tui check --base"
            return not_measured("there is nothing to compare with", hint, now.output)
        before = await _covered(dataclasses.replace(site, tree=tree, scratch=private(site, "base")))
        if around.base_commit and before.value is not None:
            around.remember[key] = before
    if before.value is None:
        return not_measured(f"at the base: {before.note}", before.hint, now.output)
    change = now.value - before.value
    note = f"{shown(now.value, '%')} now, {shown(before.value, '%')} before"
    return dataclasses.replace(now, value=change, note=note, found=now.found if change < 0 else ())
