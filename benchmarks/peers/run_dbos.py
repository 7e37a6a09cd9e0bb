"""DBOS: a workflow of ten steps for each agent, on SQLite as DBOS sets it up, or in WAL mode set by hand (``wal``)."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.steps import AGENTS, STEPS, Steps, run, sqlite_facts
from dbos import DBOS, SetWorkflowID  # type: ignore[import-not-found]


async def contestant(steps: Steps, directory: Path, variant: str) -> Mapping[str, Any]:
    database = directory / "dbos.sqlite"
    is_resumed = database.exists()
    if variant == "wal":
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    dbos = DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{database}",
            "run_admin_server": False,
            "log_level": "ERROR",
            "application_version": "1",
        }
    )
    ran: set[tuple[int, int]] = set()
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def one_step(agent: int, number: int) -> int:
        await steps.work()
        ran.add((agent, number))
        return number

    step = DBOS.step(name="step")(one_step)

    async def all_steps(agent: int) -> None:
        """A step returns when its row is committed; one that was replayed did not run here and does not count."""
        for number in range(STEPS):
            await step(agent, number)
            if (agent, number) in ran:
                steps.durable()
        if steps.count == AGENTS * STEPS:
            loop.call_soon_threadsafe(done.set)

    workflow = DBOS.workflow(name="agent")(all_steps)
    if is_resumed:
        steps.start()
    DBOS.launch()
    if not is_resumed:
        if steps.is_timed:
            await workflow(AGENTS)
        steps.start()
        await asyncio.gather(*(begin(workflow, number) for number in range(AGENTS)))
    await done.wait()  # after a crash launch() has started whatever was not finished
    with dbos._sys_db.engine.connect() as connection:
        return sqlite_facts(
            *[connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        )


async def begin(workflow: Any, number: int) -> None:
    with SetWorkflowID(f"agent-{number}"):
        await DBOS.start_workflow_async(workflow, number)


if __name__ == "__main__":
    run(sys.argv[1:], contestant)
