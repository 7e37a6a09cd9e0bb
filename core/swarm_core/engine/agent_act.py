"""One instance at work on one task: its tree, tools, conversation, and what comes of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from swarm_core.agents.adapters.base import Assignment
from swarm_core.agents.adapters.native import NativeAdapter
from swarm_core.agents.context import (
    consultation_message,
    follow_up_message,
    open_tools,
    opening_message,
    planning_message,
    system_prompt,
)
from swarm_core.agents.coordination import EndingTool, Handoff, Outcome, Plan, Stalled
from swarm_core.agents.log import AgentLog
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.model import CACHE_TTL_S, LONG_CACHE_TTL_S
from swarm_core.agents.model_facts import turn_tokens
from swarm_core.agents.own_tools import own_tools
from swarm_core.agents.replanning import request_tasks_tool
from swarm_core.agents.seat import Seat
from swarm_core.agents.transcript import Transcript
from swarm_core.journal.projections import replace_durably
from swarm_core.tools.base import Tool, ToolResult
from swarm_core.tools.mcp import mcp_tools
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.entities import PLANNING_TASK, Instance, Stat, Task
from swarm_core.vocabulary.errors import ModelError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.ids import attempt_span_id
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.inspection import SecretFound

from .agent_desk import AgentDesk
from .allowance import Allowance
from .artifact_writing import propose
from .commit_tool import COMMIT
from .committing import Committing
from .confining import confined, set_aside
from .crash_points import CrashPoint, reached
from .diagnostics import say_about
from .ground import Ground
from .limits import Paced
from .mcp_servers import servers_for
from .notices import latest_notes, worklist
from .placing import no_worktree, prepare
from .planned import changes_of
from .role_tools import equip, feature_of

if TYPE_CHECKING:
    from .acts import Hands


class AgentAct:
    """Lives from the claim of a task to its submission, failure or the engine's end."""

    def __init__(self, hands: Hands, task: Task, instance: Instance) -> None:
        self.hands, self.runner = hands, hands.runner
        self.task, self.instance = task, instance
        self.service = hands.runner.spec.services[instance.service]
        self.layout, self.clock = hands.layout, hands.clock
        self.tree = self.layout.trees / instance.id
        self.scratch = self.layout.state_dir / "scratch" / instance.id
        try:
            self.scratch.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise no_worktree(instance.id, error) from error
        self.scope = Scope(self.tree, self.service, self.scratch)
        self.allowance = Allowance(self.service.timeout_s)
        self.command = ""  # the request with which it was handed in, if somebody outside did
        self.commits = Committing(self)

    async def perform(self) -> None:
        run, task = self.layout.run, self.task
        span = attempt_span_id(run, task.id, task.attempt)
        about = {"run": run, "task": task.id, "span": span, "instance": self.instance.id}
        say_about(**about)
        hub = await self.hands.hub()
        log = AgentLog(self.layout.log(self.instance.id), self.clock, about, self.runner.secrets)
        async with Ground(partial(prepare, self, hub), lambda: self.runner.watch.beat(task.id)) as self.ground:
            await self._work(hub, log)

    async def _work(self, hub: Hub, log: AgentLog) -> None:
        try:
            spec = self.runner.spec
            async with self.allowance, confined(hub, self.service, spec.confinement, log, self.report) as self.confines:
                outcome = await self._converse(hub, log)
                await self.grounded()
        except TimeoutError:
            await self._fail(f"no handoff within the service's timeout of {self.service.timeout_s:g} s", "timeout")
            return
        except ModelError as error:
            log.write("error", str(error))
            await self._fail(str(error), error.kind)
            return
        finally:
            log.flush()
        await self._conclude(hub, outcome)

    async def grounded(self) -> None:
        """Wait for the tree. Raises what kept it from being made; time spent here does not count against the task."""
        with self.allowance.excused():
            await self.ground.ready()

    async def _converse(self, hub: Hub, log: AgentLog) -> Outcome:
        view, task, service = self.runner.view, self.task, self.service
        workers = self.runner.spec.workers
        self.scope = replace(self.scope, owned=self.hands.artifacts.owned_by(service.key))
        own = [Tool(COMMIT, lambda given: self.commits.answer(hub, given)), request_tasks_tool(self._request)]
        own += own_tools(self._desk(hub))
        own += await self._served(log)
        toolbox, ending = equip(
            self.scope,
            self.scratch,
            self.clock,
            own,
            task,
            tasks=view.tasks.values(),
            workers=workers,
            phases=[phase.key for phase in self.runner.spec.gates.phases],
            permission=self.hands.permissions.permission(self),
            confines=self.confines,
        )
        try:
            return await self._talk(toolbox, ending, log)
        finally:
            await toolbox.close()

    async def _talk(self, toolbox: Toolbox, ending: EndingTool, log: AgentLog) -> Outcome:
        """The conversation with the model, from its opening to its outcome."""
        view, task, service = self.runner.view, self.task, self.service
        tools = open_tools(toolbox.offered, ending.definition.name)
        if task.is_planning:
            opening = self._planning(tools)
        else:
            finished = [view.tasks[key] for key in task.dependencies]
            opening = opening_message(
                service,
                task,
                view.run,
                self.tree,
                dependencies=finished,
                notes=task.notes,
                constraints=self._notices(),
                tools=tools,
            )
        about = view.tasks.get(task.about)
        seat = Seat(
            self.instance.id,
            service.key,
            task.id,
            task.title,
            service.model,
            system_prompt(),
            max_tokens=turn_tokens(service.model),
            effort=self.runner.spec.effort,
            # The architect's next turn often waits for the operator; a worker's comes within seconds.
            cache_ttl_s=LONG_CACHE_TTL_S if task.is_planning else CACHE_TTL_S,
            feature=feature_of(task),
            about=task.about,
            about_service=about.assigned_to if about else "",
        )
        paced = Paced(self, self.hands.models)
        loop = AgentLoop(
            seat,
            self.hands.models.get(service, view.run.options),
            toolbox,
            ending,
            Transcript(self.layout.transcript(self.instance.id, task.id)),
            log,
            self.clock,
            self.report,
            max_turns=service.max_turns,
            clearance=self.clearance,
            ground=self.grounded,
            excused=self.allowance.excused,
            beat=lambda: self.runner.watch.beat(task.id),
            admissions=(*self.hands.ledger.admissions(self.clearance, lambda: self.runner.watch.beat(task.id)), paced),
            choose=paced.choose,
            secrets=self.runner.secrets,
        )
        notes = [*latest_notes(view, task), *self._notices()]
        memory, follow_up = self.layout.transcript(seat.instance, task.id), follow_up_message(task.iteration, notes)
        assignment = Assignment(seat.instance, task.id, task.title, opening, memory, task.iteration, follow_up)
        return await NativeAdapter(loop).run(assignment)

    async def clearance(self) -> None:
        """Wait for leave to take the next step; time spent held does not count against the task."""
        with self.allowance.excused():
            await self.runner.clearance(self.task.id)

    def _planning(self, tools: str) -> str:
        """The architect's task: the first plan, or a change of it."""
        view, task = self.runner.view, self.task
        workers = {key: self.runner.spec.services[key] for key in self.runner.spec.workers}
        if task.id == PLANNING_TASK:
            return planning_message(
                view.run, workers, self.tree, iteration=task.iteration, notes=task.notes, tools=tools
            )
        return consultation_message(
            view.run,
            task,
            workers,
            self.tree,
            tasks=[known for known in view.tasks.values() if known.is_work],
            about=view.tasks.get(task.about),
            tools=tools,
        )

    async def _served(self, log: AgentLog) -> list[Tool]:
        """The tools of the service's MCP servers."""
        if not self.service.mcp_servers:
            return []
        await self.grounded()  # the repository may bring some of them
        trust, say = self.hands.permissions.trust(self), partial(log.write, "note")
        found = await servers_for(self.service, self.runner.spec.mcp_servers, self.tree, trust, say=say)
        return await mcp_tools(found, self.scope, self.scratch, confines=self.confines, say=say)

    def _desk(self, hub: Hub) -> AgentDesk:
        def artifact(type: str, content: str) -> Awaitable[ToolResult]:
            return propose(self, hub, type, content)

        return AgentDesk(self.runner, self.task, self.instance, artifact, self.report, self._request)

    async def _request(self, reason: str) -> str:
        """An agent asks for work that is not its own."""
        view = self.runner.view
        mine = sum(request["task"] == self.task.id for request in view.requests.values())
        if mine:
            return "The architect already weighs a request of yours. Go on with your own task."
        request = f"{self.task.id}-{view.last_seq}"
        await self.report(Draft("tasks.requested", {"request": request, "reason": clean(reason)}))
        return "The architect will weigh it. Go on with your own task."

    def _notices(self) -> list[str]:
        """What the engine did to the tree that the agent has to know."""
        merge = self.runner.view.merges.get(self.task.id)
        told = worklist(self.runner.view, self.task)
        if merge is None or merge.status != "conflicted":
            return told
        if not merge.paths:
            return [
                *told,
                f"Your change was not merged: {merge.reason}. Your tree holds the merged work now: look at what the "
                "checks say in it, mend it, keep both intentions and commit.",
            ]
        return [
            *told,
            f"Your change conflicts with merged work in {', '.join(merge.paths)}. These files hold conflict markers "
            "now: resolve them, keep both intentions, run the tests and commit.",
        ]

    async def report(self, draft: Draft) -> None:
        """Journal what the loop noticed, under this task and instance."""
        own = Draft(draft.kind, draft.data, actor=self.instance.id, task=self.task.id, agent=self.instance.id)
        await self.runner.record(own)

    # -- the outcome

    async def _conclude(self, hub: Hub, outcome: Outcome) -> None:
        reached(CrashPoint.AFTER_HANDOFF_BEFORE_RECORD)
        match outcome:
            case Plan():
                await self._submit_plan(outcome)
            case Handoff():
                await self._submit_work(hub, outcome)
            case Stalled(reason, kind):
                await self._fail(reason, kind)

    async def _submit_plan(self, plan: Plan) -> None:
        changes = changes_of(plan, self.runner.view.next_task_number(self.task.id), self.service.key)
        text = json.dumps({"run": self.runner.view.run.id, **changes}, indent=2, ensure_ascii=False) + "\n"
        path = self.layout.plan if self.task.id == PLANNING_TASK else self.layout.dir / f"plan-{self.task.id}.json"
        await asyncio.to_thread(replace_durably, path, text.encode())
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        await self.report(Draft("artifact.written", {"type": "plan", "path": path.name, "sha256": sha256, **changes}))
        await self._submit("", Stat())

    async def _submit_work(self, hub: Hub, handoff: Handoff) -> None:
        rest = f"{self.task.title}\n\nChanges left uncommitted at the handoff."
        try:
            await self.commits.commit(hub, rest)
        except SecretFound as error:
            await set_aside(hub, self.instance.id, error, self.report)
            await self.commits.commit(hub, rest)
        data = {
            "what_i_did": handoff.what_i_did,
            "whats_left": handoff.whats_left,
            "recommendation": handoff.recommendation,
        }
        await self.report(Draft("handoff.recorded", data))
        tip = await hub.tip(self.instance.id)
        diff = await hub.diff(await hub.merge_base(await hub.integration(), tip), tip)
        await self.hands.artifacts.handed_in(self, hub, tip, diff.paths)
        await self._submit(tip, Stat() if self.task.is_review else diff.stat)

    async def _submit(self, commit: str, stat: Stat) -> None:
        data: dict[str, Any] = {
            "attempt": self.task.attempt,
            "commit": commit,
            "files": stat.files,
            "insertions": stat.insertions,
            "deletions": stat.deletions,
        }
        if self.command:
            data["command"] = self.command
        await self.report(Draft("task.submitted", data))

    async def _fail(self, reason: str, kind: str) -> None:
        await self.runner.fail(self.task.id, str(kind), reason, attempt=self.task.attempt)
