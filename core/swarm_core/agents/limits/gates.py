"""All gates of an engine: one for each provider's key and class of models, made when it is first asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

from swarm_core.vocabulary.clock import Clock

from .breaker import COOL_S, Breaker
from .quota import quotas
from .rate_gate import Notice, RateGate
from .window import START, Window

# A limit that passes sooner is waited for: another model begins without a cache and without the thinking so far.
SWITCH_AFTER_S = 60.0
_FAMILY = re.compile(r"claude-(?:[\d.-]+-)?([a-z]+)")
OnResponse = Callable[[str, int, Mapping[str, str]], None]


def model_class(model: str) -> str:
    """What shares a limit: all versions of a family of Claude models; any other model is its own class."""
    found = _FAMILY.match(model)
    return f"claude-{found[1]}" if found else model


class RateGates:
    """``listeners`` hear what concerns everybody at a gate. A provider is a key at a server, by whatever name."""

    def __init__(
        self, clock: Clock, random: Random | None = None, *, window: float | None = START, cool_s: float = COOL_S
    ) -> None:
        self._clock, self._random = clock, random or Random()
        self._window, self._cool_s = window, cool_s
        self._gates: dict[str, dict[str, RateGate]] = {}
        self._lines: dict[str, Breaker] = {}
        self._remembered: dict[str, float] = {}
        self.listeners: list[Callable[[Notice], None]] = []
        self.unlimited: set[str] = set()
        """Providers that cannot be overrun: no window holds their calls back."""

    def gate(self, provider: str, model: str) -> RateGate:
        gates = self._gates.setdefault(provider, {})
        kind = model_class(model)
        if kind not in gates:
            gates[kind] = self._new(provider, f"{provider}/{kind}")
        return gates[kind]

    def _new(self, provider: str, name: str) -> RateGate:
        line = self._lines.setdefault(provider, Breaker(provider, self._random, cool_s=self._cool_s))
        window = None if self._window is None or provider in self.unlimited else Window(self._window)

        def moved() -> None:
            for other in self._gates[provider].values():
                if other.name != name:
                    other.look()

        breaker = Breaker(name, self._random, cool_s=self._cool_s)
        gate = RateGate(
            name, self._clock, self._random, breaker=breaker, line=line, window=window, tell=self._tell, moved=moved
        )
        if (rest_s := self._remembered.pop(name, 0.0) - self._clock.monotonic_s()) > 0:
            gate.limit(rest_s)
        return gate

    def observer(self, provider: str) -> OnResponse:
        """To be called with the model asked for, the status and the headers of every response of ``provider``."""

        def heard(model: str, status: int, headers: Mapping[str, str]) -> None:
            self.gate(provider, model).heard(quotas(headers, self._clock.now()), status)

        return heard

    def remember(self, name: str, wait_s: float) -> None:
        """A limit that an earlier engine was told of, for a gate that is yet to be made."""
        self._remembered[name] = self._clock.monotonic_s() + wait_s

    def choose(self, provider: str, models: Sequence[str]) -> str:
        """The first of ``models`` that can be asked soon; the first of all if none can."""
        for model in models:
            gate = self.gate(provider, model)
            if gate.limited_for_s <= SWITCH_AFTER_S and not gate.is_broken:
                return model
        return models[0]

    def _tell(self, notice: Notice) -> None:
        for listener in self.listeners:
            listener(notice)
