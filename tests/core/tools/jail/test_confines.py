"""Whoever is spoken with while it lives (an agent of another make, a tool server) is confined as a command is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support.tools import bench

from swarm_core.tools.bash import environment
from swarm_core.tools.child import Child
from swarm_core.tools.jail.choice import candidates
from swarm_core.tools.jail.confines import Confines

pytestmark = pytest.mark.skipif(not candidates("auto"), reason="nothing confines here")

TRY = """
cat "$1" 2>/dev/null && echo LEAKED
echo x 2>/dev/null > "$2" && echo ESCAPED
cat "$3" && echo mine > backend/new && echo at home
"""


@pytest.mark.parametrize("is_open", [True, False], ids=["with TCP", "without"])
async def test_a_child_reads_its_tree_and_what_it_was_started_from_and_nothing_else(
    tmp_path: Path, is_open: bool
) -> None:
    room = bench(tmp_path)
    program = tmp_path / "agent" / "agent.sh"
    program.parent.mkdir()
    program.write_text(TRY)
    (program.parent / "part").write_text("a part of the program\n")
    secret, goal = room.outside / "secret", room.outside / "new"
    argv = ["/bin/sh", str(program), str(secret), str(goal), str(program.parent / "part")]
    child = await Child.start(
        argv,
        cwd=room.tree,
        env=environment(room.tree, room.scratch),
        jail=partial(Confines().for_child, argv[:2], room.scope, room.scratch, is_open=is_open),
    )
    try:
        said = []
        while (line := await child.line()) is not None:
            said.append(line.data.decode())
    finally:
        await child.end()

    assert said == ["a part of the program", "at home"]
    assert not goal.exists()
    assert (room.tree / "backend" / "new").read_text() == "mine\n"
