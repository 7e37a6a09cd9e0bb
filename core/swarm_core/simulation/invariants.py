"""What must hold after every event of every schedule. Numbers are those of the list of invariants in the design.

The watcher keeps its own books beside the fold, so that a fold that lets something through is caught as well as a
policy, a runner or a hand that does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from swarm_core.engine.inbox import Verdict
from swarm_core.vocabulary.entities import PLANNING_TASK, Gate
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.gating import PASSING
from swarm_core.vocabulary.machines import MACHINES
from swarm_core.vocabulary.reservations import HOLDING, overlap
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import ENDED_WITH_THE_RUN, RunView

from .world import World

MAX_RETURNS_IN_A_ROW = 3
MOVES_THE_LINE = frozenset({"run.started", "merge.completed", "rollback.done"})


class Violation(AssertionError):
    """An invariant that does not hold. ``seq`` is the event after which it was seen, 0 if there is none."""

    def __init__(self, name: str, detail: str, seq: int = 0) -> None:
        super().__init__(f"{name}: {detail}" + (f" (event {seq})" if seq else ""))
        self.name, self.detail, self.seq = name, detail, seq


class Invariants:
    """Takes each durable event and each effect on the line; ``broken`` is called with the first violation."""

    def __init__(self, spec: SwarmSpec, world: World, broken: Callable[[Violation], None]) -> None:
        self.spec, self.world, self.broken = spec, world, broken
        self.view = RunView()
        self.is_broken = False
        self._seq = 0
        self._final: dict[tuple[str, str], str] = {}
        self._working: dict[str, str] = {}
        self._claims: Counter[str] = Counter()
        self._returns: Counter[str] = Counter()
        self._commands: set[str] = set()
        self._shown: dict[str, tuple[str, str]] = {}
        self._approved: dict[str, str] = {}
        self._in_line: dict[str, str] = {}
        self._submitted: dict[str, str] = {}
        self._merging = ""

    def fail(self, name: str, detail: str) -> None:
        if not self.is_broken:
            self.is_broken = True
            self.broken(Violation(name, detail, self._seq))

    def expect(self, holds: bool, name: str, detail: str) -> None:
        if not holds:
            self.fail(name, detail)

    # -- effects

    def merged(self, task: str, commit: str) -> None:
        """Something entered the integration line."""
        self.expect(task not in self._in_line, "§5.6 a task is merged once", f"{task} was merged again as {commit}")
        self._in_line[task] = commit
        self.expect(
            self._approved.get(task) == commit,
            "§5.8 what is merged was shown and approved",
            f"{task} merged {commit}, approved was {self._approved.get(task, 'nothing')}",
        )

    # -- events

    def saw(self, event: Event) -> None:
        """One more event is durable."""
        self.expect(event.seq == self._seq + 1, "§5.2 seq has no gap", f"{event.seq} after {self._seq}")
        self._seq = event.seq
        line, was_over = self.view.run.integration, self.view.is_over
        try:
            self.view.apply(event)
        except IllegalTransition as error:
            self.fail("§5.1 what is durable can be folded", str(error))
            return
        if was_over and event.kind.startswith(ENDED_WITH_THE_RUN):
            self.fail("what is over stays over", f"{event.kind} after the run had ended")
        if self.view.run.integration != line and event.kind not in MOVES_THE_LINE:
            self.fail("§5.6 only a merge moves the line", f"{event.kind} moved it")
        self._requests(event)
        look = _LOOKS.get(event.kind)
        if look is not None:
            look(self, event)
        self._endings(event)

    def _requests(self, event: Event) -> None:
        if command := event.data.get("command", ""):
            self.expect(command not in self._commands, "a request is taken once", f"{command} was taken twice")
            self._commands.add(command)

    def _endings(self, event: Event) -> None:
        """A terminal state is never left."""
        view = self.view
        self._final_state("run", "run", view.run.status)
        if event.task in view.tasks:
            self._final_state("task", event.task, view.tasks[event.task].status)
            if event.task in view.merges:
                self._final_state("merge", event.task, view.merges[event.task].status)
        if event.agent in view.instances:
            self._final_state("agent", event.agent, view.instances[event.agent].status)

    def _final_state(self, machine: str, key: str, status: str) -> None:
        before = self._final.get((machine, key))
        if before is not None:
            self.expect(before == status, "a terminal state is never left", f"{machine} {key}: {before} -> {status}")
        elif status in MACHINES[machine].terminal:
            self._final[machine, key] = status

    def _claimed(self, event: Event) -> None:
        task, instance = self.view.tasks[event.task or ""], event.agent or ""
        self._claims[task.id] += 1
        others = {t: i for t, i in self._working.items() if t != task.id}
        self.expect(task.id not in self._working, "a task has one instance", f"{task.id} was claimed while at work")
        self.expect(
            instance not in others.values(), "an instance has one task", f"{instance} took {task.id} beside another"
        )
        self._working[task.id] = instance
        self.expect(
            len(self._working) <= self.spec.max_parallel,
            "no more than max_parallel at work",
            f"{len(self._working)} of {self.spec.max_parallel}",
        )
        waiting = [d for d in task.dependencies if self.view.tasks[d].status != "done"]
        self.expect(not waiting, "§5.5 dependencies come first", f"{task.id} started before {', '.join(waiting)}")
        self.expect(task.attempt == self._claims[task.id], "§5.10 attempts are counted", f"{task.id}: {task.attempt}")
        holder = self.view.instances.get(instance)
        self.expect(
            holder is not None and holder.service == task.assigned_to,
            "a task goes to its service",
            f"{task.id} of {task.assigned_to} went to {instance}",
        )

        self.expect(not self.view.why_held(task), "what is held begins nothing", f"{task.id} was claimed")
        for other in self.view.tasks.values():
            if other.id != task.id and other.status in HOLDING and other.writes and task.writes:
                clash = [(a, b) for a in task.writes for b in other.writes if overlap(a, b)]
                self.expect(not clash, "a path has one holder", f"{task.id} and {other.id}: {clash}")

    def _rolled_back(self, event: Event) -> None:
        """What begins again may be claimed, approved and merged again; what stays in the line stays merged."""
        for task in event.data.get("tasks", {}):
            for book in (self._working, self._approved, self._in_line, self._submitted, self._returns):
                book.pop(task, None)
            self._final.pop(("task", task), None)
            self._final.pop(("merge", task), None)
        self._merging = ""
        self.expect(event.data.get("integration") == self.world.integration, "a rollback that is told was made", "")

    def _stopped(self, event: Event) -> None:
        task = event.task or ""
        if event.kind == "task.submitted":
            self.expect(
                self._working.get(task) == event.actor,
                "only the holder of a task completes it",
                f"{event.actor} submitted {task}, which {self._working.get(task, 'nobody')} holds",
            )
            self._returns[task] = 0
            self._submitted[task] = str(event.data.get("commit"))
        elif event.kind == "task.released" and event.data.get("failures"):
            self._returns[task] += 1
            self.expect(
                self._returns[task] <= MAX_RETURNS_IN_A_ROW,
                "§5.10 transient attempts are bounded",
                f"{task} was tried {self._returns[task]} times in a row",
            )
        self._working.pop(task, None)
        if self._merging == task:  # its merge could not be made
            self._merging = ""

    def _again(self, event: Event) -> None:
        self._returns.pop(event.task or "", None)

    def _opened(self, event: Event) -> None:
        gate = self.view.gates[event.data["gate"]]
        commit = self.view.tasks[gate.task].commit if gate.task else ""
        self._shown[gate.id] = (str(event.data.get("evidence")), commit)

    def _decided(self, event: Event) -> None:
        gate = self.view.gates[event.data["gate"]]
        evidence, commit = self._shown.get(gate.id, ("nothing", ""))
        if gate.status != "blocked":  # what was refused can still be forced, on the same evidence
            self._shown.pop(gate.id, None)
        self.expect(
            event.data.get("evidence") == evidence,
            "§5.8 a decision is about what is shown",
            f"{gate.id} shows {evidence[:12]}, decided was {str(event.data.get('evidence'))[:12]}",
        )
        if event.data.get("verdict") in PASSING and gate.place in ("merge", "plan"):
            self._approved[gate.task] = commit

    def _invalidated(self, event: Event) -> None:
        gate: Gate = self.view.gates[event.data["gate"]]
        self._shown.pop(gate.id, None)
        self._approved.pop(gate.task, None)

    def _checking(self, event: Event) -> None:
        task = event.task or ""
        self.expect(self._merging in ("", task), "§5.6 one merge at a time", f"{task} beside {self._merging}")
        self._merging = task

    def _merge_ended(self, event: Event) -> None:
        self._merging = ""
        if event.kind == "merge.completed":
            node = self.world.nodes.get(str(event.data.get("integration")))
            self.expect(
                node is not None and node.trailers.get("Task-Id") == event.task and node.id == self.world.integration,
                "§5.6 a merge that is told was made",
                f"{event.task} as {event.data.get('integration')}, the line is at {self.world.integration}",
            )

    def _done(self, event: Event) -> None:
        task = self.view.tasks[event.task or ""]
        plan = self.view.plans.get(task.id, {})
        if task.is_review:  # it changes nothing, and has nothing to be approved
            return
        if task.id == PLANNING_TASK or not task.is_planning or plan.get("tasks") or plan.get("cancel"):
            self.expect(task.id in self._approved, "no gate is skipped", f"{task.id} is done without an approval")
        if not task.is_planning and task.stat.files:
            merged, submitted = self._in_line.get(task.id, "nothing"), self._submitted.get(task.id)
            self.expect(
                merged == submitted, "§5.6 what was submitted is merged", f"{task.id}: {submitted}, merged is {merged}"
            )

    def _starting(self, event: Event) -> None:
        service = self.view.instances[event.agent or ""].service
        gone = ("retired", "failed")
        live = [i for i in self.view.instances.values() if i.service == service and i.status not in gone]
        limit = self.spec.services[service].replicas
        self.expect(len(live) <= limit, "replicas are bounded", f"{len(live)} instances of {service}, allowed {limit}")

    def _completed(self, event: Event) -> None:
        open_ = [task.id for task in self.view.tasks.values() if task.status not in MACHINES["task"].terminal]
        self.expect(not open_, "finished is an explicit fact", f"the run completed before {', '.join(open_)}")
        if event.data.get("landed"):
            gate = self.view.latest_gate("landing")
            self.expect(gate is not None and gate.verdict in PASSING, "no gate is skipped", "landed unapproved")
            self.expect(
                self.world.integration in self.world.ancestors(self.world.user_tip),
                "a landing that is told was made",
                f"the branch is at {self.world.user_tip}",
            )

    # -- at rest

    def same(self, view: RunView, events: Iterable[Event]) -> None:
        """The live state, the watcher's and a fold from the beginning are one."""
        folded = vars(RunView.of(events))
        for name, value in folded.items():
            for who, other in (("engine's", vars(view)), ("watcher's", vars(self.view))):
                self.expect(other[name] == value, "§5.1 state is the fold", f"the {who} {name} differs from a fold")

    def at_the_end(self, answers: dict[str, list[Verdict]], sent: set[str]) -> None:
        """After the run is over and nobody works any more."""
        view, world = self.view, self.world
        self.expect(view.is_over, "the run ends", f"it is {view.run.status}")
        self.expect(world.landings <= 1, "a run lands once", f"{world.landings} times")
        self.expect(
            view.run.landed == bool(world.landings),
            "what was landed is told",
            f"{view.run.status}, told {view.run.landed}",
        )
        left = [name for name in world.checkouts if "worktree is left" not in view.instances[name].reason]
        self.expect(not left, "no worktree is left unsaid", ", ".join(left))
        told = {merge.task for merge in view.merges.values() if merge.status == "merged"}
        if view.run.status == "completed":
            self.expect(
                told == self._in_line.keys(), "§5.6 a merge that was made is told", f"{told ^ self._in_line.keys()}"
            )
        self.expect(sent == answers.keys(), "every request is answered", ", ".join(sent ^ answers.keys()))
        for item, verdicts in answers.items():
            said = {verdict.is_applied for verdict in verdicts}
            is_applied = item in view.commands and item not in view.refused
            self.expect(said == {is_applied}, "an answer is true", f"{item}: {verdicts[-1].reason or 'applied'}")


_LOOKS: dict[str, Callable[[Invariants, Event], None]] = {
    "task.claimed": Invariants._claimed,
    "task.submitted": Invariants._stopped,
    "task.released": Invariants._stopped,
    "task.failed": Invariants._stopped,
    "task.cancelled": Invariants._stopped,
    "task.reassigned": Invariants._again,
    "task.reopened": Invariants._again,
    "rollback.done": Invariants._rolled_back,
    "task.done": Invariants._done,
    "gate.opened": Invariants._opened,
    "gate.decided": Invariants._decided,
    "gate.invalidated": Invariants._invalidated,
    "merge.checking": Invariants._checking,
    "merge.completed": Invariants._merge_ended,
    "merge.conflicted": Invariants._merge_ended,
    "merge.rejected": Invariants._merge_ended,
    "agent.starting": Invariants._starting,
    "run.completed": Invariants._completed,
}
