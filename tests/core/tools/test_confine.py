"""A confined process writes where it may and nowhere else, whatever it tries."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_core.tools.confine import Jail, confinement, landlock_abi

needs_landlock = pytest.mark.skipif(confinement() == "none", reason="the kernel has no Landlock")


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("untouched")
    yield tmp_path / "inside"
    assert (tmp_path / "outside" / "file").read_text() == "untouched"
    assert [entry.name for entry in (tmp_path / "outside").iterdir()] == ["file"]


def confined(directory: Path, command: str, *, connects: bool = False) -> subprocess.CompletedProcess[str]:
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with Jail([fd], connects=connects) as jail:
            return subprocess.run(
                ["bash", "-c", command],
                cwd=directory,
                preexec_fn=jail.in_child,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
    finally:
        os.close(fd)


def test_the_probe_agrees_with_the_kernel() -> None:
    assert (landlock_abi() > 0) == (confinement() == "landlock")


@needs_landlock
@pytest.mark.parametrize(
    "command",
    [
        "echo x > ../outside/file",
        "echo x > ../outside/new",
        f"{sys.executable} -c \"open('../outside/file', 'w')\"",
        f"{sys.executable} -c \"import os; os.truncate('../outside/file', 0)\"",
        "ln -s ../outside away; echo x > away/file",
        "ln -s ../outside/file link; echo x > link",
        "ln ../outside/file hard && echo x > hard",
        "mv ../outside/file here",
        "echo x > here; mv here ../outside/new",
        "rm ../outside/file",
        "mkdir ../outside/new",
        "cd ../outside; rm -rf ./*; touch new",
        "(setsid bash -c 'echo x > ../outside/file')",
        "mknod device b 8 0 || mknod device c 1 1",
        "unshare -m true; echo x > ../outside/file",
        "echo x > /proc/self/root/$PWD/../outside/file",
    ],
)
def test_nothing_outside_is_changed(inside: Path, command: str) -> None:
    assert confined(inside, command).returncode != 0


@needs_landlock
def test_inside_everything_ordinary_works(inside: Path) -> None:
    command = (
        "set -e; echo a > a; mkdir -p d/e; mv a d/e/b; ln -s d link; ln d/e/b hard; mkfifo pipe; truncate -s 1 hard;"
        " rm -r d; echo x > /dev/null; cat /etc/hostname > copy; echo out > /dev/stdout; echo err > /dev/stderr"
    )
    done = confined(inside, command)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out\n"


@needs_landlock
def test_a_terminal_cannot_be_painted(inside: Path) -> None:
    master, terminal = os.openpty()
    try:
        assert confined(inside, f"echo x > {os.ttyname(terminal)}").returncode != 0
    finally:
        os.close(master)
        os.close(terminal)


@pytest.mark.skipif(landlock_abi() < 4, reason="the kernel cannot refuse TCP")
def test_tcp_connections_are_refused_unless_granted(inside: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = f"exec 3<> /dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        assert "Permission denied" in confined(inside, command).stderr
        assert confined(inside, command, connects=True).returncode == 0


@pytest.mark.skipif(landlock_abi() < 6, reason="the kernel cannot refuse signals")
def test_processes_outside_cannot_be_signalled(inside: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        assert confined(inside, f"kill -9 {other.pid}").returncode != 0
        assert other.poll() is None
        other.kill()


@needs_landlock
def test_no_privileges_are_gained_and_descriptors_do_not_leak(inside: Path) -> None:
    assert "NoNewPrivs:\t1" in confined(inside, "cat /proc/self/status").stdout
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        confined(inside, "true")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@needs_landlock
def test_a_child_without_any_grant_writes_nothing(inside: Path) -> None:
    with Jail(()) as jail:
        done = subprocess.run(["touch", "x"], cwd=inside, preexec_fn=jail.in_child, capture_output=True, check=False)
    assert done.returncode != 0
    assert not (inside / "x").exists()
