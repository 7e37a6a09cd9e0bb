"""The program's entry: the command line, with this room to open."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from swarm_core import cli


def open_room(root: Path, run: str | None) -> int:
    """Open the control room on a repository; returns the exit code when it is closed. The swarm goes on."""
    gc.disable()  # until the first paint: nothing that is made on the way there is garbage
    from swarm_core.client import SwarmClient
    from swarm_tui.app import ControlRoom

    room = ControlRoom(SwarmClient(root), run)
    room.run()
    return room.return_code or 0


def main() -> int:
    return cli.main(sys.argv[1:], open_room)


if __name__ == "__main__":
    sys.exit(main())
