"""What chance decides. One seeded random for everything, and one switch that ends all faults."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rates:
    """How likely each fault is, each time it could strike."""

    model_overload: float = 0.08
    model_refusal: float = 0.01
    agent_hangs: float = 0.02
    agent_stalls: float = 0.02
    agent_asks: float = 0.01
    agent_does_nothing: float = 0.05
    agent_finds: float = 0.0  # with it, the rules of the shipped matrix hold as well
    late_writes: float = 0.2
    same_file: float = 0.15
    check_fails: float = 0.15
    git_fails: float = 0.03
    git_fails_after: float = 0.02
    disk_full: float = 0.01
    sync_fails: float = 0.002
    document_changed: float = 0.02
    operator_mistakes: float = 0.25
    operator_rejects: float = 0.2
    operator_meddles: float = 0.5
    operator_aborts: float = 0.08
    branch_moves: float = 0.2
    checkout_dirty: float = 0.2
    wall_jumps: float = 0.3

    @classmethod
    def none(cls) -> Self:
        """A world in which everything works."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


class Dice:
    """Seeded chance. While ``is_calm`` no fault strikes; everything that was broken works."""

    def __init__(self, random: Random, rates: Rates) -> None:
        self.random, self.rates = random, rates
        self.is_calm = False

    def strikes(self, fault: str) -> bool:
        return not self.is_calm and self.random.random() < getattr(self.rates, fault)

    def seconds(self, low: float, high: float) -> float:
        """A duration; each order of magnitude between the limits is as likely."""
        return low * math.exp(self.random.random() * math.log(high / low))

    def pick(self, things: Sequence[T]) -> T:
        return things[int(self.random.random() * len(things))]
