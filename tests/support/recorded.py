"""A believable run on disk, written without an engine: for tests of the room and for its pictures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.journals import write_journal

from swarm_core.journal.process import process_start
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.layout import RepoLayout

RUN = "20261121-100000-build-ecoroute"
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
GOAL = "Build EcoRoute: customers, bins and collection routes, with a dispatcher's dashboard"
PLAN = (
    ("database", "Create the schema and its migrations", ()),
    ("backend", "Implement customers, routes and auth API", ("task_001",)),
    ("frontend", "Build the dispatcher's dashboard", ("task_002",)),
    ("testing", "Create integration tests", ("task_002",)),
)
PATCH = """\
diff --git a/backend/auth.py b/backend/auth.py
new file mode 100644
index 0000000..3f2a9c1
--- /dev/null
+++ b/backend/auth.py
@@ -0,0 +1,14 @@
+\"\"\"Tokens: signed, short-lived, nothing to look up.\"\"\"
+
+import hashlib
+import hmac
+import time
+
+TOKEN_MINUTES = 60
+
+
+def sign(user: str, key: bytes, now: float | None = None) -> str:
+    expires = int((now or time.time()) + TOKEN_MINUTES * 60)
+    body = f"{user}.{expires}"
+    return f"{body}.{hmac.new(key, body.encode(), hashlib.sha256).hexdigest()}"
+
diff --git a/backend/routes.py b/backend/routes.py
index 8d1c2b4..b7e01aa 100644
--- a/backend/routes.py
+++ b/backend/routes.py
@@ -12,9 +12,12 @@ def nearest(stops: list[Stop], at: Point) -> Stop:
     return min(stops, key=lambda stop: distance(stop.at, at))


-def order(stops: list[Stop], depot: Point) -> list[Stop]:
-    return sorted(stops, key=lambda stop: stop.name)
+def order(stops: list[Stop], depot: Point) -> list[Stop]:
+    \"\"\"Nearest neighbour from the depot: within a quarter of the optimum for a town's bins.\"\"\"
+    left, at, route = list(stops), depot, []
+    while left:
+        left.remove(stop := nearest(left, at))
+        route.append(stop)
+        at = stop.at
+    return route


 def length(route: list[Stop]) -> float:
"""


@dataclass
class Recorder:
    """Collects drafts with growing times, and the files beside the journal."""

    layout: RepoLayout
    drafts: list[Draft] = field(default_factory=list)
    stamps: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, kind: str, task: str | None = None, agent: str | None = None, **data: Any) -> None:
        self.seconds += 1.7
        stamp = (START + timedelta(seconds=self.seconds)).isoformat(timespec="milliseconds")
        self.stamps.append(stamp.replace("+00:00", "Z"))
        self.drafts.append(Draft(kind, data, task=task, agent=agent))

    def log(self, instance: str, *lines: tuple[str, str]) -> None:
        path = self.layout.run(RUN).log(instance)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            for kind, text in lines:
                file.write(json.dumps({"ts": "2026-11-21T10:00:00.000Z", "kind": kind, "text": text}) + "\n")

    def gate(self, number: int, place: str, title: str, text: str, task: str | None = None, **data: Any) -> None:
        gate = f"gate_{number:03d}"
        self.add("gate.evaluating", task, gate=gate, place=place, title=title, round=1)
        path = self.layout.run(RUN).dir / "gates" / f"{gate}.patch"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        evidence = hashlib.sha256(text.encode()).hexdigest()
        self.add("gate.opened", task, gate=gate, document=f"gates/{gate}.patch", evidence=evidence, **data)

    def start(self, number: int, service: str) -> None:
        instance, task = f"{service}-1", f"task_{number:03d}"
        branch, tree = f"agent/{instance}", f"/home/op/.local/state/swarm-tui/eco/trees/{instance}"
        self.add(
            "agent.starting", None, instance, service=service, branch=branch, worktree=tree, model="claude-sonnet-5-5"
        )
        self.add("agent.ready", None, instance)
        self.add("task.claimed", task, instance, attempt=1, base="91c0aa72")
        self.add("agent.busy", task, instance)

    def call(self, number: int, instance: str, tokens_in: int, tokens_out: int, cost: float) -> None:
        data = {"input_tokens": tokens_in, "output_tokens": tokens_out, "cost_usd": cost, "stop_reason": "tool_use"}
        self.add("llm.call", f"task_{number:03d}", instance, model="claude-sonnet-5-5", ms=2100, **data)


def record_run(root: Path, until: str = "backend gate") -> list[Event]:
    """Write the run into ``root`` up to a moment: the names are those that ``_story`` yields.

    This process passes for the engine.
    """
    layout = RepoLayout(root)
    prepare(layout)
    recorder = Recorder(layout)
    for moment in _story(recorder):
        if moment == until:
            break
    pid = os.getpid()
    pulse = {"pid": pid, "start": process_start(pid), "version": "0.1.0", "message": "ready"}
    layout.engine_file.write_text(json.dumps(pulse))
    return write_journal(layout.run(RUN).journal, RUN, recorder.drafts, recorder.stamps)


def merge_document(number: int, task: str, title: str) -> str:
    return (
        f"gate_{number:03d} · {task} · {title}\nby backend-1 on agent/backend-1 · round 1 · merges cleanly\n"
        "commit 3f2a9c1d on 91c0aa72\n\nWhat the agent says\n  The API serves customers, bins and routes; tokens are\n"
        "  signed and expire.\n\nChecks, measured by the engine\n  ✓ conventions · 0.1 s · python3 -m compileall -q .\n"
        "  ✓ tests · 1.9 s · python3 -m unittest discover -s tests\n\nCommits\n  3f2a9c1 feat: routes and auth\n\n"
        + "─" * 72
        + "\n"
        + PATCH
    )


def _story(r: Recorder) -> Iterator[str]:
    services = {key: {"model": "claude-sonnet-5-5"} for key, _, _ in PLAN}
    r.add("run.created", title=GOAL, goal=GOAL, services=services, options={})
    r.add("engine.started", pid=4242, version="0.1.0")
    r.add("run.started", base_ref="refs/heads/main", base="91c0aa72", hub="/hub.git", integration="91c0aa72")
    planning = {
        "title": f"Plan: {GOAL}",
        "assigned_to": "architect",
        "created_by": "orchestrator",
        "priority": "critical",
    }
    r.add("task.created", "task_000", **planning)
    r.add("task.ready", "task_000")
    r.start(0, "architect")
    r.log(
        "architect-1",
        ("note", "iteration 1 of task_000: Plan"),
        ("think", "Four services; the schema comes first, the page and the tests need the API."),
        ("tool", "Read README.md"),
        ("result", "  1  # EcoRoute"),
        ("tool", "plan_tasks (4 tasks)"),
    )
    r.call(0, "architect-1", 4200, 900, 0.021)
    plan: list[dict[str, Any]] = [
        {"id": f"task_{n:03d}", "title": title, "assigned_to": key, "created_by": "architect",
         "dependencies": list(needs), "priority": "high", "order": n, "description": f"{title}, as README.md asks."}
        for n, (key, title, needs) in enumerate(PLAN, 1)
    ]  # fmt: skip
    r.add("artifact.written", "task_000", "architect-1", type="plan", path="plan.json", tasks=plan)
    r.add("task.submitted", "task_000", "architect-1", commit="", files=0)
    r.add("agent.idle", None, "architect-1")
    text = "gate_001 · the architect's plan\n\nGoal\n  " + GOAL + "\n\nTasks\n"
    text += "".join(f"\n  {t['id']}  {t['title']}\n    service {t['assigned_to']}\n" for t in plan)
    r.gate(1, "plan", "task_000 · the plan", text, "task_000", summary="4 tasks for 4 services", on_yes="Work starts.",
           on_no="Back to the architect.")  # fmt: skip
    yield "planned"
    r.add("gate.decided", "task_000", gate="gate_001", verdict="approve", by="operator")
    for task in plan:
        r.add("task.created", task["id"], **{k: v for k, v in task.items() if k != "id"})
    r.add("task.done", "task_000")
    r.add("agent.retired", None, "architect-1", reason="its work is done")
    r.add("task.ready", "task_001")
    r.start(1, "database")
    r.log("database-1", ("say", "I write the schema first, then the migration."), ("tool", "Write database/schema.sql"))
    r.call(1, "database-1", 8100, 2400, 0.049)
    r.add("commit.created", "task_001", "database-1", commit="77aa01", message="feat(database): schema", files=3)
    r.add("task.submitted", "task_001", "database-1", commit="77aa01", files=3, insertions=148, deletions=0)
    r.gate(2, "merge", f"task_001 · {PLAN[0][1]}", merge_document(2, "task_001", PLAN[0][1]), "task_001",
           summary="3 files +148 −0 · 2 of 2 checks passed · merges cleanly")  # fmt: skip
    r.add("gate.decided", "task_001", gate="gate_002", verdict="approve", by="operator")
    r.add("task.verified", "task_001", gate="gate_002")
    r.add("merge.queued", "task_001", commit="77aa01")
    r.add("merge.checking", "task_001", commit="77aa01", onto="91c0aa72")
    r.add("merge.completed", "task_001", commit="77aa01", integration="a1b2c3")
    r.add("task.done", "task_001", commit="a1b2c3")
    r.add("agent.idle", None, "database-1")
    r.add("agent.retired", None, "database-1", reason="its work is done")
    r.add("task.ready", "task_002")
    r.start(2, "backend")
    r.log(
        "backend-1",
        ("note", "iteration 1 of task_002: Implement customers, routes and auth API"),
        ("think", "The schema has bins with fill levels. Routes only need those above the threshold."),
        ("tool", "Read database/schema.sql"),
        ("result", "     1  CREATE TABLE customers ("),
        ("say", "The store first, then the handlers; tokens are signed with HMAC."),
        ("tool", "Write backend/auth.py"),
        ("tool", "Write backend/routes.py"),
        ("denied", "frontend/index.html is outside the directories of service backend"),
        ("tool", "Bash python3 -m unittest discover -s tests"),
        ("result", "Ran 9 tests in 1.204s  OK"),
        ("tool", "commit feat(backend): routes and auth"),
        ("tool", "handoff"),
    )
    r.add("policy.denied", "task_002", "backend-1", tool="Write", target="frontend/index.html", rule="directories",
          message="frontend/index.html is outside the directories of service backend")  # fmt: skip
    r.call(2, "backend-1", 21400, 5200, 0.118)
    r.add(
        "commit.created", "task_002", "backend-1", commit="3f2a9c1d", message="feat(backend): routes and auth", files=2
    )
    r.add("task.submitted", "task_002", "backend-1", commit="3f2a9c1d", files=2, insertions=22, deletions=2)
    r.add("agent.idle", None, "backend-1")
    checks = [
        {"name": "conventions", "passed": True, "detail": "0.1 s"},
        {"name": "tests", "passed": True, "detail": "1.9 s"},
    ]
    r.gate(3, "merge", f"task_002 · {PLAN[1][1]}", merge_document(3, "task_002", PLAN[1][1]), "task_002",
           summary="2 files +22 −2 · 2 of 2 checks passed · merges cleanly", checks=checks,
           on_yes="task_002 is merged on the run's integration branch. Your own branch stays as it is.",
           on_no="task_002 goes back to backend-1 with your comment; its worktree and conversation are kept.",
           stat={"files": 2, "insertions": 22, "deletions": 2})  # fmt: skip
    yield "backend gate"
    yield from _second_half(r)


def _second_half(r: Recorder) -> Iterator[str]:
    """Both services that depend on the API at work at once, then the landing."""
    r.add("gate.decided", "task_002", gate="gate_003", verdict="approve", by="operator")
    r.add("task.verified", "task_002", gate="gate_003")
    r.add("merge.queued", "task_002", commit="3f2a9c1d")
    r.add("merge.checking", "task_002", commit="3f2a9c1d", onto="a1b2c3")
    r.add("merge.completed", "task_002", commit="3f2a9c1d", integration="b2c3d4")
    r.add("task.done", "task_002", commit="b2c3d4")
    r.add("agent.retired", None, "backend-1", reason="its work is done")
    r.add("task.ready", "task_003")
    r.add("task.ready", "task_004")
    r.start(3, "frontend")
    r.start(4, "testing")
    r.log(
        "frontend-1",
        ("think", "A table of routes, a map of bins; plain HTML, no build step."),
        ("tool", "Read backend/api.py"),
        ("say", "The page polls /routes every ten seconds and marks what is late."),
        ("tool", "Write frontend/index.html"),
        ("tool", "Bash git commit -m dashboard"),
        ("denied", "git commit is restricted for frontend; use the commit tool"),
        ("tool", "commit feat(frontend): dashboard"),
    )
    r.log(
        "testing-1",
        ("say", "One server for all tests, on a free port of loopback."),
        ("tool", "Write tests/test_api.py"),
        ("tool", "Bash python3 -m unittest discover -s tests -t ."),
        ("result", "Ran 30 tests in 2.871s"),
        ("result", "OK"),
    )
    r.add("policy.denied", "task_003", "frontend-1", tool="Bash", target="git commit", rule="tools_restricted",
          message="git commit is restricted for frontend")  # fmt: skip
    r.call(3, "frontend-1", 15800, 4100, 0.091)
    r.call(4, "testing-1", 12900, 3300, 0.074)
    yield "two at work"
    for number, instance, commit in ((3, "frontend-1", "c3d4e5"), (4, "testing-1", "d4e5f6")):
        task = f"task_{number:03d}"
        r.add("task.submitted", task, instance, commit=commit, files=3, insertions=210, deletions=4)
        r.gate(number + 1, "merge", f"{task} · {PLAN[number - 1][1]}", PATCH, task, summary="3 files +210 −4")
        r.add("gate.decided", task, gate=f"gate_{number + 1:03d}", verdict="approve", by="operator")
        r.add("task.verified", task, gate=f"gate_{number + 1:03d}")
        r.add("merge.queued", task, commit=commit)
        r.add("merge.checking", task, commit=commit)
        r.add("merge.completed", task, commit=commit, integration=f"{commit}00")
        r.add("task.done", task, commit=f"{commit}00")
        r.add("agent.idle", None, instance)
        r.add("agent.retired", None, instance, reason="its work is done")
    r.gate(6, "landing", "Land: EcoRoute", PATCH, summary="12 files +640 −2 · 2 of 2 checks passed · fast-forward",
           on_yes="main moves to the merged work and your checkout follows.", on_no="main stays as it is.")  # fmt: skip
    yield "landing"
    r.add("gate.decided", gate="gate_006", verdict="approve", by="operator")
    r.add("run.completed", outcome="clean", landed=True, commit="e5f6a7", reason="")
    yield "landed"
