"""How long to wait after a failed model call, and when to give up.

A limit (429) is a pause of everybody, never a failure: it is waited out as often as it comes. What may pass by itself
(overload, a dropped or cut or silent stream) is tried three more times. Everything else is final at once.
"""

from __future__ import annotations

from random import Random

from swarm_core.vocabulary.errors import ModelError, ModelFailure

MAX_RETRIES = 3
MAX_HELD = 30
MAX_BACKOFF_S = 60.0
MAX_JITTER_S = 5.0


class Patience:
    """Counts the failures of one turn. ``attempt`` is the number of the failure that was weighed last."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._limits = 0
        self._failures = 0
        self._held = 0
        self.attempt = 0

    def bears(self, error: ModelError) -> bool:
        """Weigh a failure that everybody waits out together: it costs no attempt, until there were far too many.

        Were there no end to it, a request that breaks the server each time would be sent for ever.
        """
        self._held += 1
        self.attempt = self._held
        return error.is_retryable and (error.kind is ModelFailure.LIMIT or self._held <= MAX_HELD)

    def wait_s(self, error: ModelError) -> float | None:
        """Seconds to wait before the next attempt; None when there should be none.

        A wait the server named is kept in full and a little is added, so that agents which were all told the same
        do not come back in the same instant.
        """
        if not error.is_retryable:
            return None
        if error.kind is ModelFailure.LIMIT:
            self._limits += 1
            self.attempt = self._limits
        else:
            self._failures += 1
            self.attempt = self._failures
            if self._failures > MAX_RETRIES:
                return None
        if error.wait_s is not None:
            return error.wait_s + self._random.random() * min(error.wait_s * 0.1, MAX_JITTER_S)
        backoff_s = min(MAX_BACKOFF_S, 2.0 ** min(self.attempt - 1, 10))
        return backoff_s * (0.75 + 0.25 * self._random.random())
