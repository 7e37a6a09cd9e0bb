"""Where each task stood, from when to when: the common ground of spans, measures and the critical path.

A task is at exactly one station at any time between its beginning and its end, so the times at its stations add up to
the time it took. Its beginning is the end of the dependency that finished last (the run's for the planning
task), therefore the chain of such dependencies adds up to the time since the run began: the critical path.
The landing of the run is a task here too, under the key ``LANDING``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from swarm_core.vocabulary.entities import PLANNING_TASK
from swarm_core.vocabulary.events import Event

from .moments import Moments, amount

LANDING = "landing"
# The event that brings a task to a station. Work done by agents and by the engine, and what is waited for.
ARRIVES: Mapping[str, str] = {
    "task.ready": "queue",
    "task.released": "queue",
    "task.reopened": "queue",
    "task.reassigned": "queue",
    "task.claimed": "work",
    "task.submitted": "evaluate",
    "task.failed": "evaluate",
    "task.blocked": "evaluate",
    "gate.evaluating": "evaluate",
    "gate.invalidated": "evaluate",
    "gate.opened": "gate",
    "gate.decided": "settle",
    "gate.aborted": "settle",
    "task.verified": "settle",
    "merge.queued": "merge_queue",
    "merge.checking": "merge",
    "merge.completed": "settle",
    "merge.rejected": "settle",
    "merge.conflicted": "evaluate",
}
ENDS: Mapping[str, str] = {"task.done": "done", "task.cancelled": "cancelled", "task.skipped": "skipped"}
RUN_ENDS = frozenset({"run.completed", "run.failed", "run.aborted"})
# What a second of a task can be: first work, then waiting.
WORK = ("work", "evaluate", "merge", "settle")
WAITS = ("pending", "queue", "gate", "merge_queue", "rate_limit", "backoff", "down", "lost")


@dataclass(slots=True)
class Stay:
    """One task at one station; times in milliseconds since 1970, ``end`` is None while it is there.

    ``seq`` is the event that began it, ``by`` the kind of the event that ended it, ``down`` the milliseconds of it
    in which no engine was there, ``paused`` those in which its agent waited before asking a model again.
    """

    task: str
    station: str
    start: int
    seq: int
    agent: str = ""
    number: int = 0
    gate: str = ""
    end: int | None = None
    by: str = ""
    outcome: str = ""
    down: int = 0
    paused: int = 0

    @property
    def net(self) -> int:
        """Milliseconds that somebody really spent here; 0 while it goes on."""
        return 0 if self.end is None else max(0, self.end - self.start - self.down - self.paused)


@dataclass(slots=True)
class TaskTimes:
    """A task's times. ``spent`` is milliseconds by station; ``chain`` the same for it and all it had to wait for.

    A task that a rollback takes back begins another ``life`` at ``reset``; what it spent before is ``lost`` time then.
    ``unclaimed`` is how much of it went by before its first claim.
    ``after`` is the dependency that held it up longest, ``down_before`` how much of the run nobody was there for when
    it came to its present station (or to its end).
    """

    key: str
    title: str = ""
    service: str = ""
    dependencies: tuple[str, ...] = ()
    after: str = ""
    began: int = 0
    claimed: int = 0
    ended: int = 0
    outcome: str = ""
    claims: int = 0
    unclaimed: int = 0
    kind: str = "work"
    life: int = 1
    reset: int = 0
    spent: dict[str, int] = field(default_factory=dict)
    chain: dict[str, int] = field(default_factory=dict)
    stay: Stay | None = None
    down_before: int = 0
    retry: tuple[int, int, str] | None = None  # since when, how long at most, rate_limit or backoff

    @property
    def net(self) -> int:
        """Milliseconds from its beginning to its present station, without those in which no engine was there."""
        return sum(self.spent.values()) - self.spent.get("down", 0)

    def add(self, station: str, milliseconds: int) -> None:
        if milliseconds:
            self.spent[station] = self.spent.get(station, 0) + milliseconds


class Stations:
    """The fold: ``apply`` takes each event once, in order, and returns the stays that it ended."""

    def __init__(self) -> None:
        self.moments = Moments()
        self.tasks: dict[str, TaskTimes] = {}
        self.unfinished: dict[str, TaskTimes] = {}
        self.last_done = ""
        self.is_over = False
        self._plans: list[str] = []

    def apply(self, event: Event) -> list[Stay]:
        """A cost that does not grow with the run, but for its end, when everything still open is closed."""
        self.moments.apply(event)
        kind, ended = event.kind, list[Stay]()
        if kind == "task.created" and event.task:
            self._created(event)
        elif kind in RUN_ENDS:
            self.is_over = True
            for each in list(self.unfinished.values()):
                self._end(each, event, "done" if each.key == LANDING and kind == "run.completed" else "ended", ended)
            return ended
        elif kind == "rollback.done":
            self._roll_back(event, ended)
        times = self._subject(event)
        if times is None:
            return ended
        if times.retry is not None and kind != "agent.waiting":
            self._waited(times, ended)
        if kind in ENDS:
            self._end(times, event, ENDS[kind], ended)
        elif (station := ARRIVES.get(kind)) is not None:
            self._arrive(times, station, event, ended)
        if kind in ("llm.retry", "task.released"):
            self._retries(times, event)
        return ended

    def _subject(self, event: Event) -> TaskTimes | None:
        key = event.task or (LANDING if event.kind.startswith(("gate.", "check.")) else "")
        if event.kind == "gate.evaluating" and event.data.get("place") == "phase":
            return None
        if key == LANDING and LANDING not in self.unfinished and event.kind == "gate.evaluating":
            life = self.tasks[LANDING].life + 1 if LANDING in self.tasks else 1
            before = self.tasks.get(self.last_done)
            began, down = (before.ended, before.down_before) if before is not None else (self.moments.start, 0)
            times = TaskTimes(LANDING, "Landing", after=self.last_done, began=began, life=life, down_before=down)
            times.stay = Stay(LANDING, "settle", began, event.seq)
            self.tasks[LANDING] = self.unfinished[LANDING] = times
        return self.unfinished.get(key)

    def _created(self, event: Event) -> None:
        key, data = event.task or "", event.data
        began = self.moments.start if key == PLANNING_TASK else self.moments.now
        times = TaskTimes(
            key,
            str(data.get("title", "")),
            str(data.get("assigned_to", "")),
            tuple(str(dependency) for dependency in data.get("dependencies") or ()),
            began=began,
            kind=str(data.get("kind") or ("plan" if key == PLANNING_TASK else "work")),
            down_before=0 if key == PLANNING_TASK else self.moments.down,
        )
        times.stay = Stay(key, "pending", began, event.seq)
        self.tasks[key] = self.unfinished[key] = times
        if times.kind == "plan":
            self._plans.append(key)

    # -- moving

    def _arrive(self, times: TaskTimes, station: str, event: Event, ended: list[Stay]) -> None:
        before = times.stay
        if before is not None and before.station == station and event.kind not in ("task.claimed", "gate.opened"):
            return
        if before is not None and before.station == "pending":
            self._begin(times, before)
        self._leave(times, event, ended)
        stay = Stay(times.key, station, self.moments.now, event.seq, gate=str(event.data.get("gate", "")))
        if station == "work":
            times.claims += 1
            if not times.claimed:
                times.claimed, times.unclaimed = self.moments.now, times.net
            stay.agent, stay.number = event.agent or "", _whole(event.data.get("attempt"), times.claims)
        times.stay = stay

    def _begin(self, times: TaskTimes, pending: Stay) -> None:
        """A task can begin when what it depends on is there, the plan it is from included: before that it was not late,
        it was not due."""
        plans = () if times.key == PLANNING_TASK else self._plans
        known = [self.tasks[key] for key in (*times.dependencies, *plans) if key in self.tasks and key != times.key]
        finished = [dependency for dependency in known if dependency.ended]
        if finished:
            last = max(finished, key=lambda dependency: (dependency.ended, dependency.key))
            times.after, times.began, pending.start = last.key, last.ended, last.ended
            if not times.reset:
                times.down_before = last.down_before
        if times.reset > times.began:
            times.add("lost", times.reset - times.began)
            pending.start = times.reset

    def _roll_back(self, event: Event, ended: list[Stay]) -> None:
        """Tasks begin again or are dropped; a landing that was under way is over."""
        changes = event.data.get("tasks")
        for key, change in changes.items() if isinstance(changes, Mapping) else ():
            times = self.tasks.get(key)
            if times is None:
                continue
            if times.stay is not None:
                self._end(times, event, "rolled back", ended)
            times.outcome = "cancelled"
            if change != "drop":
                self._begin_again(times, event)
        if (landing := self.tasks.get(LANDING)) is not None and landing.stay is not None:
            self._end(landing, event, "rolled back", ended)
        done = [times for times in self.tasks.values() if times.outcome == "done"]
        self.last_done = max(done, key=lambda times: (times.ended, times.key)).key if done else ""

    def _begin_again(self, times: TaskTimes, event: Event) -> None:
        now = self.moments.now
        times.life, times.reset, times.outcome, times.retry = times.life + 1, now, "", None
        times.claimed = times.ended = times.unclaimed = 0
        times.spent, times.chain, times.down_before = {}, {}, self.moments.down
        times.stay = Stay(times.key, "pending", now, event.seq)
        self.unfinished[times.key] = times

    def _leave(self, times: TaskTimes, event: Event, ended: list[Stay]) -> None:
        stay = times.stay
        if stay is None:
            return
        now = self.moments.now
        stay.end, stay.by = now, event.kind
        stay.outcome = str(event.data.get("verdict") or event.data.get("kind") or "")
        stay.down = min(self.moments.down - times.down_before, now - stay.start - stay.paused)
        times.add("down", stay.down)
        times.add(stay.station, stay.net)
        times.down_before, times.stay = self.moments.down, None
        ended.append(stay)

    def _end(self, times: TaskTimes, event: Event, outcome: str, ended: list[Stay]) -> None:
        self._waited(times, ended)
        self._leave(times, event, ended)
        times.ended, times.outcome = self.moments.now, outcome
        times.chain = self.chain_of(times)
        self.unfinished.pop(times.key, None)
        if outcome == "done":
            self.last_done = times.key

    def spent_until(self, times: TaskTimes, now: int) -> dict[str, int]:
        """``spent`` with what the present station has taken so far; ``now`` in milliseconds."""
        stay = times.stay
        if stay is None:
            return dict(times.spent)
        passed = max(0, now - stay.start)
        down = min(self.moments.down - times.down_before, passed - stay.paused)
        more = {"down": down, stay.station: passed - stay.paused - down}
        return _sum(times.spent, more)

    def chain_of(self, times: TaskTimes) -> dict[str, int]:
        """``spent`` of the task and of everything on its way from the start, added up."""
        before = self.tasks.get(times.after)
        return _sum(before.chain if before is not None else {}, times.spent)

    # -- waiting before a model is asked, or a task is given to somebody, again

    def _retries(self, times: TaskTimes, event: Event) -> None:
        wait_ms = round(amount(event.data.get("wait_s")) * 1000)
        kind = "rate_limit" if event.data.get("kind") == "limit" else "backoff"
        times.retry = (self.moments.now, wait_ms, kind) if wait_ms else None

    def _waited(self, times: TaskTimes, ended: list[Stay]) -> None:
        """The wait that was announced, or as much of it as there was until something else happened."""
        if times.retry is None or times.stay is None:
            return
        since, wait_ms, kind = times.retry
        times.retry = None
        lasted = min(wait_ms, self.moments.now - since, self.moments.now - times.stay.start - times.stay.paused)
        times.add(kind, lasted)
        times.stay.paused += lasted
        stay = times.stay
        ended.append(Stay(times.key, kind, since, stay.seq, stay.agent, stay.number, end=since + lasted, by=kind))

    # -- snapshots

    def freeze(self) -> dict[str, Any]:
        """Plain data from which ``thaw`` makes the same fold."""
        tasks = [
            {
                **asdict(times),
                "dependencies": list(times.dependencies),
                "retry": list(times.retry) if times.retry is not None else None,
            }
            for times in self.tasks.values()
        ]
        return {
            "moments": self.moments.freeze(),
            "tasks": tasks,
            "last_done": self.last_done,
            "plans": list(self._plans),
            "is_over": self.is_over,
        }

    @classmethod
    def thaw(cls, frozen: Mapping[str, Any]) -> Stations:
        """Raises KeyError, TypeError or ValueError for what ``freeze`` did not make."""
        stations = cls()
        stations.moments = Moments.thaw(frozen["moments"])
        for body in frozen["tasks"]:
            stay, retry = body["stay"], body["retry"]
            times = TaskTimes(
                **{
                    **body,
                    "dependencies": tuple(body["dependencies"]),
                    "spent": dict(body["spent"]),
                    "chain": dict(body["chain"]),
                    "stay": Stay(**stay) if stay else None,
                    "retry": (int(retry[0]), int(retry[1]), str(retry[2])) if retry else None,
                }
            )
            stations.tasks[times.key] = times
            if times.stay is not None:
                stations.unfinished[times.key] = times
        stations._plans = [str(key) for key in frozen["plans"]]
        stations.last_done, stations.is_over = str(frozen["last_done"]), bool(frozen["is_over"])
        return stations


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: total for key in (*one, *other) if (total := one.get(key, 0) + other.get(key, 0))}


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
