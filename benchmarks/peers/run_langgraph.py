"""LangGraph: a graph of ten nodes for each agent, checkpointed by AsyncSqliteSaver with ``durability="sync"``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.peers.steps import AGENTS, STEPS, Steps, run, sqlite_facts
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # type: ignore[import-not-found]
from langgraph.graph import END, START, StateGraph  # type: ignore[import-not-found]


class AgentState(TypedDict):
    agent: int
    done: int


def graph(steps: Steps, ran: set[int]) -> Any:
    """A node begins only when the checkpoint after the one before it is committed: that is the acknowledgement.

    ``ran`` holds the agents that ran a node in this process.
    """
    builder = StateGraph(AgentState)
    names = [f"step_{number}" for number in range(STEPS)]

    async def step(state: AgentState) -> dict[str, int]:
        if state["agent"] in ran:
            steps.durable()
        await steps.work()
        ran.add(state["agent"])
        return {"done": state["done"] + 1}

    for name in names:
        builder.add_node(name, step)
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


async def contestant(steps: Steps, directory: Path, variant: str) -> Mapping[str, Any]:
    database, ran = directory / "langgraph.sqlite", set[int]()
    is_resumed = database.exists()
    async with AsyncSqliteSaver.from_conn_string(str(database)) as saver:
        app = graph(steps, ran).compile(checkpointer=saver)

        async def agent(number: int) -> None:
            config = {"configurable": {"thread_id": f"agent-{number}"}}
            goes_on = is_resumed and (await app.aget_state(config)).created_at is not None
            await app.ainvoke(None if goes_on else {"agent": number, "done": 0}, config, durability="sync")
            if number in ran:
                steps.durable()

        if steps.is_timed:
            await agent(AGENTS)
        steps.start()
        await asyncio.gather(*(agent(number) for number in range(AGENTS)))
        return sqlite_facts(*[await pragma(saver, name) for name in ("journal_mode", "synchronous")])


async def pragma(saver: Any, name: str) -> object:
    async with saver.conn.execute(f"PRAGMA {name}") as cursor:
        return (await cursor.fetchone())[0]


if __name__ == "__main__":
    run(sys.argv[1:], contestant)
