"""What every test stands on: a clean environment, no network, no blocked event loop."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

_UNWANTED = ("NO_COLOR", "COLORTERM", "ANTHROPIC_", "TEXTUAL_", "GIT_", "SWARM_", "XDG_")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty HOME, no credentials, no settings of the person who runs the tests. Returns the HOME."""
    for name in list(os.environ):
        if name.startswith(_UNWANTED):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(home / "no-anthropic-profile"))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TZ", "UTC")
    return home


def _is_local(address: Any) -> bool:
    if isinstance(address, (str, bytes)):  # a UNIX socket's path
        return True
    host = str(address[0])
    return host.startswith("127.") or host in ("::1", "localhost", "0.0.0.0", "")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anything but loopback fails the test that tried it."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        assert _is_local(address), f"a test reached for {address}"
        return connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        assert _is_local(address), f"a test reached for {address}"
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)


@pytest.fixture(autouse=True, scope="session")
def no_engine_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines outlive their front ends by design; those of a test that failed end with the tests."""
    yield
    ours = os.fsencode(tmp_path_factory.getbasetemp())
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if b"swarm_core.engine" in command and ours in command:
            os.kill(int(entry.parent.name), signal.SIGKILL)


_BLOCKING = ("time.sleep", "socket.", "ssl.", "sqlite3.", "builtins.input")


@pytest.fixture(autouse=True)
def no_blocked_loop(no_network: None) -> Iterator[None]:
    """A sleep, a blocking socket, a database or a prompt on the event loop fails the test.

    After ``no_network``: both wrap ``connect``, and must unwrap it the other way round.
    """
    guard = BlockBuster(excluded_modules=["pytest", "_pytest"])
    watched = [function for name, function in guard.functions.items() if name.startswith(_BLOCKING)]
    for function in watched:
        function.activate()
    yield
    for function in watched:
        function.deactivate()
