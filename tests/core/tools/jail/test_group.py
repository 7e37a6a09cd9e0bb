"""A control group caps an agent's processes, and none is left behind, not even by an engine that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import environment

from swarm_core.tools.jail.group import Group

_first = Group.make(10)
if _first is not None:
    _first.close()
pytestmark = pytest.mark.skipif(_first is None, reason="no control group may be made here")


def made() -> Group:
    group = Group.make(8)
    assert group is not None
    return group


def test_the_cap_holds_for_what_joins_and_the_group_goes_with_it() -> None:
    group = made()
    forks = "import os, time\nn = 0\ntry:\n  while n < 50:\n"
    forks += "    if not os.fork(): time.sleep(0.3); os._exit(0)\n    n += 1\n"
    forks += "except OSError: print(n)\nwhile n:\n  os.wait(); n -= 1"
    done = subprocess.run([sys.executable, "-c", forks], preexec_fn=group.join, capture_output=True, check=True)
    assert int(done.stdout) == 7
    group.close()
    assert not group.directory.exists()


def test_what_a_killed_engine_left_is_taken_away() -> None:
    leave = "import os, signal\nfrom swarm_core.tools.jail.group import Group\n"
    leave += "print(Group.make(5).directory, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    left = Path(
        subprocess.run([sys.executable, "-c", leave], env=environment(), stdout=subprocess.PIPE, check=False)
        .stdout.decode()
        .strip()
    )
    assert left.is_dir()
    made().close()
    assert not left.exists()
