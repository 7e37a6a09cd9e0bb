"""Claim: a line streamed into a log pane costs a fraction of one written to Textual's ``RichLog``.

Both widgets get the same lines in the same batches, are painted after each batch, and keep about as many lines.
"""

from __future__ import annotations

import asyncio
import gc
import time

from benchmarks.measure import report
from textual.app import App, ComposeResult
from textual.widget import Widget
from textual.widgets import RichLog

from swarm_tui.widgets.log_pane import KEPT_LINES, LogPane

BATCHES, LINES = 40, 133  # 2,000 lines a second at the room's 15 frames a second
ROUNDS = 5


class Stage(App[None]):
    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget

    def compose(self) -> ComposeResult:
        yield self.widget


def lines(batch: int) -> list[str]:
    return [f"{batch:04d}.{n:03d} tool=Edit path=src/core/journal_{n}.py bytes={n * 7919}" for n in range(LINES)]


async def seconds_per_line(widget: Widget) -> float:
    """CPU seconds of this process per line, painting included."""
    app = Stage(widget)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        gc.collect()  # what the round before left behind is not this widget's cost
        started = time.process_time()
        for batch in range(BATCHES):
            if isinstance(widget, LogPane):
                widget.extend([((line, "plain"),) for line in lines(batch)])
            elif isinstance(widget, RichLog):
                for line in lines(batch):
                    widget.write(line)
            await asyncio.sleep(0)
            app.screen._compositor.render_strips()
        return (time.process_time() - started) / (BATCHES * LINES)


def main() -> None:
    ours, peer = [], []
    for _ in range(ROUNDS):
        peer.append(asyncio.run(seconds_per_line(RichLog(max_lines=KEPT_LINES))))
        ours.append(asyncio.run(seconds_per_line(LogPane())))
    report("CPU of a line into a log pane against RichLog", ours, peer, "s", "≤ 0.2x")
    rates = [1 / min(ours), 1 / min(peer)]
    print(f"  lines per CPU second: ours {rates[0]:,.0f}, RichLog {rates[1]:,.0f}")


if __name__ == "__main__":
    main()
