"""A service is really started, asked from outside, and ended with all it started."""

from __future__ import annotations

import socket
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from tests.support.crew import eventually
from tests.support.measuring import fill, measure

from swarm_core.checks.service import percentile

SERVER = """\
import http.server, os, sys, time
SLEEP, STATUS = float(sys.argv[2]), int(sys.argv[3])
held = bytearray(int(sys.argv[4]) << 20)
for place in range(0, len(held), 4096):
    held[place] = 1
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(SLEEP)
        self.send_response(STATUS)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
if os.environ.get("LEAVES"):
    import subprocess
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    open("pid", "w").write(str(child.pid))
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

PYTHON = f'"{sys.executable}"'  # its path may hold a space


def start(port: str = "$PORT", sleep: float = 0, status: int = 200, mib: int = 0) -> str:
    return f"'exec {PYTHON} server.py {port} {sleep} {status} {mib}'"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return fill(tmp_path / "t", {"server.py": SERVER})


async def test_a_quick_service_passes_with_its_p95(place: Path) -> None:
    found = await measure(place, f"kind: response_time, start: {start()}, path: /x, requests: 20, threshold: '<= 5s'")
    assert found.result == "pass", (found.note, found.output)
    assert found.value is not None
    assert 0 < found.value < 5000
    assert found.note.startswith("p95 of 20 requests")


async def test_a_slow_service_fails_with_its_p95(place: Path) -> None:
    text = f"kind: response_time, start: {start('{port}', sleep=0.03)}, requests: 5, threshold: '<= 20ms'"
    found = await measure(place, text)
    assert found.result == "fail"
    assert found.value is not None
    assert 30 <= found.value < 5000
    assert "ms (<= 20ms)" in found.detail


async def test_a_service_that_answers_with_errors_fails(place: Path) -> None:
    found = await measure(place, f"kind: response_time, start: {start(status=500)}, requests: 3")
    assert (found.result, [one.message for one in found.found]) == ("fail", ["status 500"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_is_what_its_processes_hold(place: Path) -> None:
    text = f"kind: memory, requests: 3, start: {start(mib=64)}"
    found = await measure(place, text + ", threshold: '<= 500 MiB'")
    assert found.result == "pass", found.note
    assert found.value is not None
    assert found.value > 64 << 20
    assert (await measure(place, text + ", threshold: '<= 60MiB'")).result == "fail"


@pytest.mark.parametrize(
    ("command", "result", "said"),
    [
        ("no-such-server", "not_measured", "not installed"),
        ("echo no config >&2; exit 3", "error", "exit 3"),
        ("sleep 60", "error", "nothing listened"),
    ],
)
async def test_a_service_that_never_listens_is_no_pass_and_says_why(
    place: Path, command: str, result: str, said: str
) -> None:
    found = await measure(place, f"kind: response_time, start: '{command}', ready: 1s")
    assert (found.result, said in found.note) == (result, True)
    if "config" in command:
        assert "no config" in found.output


async def test_what_speaks_no_http_fails(place: Path) -> None:
    program = "import socket; s = socket.create_server(('127.0.0.1', int(__import__('os').environ['PORT'])))\\n"
    fill(place, {"raw.py": program.replace("\\n", "\n") + "while True:\n    s.accept()[0].send(b'hello\\n')\n"})
    found = await measure(place, f"kind: response_time, start: '{PYTHON} raw.py', requests: 2")
    assert (found.result, bool(found.found)) == ("fail", True)


async def test_a_port_that_somebody_else_holds_measures_nothing(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = await measure(place, f"kind: response_time, start: {start(str(port))}, port: {port}")
    assert (found.result, f"port {port} is taken" in found.note) == ("not_measured", True)


@pytest.mark.skipif(sys.platform != "linux", reason="processes outside the session are found in /proc")
async def test_it_is_ended_with_all_it_started(place: Path) -> None:
    text = f"kind: response_time, requests: 1, threshold: '<= 9s', start: 'LEAVES=1 {start()[1:]}"
    found = await measure(place, text)
    assert found.result == "pass", found.note
    stat = Path("/proc", (place / "pid").read_text(), "stat")
    await eventually(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z", "its death")


def test_a_percentile_is_one_of_the_values() -> None:
    values = [Fraction(n) for n in range(1, 101)]
    assert [percentile(values, 95), percentile(values, 50), percentile(values[:1], 95)] == [95, 50, 1]
