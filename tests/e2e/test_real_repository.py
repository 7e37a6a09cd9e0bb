"""Runs on a repository that was not made for them, in the middle of somebody's work, with a model behind real sockets.

The program, its engine and git are real processes; only the words of the model are written here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import repos
from tests.support.cli import background, swarm, wait_until
from tests.support.messages_server import failure
from tests.support.play import Block, Play, dropped, handoff, plan, planned, played, say, think, use

from swarm_core.client import SwarmClient
from swarm_core.tools.confine import confinement
from swarm_core.vocabulary.events import Event

pytestmark = pytest.mark.timeout(120)
KEY = "sk-ant-loopback-5d41402abc4b2a76b9719d911017c592"
GOAL = "Number the modules from one"
CONFIG = """\
version: 1
checks:
  - name: headed
    command: "grep -qr 'line 0' pkg00 pkg01"
services:
  billing:
    persona: "Knows pkg00"
    directories: ["pkg00"]
  shipping:
    persona: "Knows pkg01"
    directories: ["pkg01"]
"""
OURS = (".runs/", ".multi-agent/")
# Only the kernel can keep one process of a person from looking into another; without Landlock nobody promises it.
PROBE = "; cat /proc/$PPID/environ" if confinement() == "landlock" else ""
ONE, TWO = "pkg00/mod012.py", "pkg01/mod013.py"
LANDED = [ONE, "pkg00/numbers.txt", TWO, "pkg01/numbers.txt"]


def turns(directory: str, module: str) -> list[list[Block]]:
    """What each agent does: look, change, add, measure, commit, hand over."""
    name = "m" + str(int(module[-6:-3]))
    bash = f"wc -l {module} {directory}/numbers.txt && env | sort{PROBE}"
    return [
        [think("I look before I change."), say("I read the module."), use("Read", file_path=module)],
        [use("Edit", file_path=module, old_string=f"{name} line 0\n", new_string=f"{name} line 0, now one – ½\n")],
        [
            say("One file and a count."),
            use("Write", file_path=f"{directory}/numbers.txt", content=f"{module} 1\n"),
            use("Bash", command=bash),
        ],
        [use("commit", message=f"feat({directory}): number {module}\n\nOne comes first.")],
        [handoff(f"Numbered {module}.")],
    ]


PARTS: Mapping[str, list[list[Block]]] = {
    "architect": [
        [say("I look first."), use("Glob", pattern="pkg0*/mod01*.py")],
        [plan(planned("b", "billing", "Number billing"), planned("s", "shipping", "Number shipping"))],
    ],
    "billing": turns("pkg00", ONE),
    "shipping": turns("pkg01", TWO),
}


@dataclass
class Desk:
    """A person's repository and the environment they start the program with."""

    root: Path
    environment: Mapping[str, str]

    @property
    def client(self) -> SwarmClient:
        return SwarmClient(self.root)

    @property
    def state(self) -> Path:
        return Path(self.environment["XDG_STATE_HOME"])

    def events(self) -> list[Event]:
        client = self.client
        run = client.latest()
        assert run is not None
        return client.reader(run).poll(max_bytes=1 << 24)

    def run(self, *arguments: str, base_url: str) -> tuple[int, str]:
        done = swarm("run", *arguments, cwd=self.root, ANTHROPIC_BASE_URL=base_url, **self.environment)
        return done.returncode, done.stdout + done.stderr

    def own(self) -> dict[str, Any]:
        """Everything of the person's that a run must leave alone."""
        found = repos.fingerprint(self.root)
        mine = {path: kind for path, kind in repos.files(self.root).items() if not path.startswith(OURS)}
        return {**found, "files": mine, "tree": tree_of(self.root)}


def tree_of(root: Path) -> dict[str, str]:
    """The index, entry by entry, with its flags; what is staged; what the stash holds."""
    return {
        "entries": repos.git(root, "ls-files", "-s", "-v"),
        "staged": repos.git(root, "diff", "--cached"),
        "unstaged": repos.git(root, "diff"),
        "stash": repos.git(root, "stash", "show", "-p", "stash@{0}"),
    }


def busy_desk(top: Path, *, is_committed: bool) -> Desk:
    root = repos.dirty(top / "on my desk")
    config = repos.write(root, "multi-agent.yaml", CONFIG)
    if is_committed:
        repos.git(root, "add", config.name)
        repos.git(root, "commit", "-q", "-m", "Configure the swarm", "--only", config.name)
    repos.write(root, "pkg09/idea.py", "not yet\n")
    repos.git(root, "add", "-N", "pkg09/idea.py")
    repos.write(root, "pkg08/mod008.py", "mine alone\n")
    repos.git(root, "update-index", "--skip-worktree", "pkg08/mod008.py")
    repos.git(root, "rm", "-q", "--cached", "pkg10/mod010.py")
    repos.git(root, "status")
    home = top / "home"
    home.mkdir()
    return Desk(root, {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "ANTHROPIC_API_KEY": KEY})


def stop(desk: Desk) -> None:
    assert swarm("stop", cwd=desk.root, **desk.environment).returncode == 0


@dataclass
class Finished:
    """A run that ended, and what was seen on the way."""

    desk: Desk
    play: Play
    headers: list[dict[str, str]]
    code: int
    output: str
    before: dict[str, Any]
    during: list[dict[str, Any]]
    base: str


@pytest.fixture(scope="module")
def clean_module() -> Iterator[None]:
    """The environment of this module's fixtures, which are made before a test's own is cleaned."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "GIT_", "SWARM_", "XDG_"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def finished(clean_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    desk = busy_desk(tmp_path_factory.mktemp("real"), is_committed=False)
    before, base, during = desk.own(), repos.git(desk.root, "rev-parse", "HEAD"), list[dict[str, Any]]()

    async def look(who: str, turn: int) -> None:
        if (who, turn) in (("architect", 1), ("billing", 3), ("shipping", 4)):
            during.append(await asyncio.to_thread(desk.own))

    play = Play(PARTS, meeting=("billing", "shipping"), before=look)
    with played(play) as server:
        code, output = desk.run(GOAL, "--headless", "--yes", base_url=server.base_url)
        yield Finished(desk, play, server.headers, code, output, before, during, base)
    stop(desk)


def test_a_goal_becomes_a_landed_change(finished: Finished) -> None:
    root = finished.desk.root

    assert finished.code == 0, finished.output[-3000:]
    assert "Traceback" not in finished.output
    assert repos.git(root, "diff", "--name-only", finished.base, "main").splitlines() == LANDED
    assert repos.git(root, "show", f"main:{ONE}").splitlines()[0] == "m12 line 0, now one – ½"
    assert (root / TWO).read_text().splitlines()[0] == "m13 line 0, now one – ½"
    assert (root / "pkg01/numbers.txt").read_text() == f"{TWO} 1\n"
    assert repos.git(root, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert repos.git(root, "fsck", "--strict", "--no-dangling") == ""


def test_two_agents_work_at_the_same_time(finished: Finished) -> None:
    """Each was answered only when both had asked, and the journal has the same overlap."""
    events = finished.desk.events()
    claimed = {e.task: e.seq for e in events if e.kind == "task.claimed" and e.task != "task_000"}
    submitted = {e.task: e.seq for e in events if e.kind == "task.submitted" and e.task != "task_000"}
    calls = {task: [e.seq for e in events if e.kind == "llm.call" and e.task == task] for task in claimed}

    assert claimed.keys() == submitted.keys() == {"task_001", "task_002"}
    assert max(claimed.values()) < min(min(found) for found in calls.values())
    assert max(claimed.values()) < min(submitted.values())
    assert [len(found) for found in calls.values()] == [5, 5]


def test_what_the_tools_did_reached_the_model(finished: Finished) -> None:
    for who, module in (("billing", ONE), ("shipping", TWO)):
        results = finished.play.results(who)
        read, edited, written, bash, committed = (text for text, _ in results)
        assert [is_error for _, is_error in results[:3]] == [False] * 3
        assert "line 7" in read
        assert f"Edited {module} at line 1" in edited
        assert written.startswith("Created")
        assert f"8 {module}" in bash
        assert "Committed" in committed


def test_the_persons_work_is_untouched_until_the_landing_and_after_it(finished: Finished) -> None:
    after = finished.desk.own()

    assert len(finished.during) == 3
    for seen in finished.during:
        assert seen == finished.before
    for what in ("HEAD", "config", "stash", "status", "locks", "worktrees"):
        assert after[what] == finished.before[what], what
    for what in ("staged", "unstaged", "stash"):
        assert after["tree"][what] == finished.before["tree"][what], what
    for part in ("files", "entries"):
        old, new = (_without_landed(state, part) for state in (finished.before, after))
        assert new == old, part
    moved = set(finished.before["refs"]) ^ set(after["refs"])
    assert {ref.split()[0] for ref in moved} == {"refs/heads/main"}


def _without_landed(state: dict[str, Any], part: str) -> list[str]:
    if part == "files":
        return [f"{path} {kind}" for path, kind in sorted(state["files"].items()) if path not in LANDED]
    return [line for line in state["tree"]["entries"].splitlines() if line.partition("\t")[2] not in LANDED]


def test_every_commit_says_where_it_comes_from(finished: Finished) -> None:
    root, run = finished.desk.root, finished.desk.client.latest()
    keys = ("Run-Id", "Task-Id", "Agent")
    shown = "%x1f".join(["%s", *(f"%(trailers:key={key},valueonly,separator=%x2C)" for key in keys)])
    log = repos.git(root, "log", f"--format={shown}", f"{finished.base}..main").splitlines()
    commits = {subject: tuple(rest) for subject, *rest in (line.split("\x1f") for line in log)}

    assert commits["feat(pkg00): number pkg00/mod012.py"] == (run, "task_001", "billing-1")
    assert commits["feat(pkg01): number pkg01/mod013.py"] == (run, "task_002", "shipping-1")
    assert all(trailers[0] == run and trailers[1] and trailers[2] for trailers in commits.values())


def test_the_key_is_sent_and_kept_nowhere(finished: Finished) -> None:
    desk = finished.desk
    places = [desk.root / ".runs", desk.root / ".multi-agent", desk.state, desk.root / ".git"]
    searched = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()]

    assert {headers.get("authorization") == f"Bearer {KEY}" for headers in finished.headers} == {True}
    assert {path.name for path in searched} >= {"events.jsonl", "engine.out", "engine.jsonl", "task_001.jsonl"}
    assert [path for path in searched if KEY.encode() in path.read_bytes()] == []
    assert KEY not in finished.output
    for who in ("billing", "shipping"):
        shown = "\n".join(text for text, _ in finished.play.results(who))
        assert "TMPDIR=" in shown
        assert KEY not in shown


def test_a_second_run_starts_from_what_the_first_one_landed(finished: Finished) -> None:
    desk = finished.desk
    first, tip = desk.client.latest(), repos.git(desk.root, "rev-parse", "main")
    again = [[*step] for step in turns("pkg00", ONE)]
    again[1] = [use("Edit", file_path=ONE, old_string="now one", new_string="now two")]
    parts = {"architect": [[plan(planned("b", "billing", "Number again"))]], "billing": again}
    play = Play(parts)
    stop(desk)  # the engine that is there asks the first run's server
    with played(play) as server:
        code, output = desk.run("Number them again", "--headless", "--yes", base_url=server.base_url)

    assert code == 0, output[-3000:]
    assert desk.client.latest() != first
    assert repos.git(desk.root, "show", f"main:{ONE}").splitlines()[0] == "m12 line 0, now two – ½"
    assert repos.git(desk.root, "merge-base", "main", tip) == tip


def test_bad_weather_delays_a_run_and_fails_nothing(tmp_path: Path) -> None:
    """Limits, overload and a dropped connection on one agent's way; gates decided one by one from a second terminal."""
    desk = busy_desk(tmp_path, is_committed=True)
    before = desk.own()
    said = f"the key {KEY} is over its limit"
    troubles = {
        ("billing", 1): [failure(429, "rate_limit_error", said, retry_after="1")],
        ("billing", 2): [failure(529, "overloaded_error", retry_after="0.1")],
        ("billing", 3): [dropped("billing", 3, PARTS["billing"][3])],
    }
    play = Play(PARTS, troubles=troubles, meeting=("billing", "shipping"))
    with (
        played(play) as server,
        background(
            "run", GOAL, "--headless", cwd=desk.root, ANTHROPIC_BASE_URL=server.base_url, **desk.environment
        ) as process,
    ):
        for _ in range(3):
            place, output = approve_next(desk)
            assert place in ("plan", "merge"), output
        wait_until("the landing gate", lambda: open_gates(desk).get("landing"))
        assert desk.own() == before
        assert approve_next(desk)[0] == "landing"
        output = process.stdout.read() if process.stdout else ""
        assert process.wait(30) == 0, output
    stop(desk)

    events = desk.events()
    retries = [(e.task, e.data["kind"]) for e in events if e.kind == "llm.retry"]
    billing = next(e.task for e in events if e.kind == "task.created" and e.data["assigned_to"] == "billing")
    assert retries == [(billing, "limit"), (billing, "overload"), (billing, "transport")]
    limit = next(e for e in events if e.kind == "llm.retry")
    assert limit.data["wait_s"] >= 1.0
    waited = [e.kind for e in events if e.task == billing and e.kind in ("agent.waiting", "agent.busy")]
    assert "agent.waiting" in waited
    assert not any(e.kind in ("task.failed", "agent.failed", "run.note") for e in events)
    assert repos.git(desk.root, "diff", "--name-only", "HEAD~2", "main", "--", "pkg00").splitlines() == LANDED[:2]
    assert KEY not in output
    runs = [path for path in (desk.root / ".runs").rglob("*") if path.is_file()]
    logs = [path for path in (desk.root / ".multi-agent").rglob("*") if path.is_file()]
    assert [path for path in (*runs, *logs) if KEY.encode() in path.read_bytes()] == []


def open_gates(desk: Desk) -> dict[str, str]:
    """The gates that wait, by their place."""
    run = desk.client.latest()
    return {gate.place: gate.id for gate in desk.client.view(run).open_gates} if run else {}


def approve_next(desk: Desk) -> tuple[str, str]:
    place, gate = wait_until("a gate", lambda: next(iter(open_gates(desk).items()), None))
    done = swarm("approve", gate, cwd=desk.root, **desk.environment)
    assert done.returncode == 0, done.stderr
    return place, done.stdout
