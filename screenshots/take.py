"""``make screenshots``: every screen of the room as SVG and PNG, from a recorded run or a real one."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import resvg_py
from tests.support import held, steered
from tests.support.journals import extend_journal
from tests.support.recorded import RUN, record_run
from tests.support.room import FixedClock, settled
from textual.pilot import Pilot

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout
from swarm_tui.app import ControlRoom

HERE = Path(__file__).parent
WHERE = "/home/op/project"
FONT = "DejaVu Sans Mono"
Act = Callable[[Pilot[None]], Coroutine[Any, Any, None]]


def keys(*names: str) -> Act:
    async def press(pilot: Pilot[None]) -> None:
        for name in names:
            await pilot.press(name)
            await settled(pilot)

    return press


Happens = Sequence[Draft]
MORE: dict[str, Happens] = {
    "paused-dark": held.PAUSED,
    "halted-dark": held.HALTED,
    "halted-light": held.HALTED,
    "failures-dark": held.FAILING,
}
"""What happens in the recorded run before the picture is taken."""
SHOTS: dict[str, tuple[str, tuple[int, int], Act]] = {
    "room-dark": ("two at work", (120, 36), keys()),
    "room-light": ("two at work", (120, 36), keys("t")),
    "room-small": ("backend gate", (80, 24), keys()),
    "gate-dark": ("backend gate", (120, 36), keys("n")),
    "gate-light": ("backend gate", (120, 36), keys("t", "n")),
    "diff-dark": ("two at work", (120, 36), keys("down", "down", "d")),
    "activity-dark": ("two at work", (120, 36), keys("at")),
    "help-dark": ("backend gate", (120, 36), keys("question_mark")),
    "paused-dark": ("two at work", (120, 36), keys("p")),
    "halted-dark": ("two at work", (120, 36), keys("down", "down", "down")),
    "halted-light": ("two at work", (120, 36), keys("t", "w", "down", "R")),
    "failures-dark": ("two at work", (140, 36), keys("down", "down", "down")),
    "runs-dark": ("two at work", (140, 20), keys("s")),
    "landed-dark": ("landed", (120, 36), keys()),
}


REAL: dict[str, Act] = {
    "evidence-dark": keys("2", "G"),
    "decisions-dark": keys("4"),
    "decisions-light": keys("t", "4"),
    "artifact-dark": keys("1", "j", "enter"),
    "blocked-dark": keys("escape", "n"),
}
"""Pictures of a run that an engine carried out, up to its landing: what steers the swarm is the engine's own."""


async def take_real(names: Sequence[str]) -> dict[str, str]:
    """The SVGs of one real run, in which only the model was a script."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {"HOME": directory, "XDG_STATE_HOME": f"{directory}/state"}
        client, run = await asyncio.to_thread(steered.carried_out, steered.repository(Path(directory) / "ecoroute"))
        try:
            return {name: await _real_picture(client, run, name, directory) for name in names}
        finally:
            await asyncio.to_thread(steered.stop, client)


async def _real_picture(client: SwarmClient, run: str, name: str, directory: str) -> str:
    room = ControlRoom(client, run)
    async with room.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await keys("v")(pilot)
        await REAL[name](pilot)
        return normalise(room.export_screenshot(title="swarm-tui").replace(directory, "/home/op"))


async def take(name: str) -> str:
    """The SVG of one screen, without what changes from run to run and without a font from elsewhere."""
    until, size, act = SHOTS[name]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "ecoroute"
        root.mkdir()
        record_run(root, until)
        if name.startswith("runs"):
            held.write_other_runs(root)
        if name in MORE:
            extend_journal(RepoLayout(root).run(RUN).journal, *MORE[name])
        room = ControlRoom(SwarmClient(root), RUN, FixedClock())
        async with room.run_test(size=size) as pilot:
            room.look_at_runs(None)
            await settled(pilot)
            await act(pilot)
            svg = room.export_screenshot(title="swarm-tui").replace(directory, WHERE)
    return normalise(svg)


def normalise(svg: str) -> str:
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+-", "terminal-", svg)
    svg = re.sub(r"font-family: (?:Fira Code|arial)[^;]*;", f"font-family: '{FONT}', monospace;", svg)
    return svg.replace("Fira Code", FONT)


def main() -> None:
    wanted = sys.argv[1:] or [*SHOTS, *REAL]
    real = [name for name in wanted if name in REAL]
    pictures = asyncio.run(take_real(real)) if real else {}
    for name in wanted:
        svg = pictures.get(name) or asyncio.run(take(name))
        (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
        (HERE / f"{name}.png").write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=svg)))
        print(f"screenshots/{name}.png")


if __name__ == "__main__":
    main()
