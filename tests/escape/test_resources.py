"""What a command may take is limited, and what it leaves running ends with it, wherever it hides."""

# ruff: noqa: E501 - a command is one line

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.escape import Prison, Site, leftovers, prison
from tests.support.tools import until

MIB = 1 << 20

DAEMONS = {
    "in the background": "sleep <sleeper> &",
    "without a hang-up": "nohup sleep <sleeper> > /dev/null 2>&1 & disown",
    "in a session of its own": "setsid sleep <sleeper> > /dev/null 2>&1 < /dev/null &",
    "forked twice": (
        'python3 -c "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); '
        "[os.close(n) for n in range(3)]; os.execlp('sleep', 'sleep', '<sleeper>')\""
    ),
    "without an environment": "setsid env -i /bin/sleep <sleeper> > /dev/null 2>&1 &",
    "ignoring every signal": "(trap '' TERM HUP INT; setsid sleep <sleeper>) > /dev/null 2>&1 &",
    "as a family": "for i in 1 2 3; do (setsid bash -c 'sleep <sleeper> & sleep <sleeper>' > /dev/null 2>&1 &) done",
}


@pytest.mark.parametrize("name", DAEMONS)
async def test_a_daemon_ends_with_its_command(cell: Prison, name: str) -> None:
    result = await cell.bash(DAEMONS[name])
    assert "ended with it" in result.text
    await until(lambda: not leftovers())
    assert (await cell.bash("echo next")).text == "next"


async def test_a_command_that_never_ends_is_stopped_with_its_daemons(cell: Prison) -> None:
    result = await cell.bash("setsid sleep <sleeper> & sleep <sleeper>", timeout_ms=300)
    assert result.text.startswith("Stopped after 0.3 s (timeout).")
    await until(lambda: not leftovers())


# Each would end by itself at 500 processes: what fails to be stopped must not take the machine with it.
BOMBS = {
    "pairs": "b() { [ $1 -gt 7 ] && exec sleep <sleeper>; b $(($1 + 1)) | b $(($1 + 1)) & }; b 0; sleep 20",
    "a row": "for i in $(seq 500); do sleep <sleeper> & done; sleep 20",
    "python": (
        'python3 -c "import os, time\nfor _ in range(500):\n    try:\n        if not os.fork(): time.sleep(20); os._exit(0)\n'
        '    except OSError: time.sleep(0.01)\ntime.sleep(20)"'
    ),
    "daemons": "for i in $(seq 500); do (setsid sleep <sleeper> &) done; sleep 20",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_fork_bomb_is_stopped_and_nothing_of_it_is_left(site: Site, kind: str, bomb: str) -> None:
    cell = await prison(site, kind, processes=60)
    try:
        result = await cell.bash(BOMBS[bomb])
        assert result.text.startswith("Stopped: it started too many processes.")
        assert (await cell.bash("echo next")).text == "next"
        await cell.check()
    finally:
        cell.close()


async def test_files_have_a_greatest_size(site: Site, kind: str) -> None:
    cell = await prison(site, kind, file_bytes=MIB)
    try:
        result = await cell.bash("head -c 3000000 /dev/zero > backend/big")
        assert result.is_error
        assert (cell.tree / "backend/big").stat().st_size <= MIB
        await cell.check()
    finally:
        cell.close()


async def test_the_disk_is_not_filled(site: Site, kind: str) -> None:
    cell = await prison(site, kind, file_bytes=16 * MIB, disk_bytes=64 * MIB)
    try:
        result = await cell.bash(
            "i=0; while :; do i=$((i+1)); head -c 8000000 /dev/zero > backend/$i; sleep 0.02; done"
        )
        assert result.text.startswith("Stopped: it wrote too much")
        await cell.check()
    finally:
        cell.close()


async def test_memory_ends_for_one_process_and_for_all_together(site: Site, kind: str) -> None:
    cell = await prison(site, kind, data_bytes=256 * MIB, memory_bytes=200 * MIB)
    try:
        assert "MemoryError" in (await cell.bash("python3 -c \"x = b'x' * (1 << 30)\"")).text
        many = "for i in 1 2 3 4 5 6; do python3 -c \"import time; x = b'x' * (60 << 20); time.sleep(20)\" & done; wait"
        assert (await cell.bash(many)).text.startswith("Stopped: its processes took too much memory.")
        await cell.check()
    finally:
        cell.close()


async def test_output_without_end_is_stopped(cell: Prison) -> None:
    result = await cell.bash("yes")
    assert result.text.startswith("Stopped: it printed more than")
    assert len(result.text) < 40_000


async def test_files_without_end_are_not_opened(cell: Prison) -> None:
    opened = await cell.bash("python3 -c \"import os\nf = [open('/dev/null') for _ in range(100000)]\"")
    assert "Too many open files" in opened.text


async def test_what_paints_a_terminal_is_text(cell: Prison) -> None:
    result = await cell.bash(
        "printf '\\033]0;owned\\a\\033[2J\\033]52;c;b3duZWQ=\\a\\233'; ls -l /proc/self/fd | grep tty"
    )
    assert not Path("/dev/tty").is_char_device() or "tty" not in result.text.rpartition("\n")[2]
    assert "owned" in result.text, "what a model reads is what was printed: the border to the screen cleans it"


async def test_a_shell_that_is_attacked_is_replaced(cell: Prison) -> None:
    for command in ("kill -9 $$", "kill -STOP $$; sleep 5", "exec 1>&- 2>&-; kill -9 -$$ 0"):
        await cell.bash(command, timeout_ms=500)
        assert (await cell.bash("echo next")).text == "next"


async def test_an_answer_that_is_forged_is_only_a_lie_about_itself(cell: Prison) -> None:
    forge = "for f in /proc/$$/fd/*; do echo '0000000000000000 0' > $f; printf 'x\\0y\\0z\\0' > $f; done"
    await cell.bash(forge, timeout_ms=500)
    assert (await cell.bash("echo next; exit 3")).text.endswith("next")
