"""Success criteria: checks that all have to pass, as one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from .measured import Found, Measured
from .site import Site


async def measure(site: Site) -> Measured:
    return judge(site.spec.options["checks"], site.around.results)


def judge(wanted: Sequence[str], results: Mapping[str, str]) -> Measured:
    """Fails for one that failed; is not measured while one is not. Pure."""
    missed = {name: results.get(name, "not_measured") for name in wanted if results.get(name) != "pass"}
    found = tuple(Found(f"{name}: {status.replace('_', ' ')}", severity="HIGH") for name, status in missed.items())
    note = f"{len(wanted) - len(missed)} of {len(wanted)} criteria met"
    value = Fraction(len(wanted) - len(missed))
    if not missed:
        return Measured("pass", value, note=note)
    if set(missed.values()) == {"not_measured"}:
        return Measured("not_measured", value, "", found, note, "have the checks measured that are named")
    return Measured("fail", value, "", found, note)
