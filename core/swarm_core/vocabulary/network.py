"""Where a service's commands may connect to: the entries of ``network:``.

A host (``pypi.org``) or everything below a domain (``*.python.org``), either with a port (``pypi.org:8443``); without
one it is 443.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``network:``."""

    host: str
    port: int = DEFAULT_PORT

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError if it is no rule."""
        host, colon, port = text.strip().casefold().rpartition(":")
        if not colon:
            host, port = port, str(DEFAULT_PORT)
        bare = host.removeprefix("*.").rstrip(".")
        if not bare or not port.isdigit() or not 0 < int(port) < 65536 or set(bare) & set("*/ @[]"):
            raise ValueError(f"{text!r} is no host: write pypi.org, *.python.org or pypi.org:8443")
        return cls(("*." if host.startswith("*.") else "") + bare, int(port))

    def covers(self, host: str, port: int) -> bool:
        if port != self.port:
            return False
        return host == self.host or (self.host.startswith("*.") and host.endswith(self.host[1:]))
