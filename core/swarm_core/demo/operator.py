"""How the automatic operator decides when nobody sits at the terminal: data, and one function that looks things up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """A decision that is not a plain approval. ``place`` is a gate's place, ``service`` who did the work."""

    place: str
    service: str
    iteration: int
    verdict: str
    note: str


ACTS: tuple[Act, ...] = (Act("merge", "backend", 1, "reject", "Tokens must expire after 15 minutes, not 60"),)


def verdict(place: str, service: str, iteration: int) -> tuple[str, str]:
    """``approve`` or ``reject`` and the note that goes with it; what no act names is approved."""
    for act in ACTS:
        if (act.place, act.service, act.iteration) == (place, service, iteration):
            return act.verdict, act.note
    return "approve", ""
