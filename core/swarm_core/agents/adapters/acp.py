"""Any agent that speaks the Agent Client Protocol, version 1: one process, one session, one prompt for a task.

The protocol library is an extra and imported when the first such agent starts, in the engine's process only. The
protocol ends here: what leaves this module are events of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarm_core.agents.coordination import Handoff, Outcome, Stalled
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Usage

from .acp_wire import Wire, meanings
from .base import Assignment, CallEnded, CallStarted, Noted, Premises, Said, Spent
from .foreign import Memory, Trouble, boundary, departed, handoff, is_session, start, words_for
from .profiles import map_in, money_in, text_in

if TYPE_CHECKING:
    from acp.client.connection import ClientSideConnection

    from .acp_client import Desk

START_S = 60.0
CANCEL_S = 1.0
MAX_LAST_WORDS_CHARS = 100_000
AUTH_REQUIRED = -32000
_GAVE_UP: Mapping[str, str] = {
    "max_tokens": "reached its limit of tokens",
    "max_turn_requests": "reached its limit of turns",
    "refusal": "refused to go on",
    "cancelled": "took its turn back, though nobody asked it to",
}


class AcpAdapter:
    """Runs the agent that its service's ``command`` starts."""

    async def run(self, assignment: Assignment, premises: Premises) -> Outcome:
        try:
            await asyncio.to_thread(importlib.import_module, f"{__package__}.acp_client")  # half a second of work
        except ImportError:
            return Stalled("the adapter acp needs an extra: pip install 'swarm-tui[acp]'")
        return await _Turn(assignment, premises).run()


class _Turn:
    """One process from its start to its end."""

    def __init__(self, assignment: Assignment, premises: Premises) -> None:
        self.assignment, self.premises = assignment, premises
        self.name = premises.service.command[0].rpartition("/")[2]
        self.memory = Memory.load(assignment.memory)
        self.session = ""
        self.cost_usd = self.memory.cost_usd
        self.is_replaying = False
        self.words: list[str] = []

    async def run(self) -> Outcome:
        from acp.client.connection import ClientSideConnection

        from .acp_client import Desk

        await self.premises.clearance()
        try:
            child = await start(self.premises.service.command, self.premises)
        except Trouble as trouble:
            return trouble.stalled
        self.child, desk = child, Desk(self.premises)
        connection = ClientSideConnection(desk, Wire(child, self._update, self._junk))  # type: ignore[arg-type]
        outcome: Outcome | None = None
        try:
            outcome = await self._converse(connection, desk)
        finally:
            await desk.close()
            code = await child.end()
            with contextlib.suppress(Exception):
                await connection.close()
        return outcome or departed(self.name, code, child)

    async def _converse(self, connection: ClientSideConnection, desk: Desk) -> Outcome | None:
        """The outcome, or None if the agent's process went away."""
        from acp import RequestError

        try:
            async with asyncio.timeout(START_S):
                is_known = await self._open(connection)
            text = words_for(self.assignment, self.memory, is_known=is_known)
            await self._remember(Memory(self.session, self.assignment.iteration, self.cost_usd))
            return await self._prompt(connection, desk, text)
        except TimeoutError:
            return Stalled(f"{self.name} did not open a session within {START_S:g} s", "lost")
        except Trouble as trouble:
            return trouble.stalled
        except RequestError as error:
            kind = "auth" if error.code == AUTH_REQUIRED else "lost"
            return Stalled(f"{self.name}: {clean_line(str(error), 300)}", kind)
        except ConnectionError:
            return None
        except (ValueError, TypeError, AttributeError) as error:  # an answer of another form than the protocol has
            return Stalled(f"{self.name} answered what the protocol does not know: {clean_line(str(error), 300)}")

    # -- the session

    async def _open(self, connection: ClientSideConnection) -> bool:
        """Begin or find the session; whether it knows what was before."""
        from acp import PROTOCOL_VERSION
        from acp.schema import ClientCapabilities, FileSystemCapabilities, Implementation

        files = FileSystemCapabilities(read_text_file=True, write_text_file=True)
        answer = await connection.initialize(
            protocol_version=PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(fs=files, terminal=True),
            client_info=Implementation(name="swarm-tui", version="1"),
        )
        if answer.protocol_version != PROTOCOL_VERSION:
            raise Trouble(Stalled(f"{self.name} speaks version {answer.protocol_version} of ACP, not 1"))
        offers = answer.agent_capabilities
        if self.memory.session and offers is not None and await self._found(connection, offers):
            return True
        self.cost_usd = 0.0
        made = await connection.new_session(cwd=self._tree, mcp_servers=[])
        if not is_session(made.session_id):
            raise Trouble(Stalled(f"{self.name} named its session in a way that cannot be kept"))
        self.session = made.session_id
        return False

    @property
    def _tree(self) -> str:
        return str(self.premises.scope.tree)

    async def _found(self, connection: ClientSideConnection, offers: Any) -> bool:
        """Whether the session of before could be opened again: without a replay where the agent can."""
        from acp import RequestError

        known = self.memory.session
        resumes = getattr(getattr(offers, "session_capabilities", None), "resume", None) is not None
        self.is_replaying = True
        try:
            if resumes:
                await connection.resume_session(cwd=self._tree, session_id=known, mcp_servers=[])
            elif offers.load_session:
                await connection.load_session(cwd=self._tree, session_id=known, mcp_servers=[])
            else:
                return False
        except RequestError as error:
            await self.premises.hear(Noted(f"its session of before cannot be opened: {clean_line(str(error), 200)}"))
            return False
        finally:
            self.is_replaying = False
        self.session = known
        return True

    async def _prompt(self, connection: ClientSideConnection, desk: Desk, text: str) -> Outcome:
        from acp import text_block

        started_s = self.premises.clock.monotonic_s()
        asking = asyncio.ensure_future(connection.prompt(session_id=self.session, prompt=[text_block(text)]))
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            await self._cancel(connection, desk, asking)
            raise
        finally:
            asking.cancel()
        ms = round((self.premises.clock.monotonic_s() - started_s) * 1000)
        if answer.usage is not None:
            used = answer.usage
            cached, written = used.cached_read_tokens or 0, used.cached_write_tokens or 0
            usage = Usage(used.input_tokens, used.output_tokens, cached, written)
            await self.premises.hear(Spent(usage, self.name, str(answer.stop_reason), ms))
        return self._outcome(str(answer.stop_reason))

    def _outcome(self, stop_reason: str) -> Handoff | Stalled:
        if why := _GAVE_UP.get(stop_reason):
            return Stalled(f"{self.name} {why}")
        return handoff("".join(self.words), self.name)

    async def _cancel(self, connection: ClientSideConnection, desk: Desk, asking: asyncio.Future[Any]) -> None:
        """Tell the agent, answer what it asks as cancelled, and give it a moment to end its turn."""
        desk.cancel()
        self.child.thaw()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CANCEL_S):
                await connection.cancel(session_id=self.session)
                await asyncio.wait({asking})

    # -- what it tells

    async def _update(self, update: Mapping[str, Any]) -> None:
        self.premises.beat()
        if update.get("sessionUpdate") == "usage_update":
            await self._cost(map_in(update, "cost"))
        if self.is_replaying:
            return
        is_step = False
        for event in meanings(update):
            match event:
                case Said(text):
                    if sum(map(len, self.words)) < MAX_LAST_WORDS_CHARS:
                        self.words.append(text)
                case CallStarted():
                    self.words.clear()  # its last words are what it says after its last step
            is_step = is_step or isinstance(event, CallStarted | CallEnded)
            await self.premises.hear(event)
        if is_step:
            await boundary(self.child, self.premises)

    async def _cost(self, cost: Mapping[str, Any]) -> None:
        """The cost of a session only grows; what is new since we looked is spent."""
        amount, currency = money_in(cost, "amount"), text_in(cost, "currency")
        if not amount:
            return
        if currency != "USD":
            await self.premises.hear(Noted(f"it counts its cost in {currency[:20] or 'nothing'}: not counted here"))
            return
        new, self.cost_usd = amount - self.cost_usd, max(amount, self.cost_usd)
        if new > 0 and not self.is_replaying:
            await self.premises.hear(Spent(Usage(cost_usd=new), self.name))
            await self._remember(replace(self.memory, cost_usd=self.cost_usd))

    async def _junk(self, text: str) -> None:
        self.premises.beat()
        await self.premises.hear(Noted(f"not a message: {text}"))

    async def _remember(self, memory: Memory) -> None:
        self.memory = memory
        try:
            await asyncio.to_thread(memory.save, self.assignment.memory)
        except OSError as error:
            await self.premises.hear(Noted(f"its session cannot be remembered: {error}"))
