"""Tests that were there at the base and are not there now, each by its name.

With a command, the names are those of the JUnit XML it writes in both trees; without one, those that stand in the test
files. A test that was renamed counts as deleted: whoever decides sees the name. So does one that is skipped now and ran
before, where a command tells.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from fractions import Fraction

from .confined import private
from .junit import read_junit
from .markup import MarkupError
from .measured import Found, Measured, broken, not_measured, verdict
from .reports import reported
from .site import Site
from .still import names_in


async def measure(site: Site) -> Measured:
    tree = await site.around.base()
    if tree is None:
        hint = "it is measured where there is a commit to compare with: at a merge, or with swarm-tui check --base"
        return not_measured("there is nothing to compare with", hint)
    now = await _names(site)
    if isinstance(now, Measured):
        return now
    site = dataclasses.replace(site, tree=tree, scratch=private(site, "base"))
    before = await _remembered(site)
    if isinstance(before, Measured):
        return dataclasses.replace(before, note=f"at the base: {before.note}")
    return judge(before, now)


def judge(before: dict[str, bool], now: dict[str, bool]) -> Measured:
    """Names of tests, and whether each ran, before and now. Pure."""
    found = [Found(f"{name} was deleted", _file(name), severity="HIGH") for name in sorted(before.keys() - now.keys())]
    gone = len(found)
    found += [
        Found(f"{name} ran before and is skipped now", severity="HIGH")
        for name in sorted(name for name, ran in before.items() if ran and not now.get(name, True))
    ]
    note = f"{gone} of {len(before)} deleted, {len(now.keys() - before.keys())} new"
    return verdict(found, note, Fraction(gone))


def _file(name: str) -> str:
    """The file a name begins with, if it begins with one."""
    path = name.partition("::")[0]
    return path if "/" in path or path.endswith(".py") else ""


async def _remembered(site: Site) -> dict[str, bool] | Measured:
    around = site.around
    key = (
        around.base_commit,
        hashlib.sha256(repr(("names", site.spec.command, site.spec.options)).encode()).hexdigest(),
    )
    if (kept := around.remember.get(key)) is not None:
        return dict(json.loads(kept.output))
    names = await _names(site)
    if around.base_commit and not isinstance(names, Measured):
        around.remember[key] = Measured("pass", output=json.dumps(names))
    return names


async def _names(site: Site) -> dict[str, bool] | Measured:
    if not site.spec.command:
        return await names_in(site)
    found = await reported(site)
    if isinstance(found, Measured):
        return found
    try:
        report = read_junit(found.data)
    except MarkupError as error:
        return broken(f"the report is no JUnit XML: {error}", "let the command write JUnit XML to {report}")
    return {name: name not in report.skipped for name in report.names}
