"""A check is measured: it passes, fails, takes too long or cannot start, and it can do no harm meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.crew import eventually
from tests.support.tools import KINDS

from swarm_core.checks.run import TAIL_LINES, CheckRun, run_check
from swarm_core.tools.jail.confines import Confines
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.spec import CheckSpec


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


async def measure(tree: Path, command: str, timeout_s: float = 20.0, setting: str = "auto") -> CheckRun:
    spec = CheckSpec("tests", command, timeout_s)
    return await run_check(spec, tree, tree.parent / "scratch", SystemClock(), Confines(setting))


async def test_exit_0_passes_and_the_output_is_the_evidence(tree: Path) -> None:
    found = await measure(tree, "echo one; echo two >&2; pwd")

    assert (found.has_passed, found.exit_code, found.name) == (True, 0, "tests")
    assert found.output.splitlines() == ["one", "two", str(tree)]
    assert found.detail == f"{found.seconds:.1f} s"


async def test_any_other_exit_fails_and_says_so(tree: Path) -> None:
    found = await measure(tree, "echo broken; exit 3")

    assert (found.has_passed, found.exit_code, found.output) == (False, 3, "broken\n")
    assert found.detail.startswith("exit 3, ")


async def test_a_command_that_takes_too_long_is_ended_with_all_it_started(tree: Path) -> None:
    found = await measure(tree, "sleep 60 & echo $! >pid; echo begun; wait", timeout_s=0.5, setting=KINDS[-1])

    assert not found.has_passed
    assert "begun" in found.output
    assert "after 0.5 s" in found.output
    stat = Path("/proc", (tree / "pid").read_text().strip(), "stat")
    await eventually(lambda: _is_dead(stat), "the death of what it started")


def _is_dead(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def test_a_command_that_kills_itself_has_failed(tree: Path) -> None:
    found = await measure(tree, "kill -9 $$")

    assert not found.has_passed
    assert found.exit_code not in (0, None)


@pytest.mark.parametrize("command", ["no-such-program-anywhere", "./not-there.sh", "'"])
async def test_a_command_that_cannot_start_has_failed(tree: Path, command: str) -> None:
    assert not (await measure(tree, command)).has_passed


async def test_a_tree_that_is_gone_is_a_failure_not_an_error(tree: Path) -> None:
    found = await measure(tree / "gone", "true")

    assert (found.has_passed, found.exit_code) == (False, 127)
    assert "could not be started" in found.output


async def test_no_credential_and_nothing_of_the_operators_home_is_passed_on(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    monkeypatch.setenv("GIT_DIR", "/somewhere/.git")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "more")
    found = await measure(tree, "env; echo home=$HOME")

    assert "sk-secret" not in found.output
    assert "AWS_SECRET" not in found.output
    assert "GIT_DIR=" not in found.output
    assert f"home={Path.home()}" not in found.output


async def test_it_may_write_in_its_tree_and_its_scratch_and_nowhere_else(tree: Path) -> None:
    outside = tree.parent / "outside.txt"
    found = await measure(tree, f'echo in >in.txt && echo t >"$TMPDIR/t" && echo out >{outside}; : >/var/out')

    assert (tree / "in.txt").read_text() == "in\n"
    assert (tree.parent / "scratch/tmp/t").exists()
    assert not outside.exists()
    assert not found.has_passed


async def test_it_may_start_a_server_and_talk_to_it(tree: Path) -> None:
    script = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "c = socket.create_connection(s.getsockname()); c.send(b'x'); print(s.accept()[0].recv(1))"
    )
    found = await measure(tree, f'python3 -c "{script}"')

    assert found.output == "b'x'\n", found.output


async def test_what_is_shown_of_the_output_is_short_and_cannot_paint(tree: Path) -> None:
    found = await measure(tree, r"for i in $(seq 100); do echo line $i; done; printf '\033]0;forged\007\n'")

    assert len(found.tail) == TAIL_LINES
    assert found.tail[-1] == "\u241b]0;forged\u2407"
    assert found.tail[0] == "line 90"
