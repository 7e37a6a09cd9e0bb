"""The proof that a confinement holds: from inside it, do what must not work, and look from outside what happened.

Nothing is believed because it was set up. A file outside, a secret, a listening port and a port for datagrams are
planted; a first command goes for each of them, with nothing but the shell's own means.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .reach import Reach

ATTEMPTS = ("start", "write inside", "write outside", "read a secret", "connect", "send a datagram", "signal")
# Before Linux 6.12 Landlock cannot keep signals inside: that is shown, and not held against it.
_FORGIVEN = {"landlock": frozenset({"signal"})}
_SCRIPT = """\
{{ echo x > {inside}/.canary && read -r x < {inside}/.canary && : > {inside}/.canary && echo inside; }} 2>/dev/null
{{ echo x > {outside}/written; }} 2>/dev/null
{{ read -r x < {outside}/secret && echo "$x"; }} 2>/dev/null
{{ echo x > /dev/tcp/127.0.0.1/{tcp}; }} 2>/dev/null
{{ echo x > /dev/udp/127.0.0.1/{udp}; }} 2>/dev/null
{{ kill -0 {pid} && echo signal; }} 2>/dev/null
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was tried: each attempt with whether the confinement did what it should."""

    kind: str
    attempts: tuple[tuple[str, bool], ...]

    @property
    def broken(self) -> list[str]:
        """What got through or did not work, the worst included."""
        return [name for name, is_held in self.attempts if not is_held]

    @property
    def holds(self) -> bool:
        return not set(self.broken).difference(_FORGIVEN.get(self.kind, ()))


class Canaries:
    """What is planted beside an agent's directories, for one proof. ``script`` goes for it; then ask ``proof``."""

    def __init__(self, reach: Reach) -> None:
        self._inside = reach.scratch / "tmp"
        self._outside = Path(tempfile.mkdtemp(prefix=".canary-", dir=reach.scratch.parent))
        self._secret = secrets.token_hex(16)
        (self._outside / "secret").write_text(self._secret + "\n")
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        for planted in (self._tcp, self._udp):
            planted.setblocking(False)

    @property
    def script(self) -> str:
        return _SCRIPT.format(
            inside=shlex.quote(str(self._inside)),
            outside=shlex.quote(str(self._outside)),
            tcp=self._tcp.getsockname()[1],
            udp=self._udp.getsockname()[1],
            pid=os.getpid(),
        )

    def proof(self, kind: str, output: str, *, is_started: bool = True) -> Proof:
        """What came of it; ``output`` is what the script printed."""
        found = {
            "start": is_started,
            "write inside": "inside" in output.split(),
            "write outside": not (self._outside / "written").exists(),
            "read a secret": self._secret not in output,
            "connect": not _arrived(self._tcp),
            "send a datagram": not _arrived(self._udp),
            "signal": "signal" not in output.split(),
        }
        return Proof(kind, tuple((name, found[name]) for name in ATTEMPTS))

    def close(self) -> None:
        self._tcp.close()
        self._udp.close()
        shutil.rmtree(self._outside, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _arrived(planted: socket.socket) -> bool:
    try:
        if planted.type == socket.SOCK_STREAM:
            planted.accept()[0].close()
        else:
            planted.recv(16)
    except (BlockingIOError, InterruptedError):
        return False
    return True
