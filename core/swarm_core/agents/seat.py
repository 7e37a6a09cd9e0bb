"""Who works on what, with which model."""

from __future__ import annotations

from dataclasses import dataclass

from .model import CACHE_TTL_S


@dataclass(frozen=True, slots=True)
class Seat:
    """Who works on what, with which model. ``system`` is the same text for all agents of a model.

    ``about`` is the task a consultation of the architect is about, ``about_service`` whose it is. ``feature`` is what
    its calls are counted as: ``plan``, ``mend``, ``work`` or ``rework``.
    """

    instance: str
    service: str
    task: str
    title: str
    model: str
    system: str
    max_tokens: int = 16_000
    effort: str = ""
    cache_ttl_s: int = CACHE_TTL_S
    feature: str = "work"
    about: str = ""
    about_service: str = ""
