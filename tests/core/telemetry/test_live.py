"""Live traces: a process beside the engine that ends by itself and leaves a complete file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.cli import environment, wait_until
from tests.support.journals import extend_journal, write_journal
from tests.support.tales import RUN, a_run

from swarm_core.telemetry.live import FILE_NAME, VARIABLE, start
from swarm_core.telemetry.trace import Trace
from swarm_core.vocabulary.layout import RepoLayout, RunLayout


def told(root: Path, count: int) -> RunLayout:
    layout = RepoLayout(root).run(RUN)
    write_journal(layout.journal, RUN, a_run().drafts[:count], a_run().stamps)
    return layout


def spans(layout: RunLayout) -> int:
    try:
        return (layout.dir / FILE_NAME).read_text().count('"spanId"')
    except FileNotFoundError:
        return 0


def test_spans_come_while_the_run_goes_on_and_the_process_ends_with_it(tmp_path: Path) -> None:
    layout, tale = told(tmp_path, 30), a_run()
    process = start(layout, {**environment(), VARIABLE: "file", "ANTHROPIC_API_KEY": "SECRET"})
    assert process is not None
    try:
        wait_until("the first spans", lambda: spans(layout) or None)
        assert b"SECRET" not in Path(f"/proc/{process.pid}/environ").read_bytes()
        assert process.poll() is None
        for draft, ts in zip(tale.drafts[30:], tale.stamps[30:], strict=True):
            extend_journal(layout.journal, draft, ts=ts)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()

    assert spans(layout) == len(Trace.of(tale.events).spans)


def test_nothing_is_started_unless_it_is_asked_for(tmp_path: Path) -> None:
    layout = told(tmp_path, 3)
    assert start(layout, environment()) is None
    assert start(layout, {**environment(), VARIABLE: "no"}) is None


def test_a_reader_whose_engine_died_ends_and_the_next_one_goes_on(tmp_path: Path) -> None:
    layout = told(tmp_path, 30)
    program = (
        "import os, sys; from pathlib import Path; from swarm_core.telemetry.live import start;"
        "from swarm_core.vocabulary.layout import RepoLayout;"
        f"p = start(RepoLayout(Path(sys.argv[1])).run({RUN!r})); print(p.pid, flush=True); os._exit(9)"
    )
    engine = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment(**{VARIABLE: "file"}),
        stdout=subprocess.PIPE,
        check=False,
    )
    reader = int(engine.stdout)
    wait_until("the orphan to end", lambda: not Path(f"/proc/{reader}").exists() or _is_zombie(reader))
    told(tmp_path, len(a_run().events))
    process = start(layout, {**environment(), VARIABLE: "file"})
    assert process is not None
    assert process.wait(30) == 0

    assert spans(layout) == len(Trace.of(a_run().events).spans)
    assert (layout.dir / FILE_NAME).stat().st_mode & 0o077 == 0


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
