"""What a call will probably use, learnt from those before it.

A bound would be safe and far too much: most of a history is read from the cache, which no limit counts, and an answer
is a twentieth of what it may be. The buckets make up for a wrong guess when the call is settled.
"""

from __future__ import annotations

from swarm_core.agents.admission import Call
from swarm_core.vocabulary.entities import Usage

from .buckets import Need

WEIGHT = 0.05
FIRST_SHARE = 0.5
FIRST_OUTPUT = 700.0


class Expectation:
    """Running means: of the share of a call's bound that counts as input, and of the tokens that come out."""

    def __init__(self) -> None:
        self.input_share = FIRST_SHARE
        self.output = FIRST_OUTPUT

    def of(self, call: Call) -> Need:
        return Need(1.0, call.input_tokens * self.input_share, min(float(call.max_tokens), self.output))

    def learn(self, call: Call, usage: Usage) -> None:
        share = min(1.0, counted_input(usage) / max(1, call.input_tokens))
        self.input_share += WEIGHT * (share - self.input_share)
        self.output += WEIGHT * (usage.output_tokens - self.output)


def counted_input(usage: Usage) -> int:
    """The tokens that count as input: all but those read from the cache."""
    return usage.input_tokens + usage.cache_write_tokens
