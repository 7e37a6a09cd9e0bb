"""Claim: the room's first paint takes at most 1.8 times that of a minimal Textual application."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import python, report, time_to_paint
from tests.support.recorded import RUN, record_run

RUNS = 7
MINIMAL = """
from textual.app import App
from textual.widgets import Footer, Header, Static
class Minimal(App):
    def compose(self):
        yield Header()
        yield Static("PAINTED")
        yield Footer()
Minimal().run()
"""
ROOM = """
import sys
from pathlib import Path
from swarm_tui.__main__ import open_room
open_room(Path(sys.argv[1]), sys.argv[2])
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / ".git").mkdir()
        record_run(root)
        room, minimal = python("-c", ROOM, str(root), RUN), python("-c", MINIMAL)
        ours, peer = [], []
        for number in range(RUNS + 1):
            pair = time_to_paint(room, b"Implement", root), time_to_paint(minimal, b"PAINTED", root)
            if number:  # the first pair warms the file cache
                ours.append(pair[0])
                peer.append(pair[1])
    report("first paint of the room against a minimal Textual application", ours, peer, "s", "≤ 1.8x")


if __name__ == "__main__":
    main()
