"""The confinement of one agent at work: what it may read besides its tree, and its way to the network."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from swarm_core.agents.log import AgentLog
from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.jail.proxy import Proxy, Verdict
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.network import Rule
from swarm_core.vocabulary.spec import ServiceSpec
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.inspection import SecretFound

MAX_JOURNALED = 50
MAX_LOGGED = 1_000
MAX_ALTERNATES = 32


@asynccontextmanager
async def confined(
    hub: Hub, service: ServiceSpec, setting: str, log: AgentLog, report: Callable[[Draft], Awaitable[None]]
) -> AsyncIterator[Confines]:
    """What a service's commands are confined to while one of its agents works.

    Every decision about the network is a line of the agent's log; the first refusal of each host goes into the journal.
    """
    confines = await grounds(hub, setting)
    if setting == "none":
        log.write("note", "unconfined: commands run with all rights of whoever started the engine")
    if not service.network:
        yield confines
        return
    rules = [Rule.read(text) for text in service.network]
    async with Proxy(rules, _Record(log, report).hear) as gateway:
        yield replace(confines, gateway=gateway)


async def grounds(hub: Hub, setting: str) -> Confines:
    """What everybody who works in one of the hub's trees may read besides it, and what nobody may."""
    return Confines(setting, [hub.desk.hub, *await object_stores(hub)], [hub.layout.repo.root])


async def object_stores(hub: Hub) -> list[Path]:
    """Where the operator's git objects lie, with the stores that those borrow from."""
    first = await hub.desk.user_common_dir() / "objects"
    return await asyncio.to_thread(_with_alternates, first)


def _with_alternates(first: Path) -> list[Path]:
    found = [first]
    for store in found:
        try:
            lines = (store / "info" / "alternates").read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        more = [store / line for line in lines if line.strip() and not line.startswith("#")]
        found += [path for path in more if path not in found][: MAX_ALTERNATES - len(found)]
    return found


async def set_aside(hub: Hub, instance: str, found: SecretFound, report: Callable[[Draft], Awaitable[None]]) -> None:
    """Put files that hold a secret into quarantine: what is handed in goes on without them."""
    moved = await hub.quarantine(instance, found.paths)
    message = f"{len(moved)} files that hold a secret were put into quarantine instead of being committed"
    data = {"tool": "commit", "target": ", ".join(moved)[:200], "rule": "secret", "message": message}
    await report(Draft("policy.denied", data))


class _Record:
    """Writes down what the proxy decided; a flood of attempts does not become a flood of facts."""

    def __init__(self, log: AgentLog, report: Callable[[Draft], Awaitable[None]]) -> None:
        self._log, self._report = log, report
        self._seen: Counter[tuple[str, bool]] = Counter()
        self._journaled = 0

    async def hear(self, verdict: Verdict) -> None:
        if self._seen.total() < MAX_LOGGED:
            kind = "note" if verdict.is_allowed else "denied"
            decided = "allowed" if verdict.is_allowed else "refused"
            self._log.write(kind, f"network: {decided} {verdict.target}: {verdict.why}")
        self._seen[verdict.target, verdict.is_allowed] += 1
        if verdict.is_allowed or self._seen[verdict.target, False] > 1 or self._journaled >= MAX_JOURNALED:
            return
        self._journaled += 1
        data = {"tool": "network", "target": verdict.target, "rule": "network", "message": verdict.why}
        await self._report(Draft("policy.denied", data))
