"""What people get wrong, and what agents try: one clear message, the documented exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import repos
from tests.support.cli import COMMAND, background, environment, swarm, wait_until
from tests.support.messages_server import failure
from tests.support.play import Block, Play, handoff, plan, planned, played, use

from swarm_core.client import SwarmClient
from swarm_core.tools.confine import confinement
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

pytestmark = pytest.mark.timeout(120)
SERVICES = """\
services:
  backend:
    directories: ["backend"]
  frontend:
    directories: ["frontend"]
"""
RUN = ("run", "Say hello", "--headless", "--yes")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A configured repository; an engine that was started there is stopped."""
    root = repos.small(tmp_path / "small")
    repos.write(root, "multi-agent.yaml", SERVICES)
    yield root
    if SwarmClient(root).engine().is_alive:
        assert swarm("stop", cwd=root).returncode == 0


def journal(root: Path) -> list[Event]:
    client = SwarmClient(root)
    run = client.latest()
    return client.reader(run).poll(max_bytes=1 << 24) if run else []


def message(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one message of a refused command."""
    assert done.returncode == code, (done.returncode, done.stdout[-1000:], done.stderr[-1000:])
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""
    first, *rest = done.stderr.rstrip("\n").split("\n")
    assert first.startswith("swarm-tui: ")
    assert [line[:8] for line in rest] == ["  next: "], done.stderr
    return done.stderr


# -- commands that are refused before anything starts


def configured(text: str) -> Callable[[Path], Path]:
    def make(top: Path) -> Path:
        root = repos.small(top / "small")
        repos.write(root, "multi-agent.yaml", text)
        return root

    return make


def no_repository(top: Path) -> Path:
    (top / "plain").mkdir()
    return top / "plain"


def no_commit(top: Path) -> Path:
    (top / "new").mkdir()
    repos.git(top / "new", "init", "-q")
    repos.write(top / "new", "multi-agent.yaml", SERVICES)
    return top / "new"


def bare(top: Path) -> Path:
    repos.git(top, "init", "-q", "--bare", "bare.git")
    return top / "bare.git"


def not_configured(top: Path) -> Path:
    return repos.small(top / "small")


UNKNOWN_KEY = "services:\n  backend:\n    directories: [backend]\n    personna: x\n"
REFUSED: Sequence[tuple[str, Callable[[Path], Path], Sequence[str], int, Sequence[str]]] = [
    ("no repository", no_repository, RUN, 3, ["plain is not in a git repository", "git init"]),
    ("no commit", no_commit, RUN, 3, ["new has no commit yet", "git commit"]),
    ("bare", bare, RUN, 3, ["bare.git is a bare repository", "clone it"]),
    ("no configuration", not_configured, RUN, 4, ["multi-agent.yaml: there is no such file", "swarm-tui init"]),
    ("malformed", configured("services:\n  backend: [\n"), RUN, 4, ["multi-agent.yaml:3: is not valid YAML"]),
    ("unknown key", configured(UNKNOWN_KEY), RUN, 4, ["multi-agent.yaml:4: services.backend.personna", "'persona'?"]),
    ("a service that is a list", configured("services:\n  backend: [a]\n"), RUN, 4,
     ["multi-agent.yaml:2: services.backend: must be a mapping"]),
    ("services that are text", configured("services: many\n"), RUN, 4, ["multi-agent.yaml:1: services: must be a map"]),
    ("a directory outside", configured("services:\n  backend:\n    directories: [../up]\n"), RUN, 4,
     ["multi-agent.yaml:3: services.backend.directories[0]", "leaves the repository"]),
    ("no key", configured(SERVICES), RUN, 4, ["ANTHROPIC_API_KEY is not set", "--offline"]),
    ("unknown script", configured(SERVICES), (*RUN, "--script", "nowhere"), 4,
     ["there are no scripts 'nowhere'", "rehearsal"]),
    ("script outside", configured(SERVICES), (*RUN, "--script", "../../etc"), 4, ["there are no scripts '../../etc'"]),
    ("empty goal", configured(SERVICES), ("run", " \n", "--offline", "--headless"), 2, ["a run needs a goal"]),
    ("no goal", configured(SERVICES), ("run",), 2, ["GOAL", "run --help"]),
    ("unknown command", configured(SERVICES), ("rnu",), 2, ["'rnu'", "--help"]),
    ("speed that is no number", configured(SERVICES), (*RUN, "--speed", "fast"), 2, ["'fast'", "--help"]),
    ("approve without a run", configured(SERVICES), ("approve", "gate_001"), 2, ["no run was started here yet"]),
    ("another directory that is none", configured(SERVICES), ("-C", "nowhere", "status"), 2, ["-C nowhere: No such"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "arguments", "code", "said"), [pytest.param(*case, id=name) for name, *case in REFUSED]
)
def test_a_wrong_command_says_what_where_and_what_next_and_leaves_nothing_behind(
    tmp_path: Path, make: Callable[[Path], Path], arguments: Sequence[str], code: int, said: Sequence[str]
) -> None:
    place = make(tmp_path)
    before = repos.files(tmp_path)

    text = message(swarm(*arguments, cwd=place), code)

    for part in said:
        assert part in text
    assert repos.files(tmp_path) == before


def test_a_repository_that_cannot_be_written_is_refused(root: Path) -> None:
    """A file system mounted read-only; for anybody but root, permissions are enough."""
    wrapper = ["sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"', str(root)]
    if os.geteuid() == 0:
        unshare = shutil.which("unshare")
        prefix = [unshare or "unshare", "-m", *wrapper]
        if unshare is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root writes everywhere, and this machine does not let it mount")
    else:
        prefix = []
        for path in (root / ".git/objects", root / ".git"):
            path.chmod(0o555)
    try:
        done = subprocess.run(
            [*prefix, *COMMAND, *RUN, "--offline"],
            cwd=root,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        for path in (root / ".git", root / ".git/objects"):
            path.chmod(0o755)

    assert "cannot be written to" in message(done, 3)
    assert not (root / ".runs").exists()


# -- decisions that are refused


@pytest.fixture
def waiting(root: Path) -> Iterator[tuple[Path, Gate]]:
    """A run of which the first merge gate waits for a decision."""
    with background("run", "Say hello", "--headless", "--offline", "--speed", "0", cwd=root):
        decide_when_open(root, "plan", "approve")
        yield root, wait_until("two merge gates", lambda: gates(root, "merge")[1:])[0]


def gates(root: Path, place: str) -> list[Gate]:
    client = SwarmClient(root)
    run = client.latest()
    return [gate for gate in client.view(run).open_gates if gate.place == place] if run else []


def decide_when_open(root: Path, place: str, verdict: str, *more: str) -> Gate:
    gate = wait_until(f"a {place} gate", lambda: next(iter(gates(root, place)), None))
    done = swarm(verdict, gate.id, *more, cwd=root)
    assert done.returncode == 0, done.stderr
    return gate


def test_decisions_about_something_else_are_refused_and_change_nothing(waiting: tuple[Path, Gate]) -> None:
    root, gate = waiting
    client = SwarmClient(root)
    run = client.latest()
    assert run is not None
    before = client.view(run)

    unknown = message(swarm("approve", "gate_999", cwd=root), 8)
    assert "there is no gate 'gate_999'" in unknown
    assert "swarm-tui gates" in unknown
    silent = message(swarm("reject", gate.id, cwd=root), 8)
    assert "a rejection needs a reason" in silent
    assert "--note" in silent
    stale = message(swarm("approve", gate.id, "--evidence", "0" * 64, cwd=root), 8)
    assert f"the evidence of {gate.id} moved" in stale
    decided = next(g for g in before.gates.values() if g.place == "plan")
    again = message(swarm("reject", decided.id, "--note", "too late", cwd=root), 8)
    assert f"{decided.id} is passed (approve by operator)" in again

    after = client.view(run)
    news = [event.kind for event in journal(root) if event.seq > before.last_seq]
    assert set(news) == {"decision.refused"}
    assert after.gates == before.gates
    assert after.tasks == before.tasks
    assert repos.git(root, "log", "--format=%s") == "Start"
    exact = swarm("approve", gate.id, "--evidence", gate.evidence, cwd=root)
    assert exact.returncode == 0, exact.stderr


# -- the first steps of a newcomer


def test_init_and_a_rehearsal_work_in_any_repository(tmp_path: Path) -> None:
    root = repos.dirty(tmp_path / "of somebody")
    first = swarm("init", cwd=root / "pkg03")
    written = (root / "multi-agent.yaml").read_bytes()
    second = swarm("init", cwd=root)
    base = repos.git(root, "rev-parse", "HEAD")
    status, stash = repos.status(root), repos.git(root, "stash", "list")

    done = swarm("run", "--offline", "--headless", "--yes", "Rehearse it", "--speed", "0", cwd=root)

    assert (first.returncode, second.returncode) == (0, 0)
    assert "wrote" in first.stdout
    assert "kept as it is" in second.stdout
    assert (root / "multi-agent.yaml").read_bytes() == written
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stderr == ""
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds[0] == "run.created"
    landed = repos.git(root, "diff", "--name-only", base, "main").splitlines()
    assert len(landed) == 4
    assert all("REHEARSAL-" in path for path in landed)
    assert (repos.status(root), repos.git(root, "stash", "list")) == (status, stash)
    assert swarm("stop", cwd=root).returncode == 0


def test_what_stands_in_the_way_of_landing_ends_an_unattended_run_and_keeps_its_work(root: Path) -> None:
    """Nobody is there who could move the file; the work is kept beside the branch."""
    repos.write(root, "backend/REHEARSAL-backend.md", "mine, and not committed\n")

    done = swarm(*RUN, "--offline", "--speed", "0", cwd=root)

    assert done.returncode == 30, done.stdout[-2000:]
    assert (root / "backend/REHEARSAL-backend.md").read_text() == "mine, and not committed\n"
    assert repos.git(root, "log", "--format=%s", "main") == "Start"
    run = SwarmClient(root).latest()
    kept = repos.git(root, "show", f"refs/swarm/unlanded/{run}:backend/REHEARSAL-backend.md")
    assert "Rehearsal of backend" in kept
    (end,) = (event for event in journal(root) if event.kind == "run.completed")
    assert "backend/REHEARSAL-backend.md" in end.data["reason"]


# -- a model that refuses, and a model that plans nonsense


def worker(path: str) -> list[list[Block]]:
    return [[use("Write", file_path=path, content="hello\n")], [handoff(f"Wrote {path}.")]]


def test_a_key_that_is_not_accepted_halts_the_run_until_the_operator_ends_it(root: Path) -> None:
    key = "sk-ant-loopback-wrong-7215ee9c7d9dc229"
    always = {"architect": failure(401, "authentication_error", f"invalid key {key}")}
    with played(Play({}, always=always)) as server:
        with background(
            "run", "Say hello", "--headless", cwd=root, ANTHROPIC_API_KEY=key, ANTHROPIC_BASE_URL=server.base_url
        ) as process:
            wait_until("the halt", lambda: any(event.kind == "run.halted" for event in journal(root)))
            assert swarm("abort", "--note", "no key today", cwd=root).returncode == 0
            assert process.wait(30) == 9
        assert len(server.requests) == 1, "an answer of 401 is not asked for again"

    (halted,) = (event for event in journal(root) if event.kind == "run.halted")
    assert "answered 401" in halted.data["reason"]
    assert "ANTHROPIC_API_KEY" in halted.data["reason"]
    assert key not in json.dumps([dict(event.data) for event in journal(root)])
    (end,) = (event for event in journal(root) if event.kind == "run.aborted")
    assert "no key today" in end.data["reason"]
    assert repos.git(root, "for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"


def test_an_unattended_run_ends_when_it_was_halted(root: Path) -> None:
    always = {"architect": failure(401, "authentication_error", "invalid key")}
    with played(Play({}, always=always)) as server:
        done = swarm(*RUN, cwd=root, ANTHROPIC_API_KEY="wrong", ANTHROPIC_BASE_URL=server.base_url)

    assert done.returncode == 9
    (end,) = (event for event in journal(root) if event.kind == "run.aborted")
    assert "nobody was there to look" in end.data["reason"]


def test_an_unattended_run_gives_up_a_task_that_keeps_failing(root: Path) -> None:
    """Approving the same failure for ever would never end, and cost a call each time."""
    again = use("change_plan", reassign=[{"task": "task_001", "assigned_to": "backend"}])
    turns = {"architect": [[plan(planned("b", "backend", "Greet"))], [again]]}
    always = {"backend": failure(400, "invalid_request_error", "max_tokens is too large")}
    with played(Play(turns, always=always)) as server:
        done = swarm(*RUN, cwd=root, ANTHROPIC_API_KEY="test", ANTHROPIC_BASE_URL=server.base_url)

    assert done.returncode == 30, done.stdout[-2000:]
    failed = [event for event in journal(root) if event.kind == "task.failed" and event.task == "task_001"]
    assert len(failed) == 3
    assert all("max_tokens is too large" in event.data["reason"] for event in failed)
    (end,) = (event for event in journal(root) if event.kind == "run.completed")
    assert end.data["outcome"] == "partial"
    assert not end.data["landed"]


def test_a_plan_that_cannot_be_carried_out_comes_back_to_the_architect(root: Path) -> None:
    architect = [
        [plan(planned("a", "marketing", "Sell it"))],
        [plan(planned("a", "backend", "Greet", "b"), planned("b", "frontend", "Show it", "a"))],
        [plan(planned("a", "backend", "Greet"), planned("b", "frontend", "Show it", "a"))],
    ]
    turns = {"architect": architect, "backend": worker("backend/hi.txt"), "frontend": worker("frontend/hi.txt")}
    play = Play(turns)
    with played(play) as server:
        done = swarm(*RUN, cwd=root, ANTHROPIC_API_KEY="test", ANTHROPIC_BASE_URL=server.base_url)

    assert done.returncode == 0, done.stdout[-2000:]
    (unknown, was_wrong), (circle, was_wrong_too) = play.results("architect")
    assert was_wrong
    assert was_wrong_too
    assert "there is no service 'marketing'" in unknown
    assert "backend, frontend" in unknown
    assert "wait for each other" in circle
    tasks = [event for event in journal(root) if event.kind == "task.created" and event.task != "task_000"]
    assert [(event.task, event.data["dependencies"]) for event in tasks] == [
        ("task_001", []),
        ("task_002", ["task_001"]),
    ]
    assert (root / "frontend/hi.txt").read_text() == "hello\n"


# -- an agent that reaches out


@dataclass(frozen=True)
class Reach:
    """One attempt: the call, and what of the journaled denial names it."""

    tool: str
    args: dict[str, Any]
    target: str


def test_an_agent_that_reaches_outside_its_directories_changes_nothing_there(root: Path, tmp_path: Path) -> None:
    outside = repos.write(tmp_path, "outside.txt", "theirs\n")
    (root / "backend/shared").symlink_to("../frontend")
    (root / "backend/away").symlink_to(tmp_path)
    own, page = root / "README.md", "frontend/page.html"
    reaches = [
        Reach("Write", {"file_path": f"backend/../{page}", "content": "x"}, page),
        Reach("Write", {"file_path": "../../../../../escape.txt", "content": "x"}, "escape.txt"),
        Reach("Write", {"file_path": str(own), "content": "x"}, "README.md"),
        Reach("Edit", {"file_path": page, "old_string": "page line 1\n", "new_string": "x\n"}, page),
        Reach("Write", {"file_path": "backend/shared/page.html", "content": "x"}, "backend/shared"),
        Reach("Write", {"file_path": "backend/away/outside.txt", "content": "x"}, "backend/away"),
        Reach("Write", {"file_path": "backend/.git/config", "content": "x"}, ".git"),
        Reach("Bash", {"command": f"echo x > {page}"}, page),
        Reach("Bash", {"command": f"echo x >> {own}"}, "README.md"),
        Reach("Bash", {"command": f"cd backend && echo x > ../{page}"}, page),
        Reach("Bash", {"command": f"echo x | tee backend/../{page}"}, page),
        Reach("Bash", {"command": "echo x > backend/away/outside.txt"}, "backend/away"),
        Reach("Bash", {"command": "ln -s ../frontend backend/link && echo x > backend/link/page.html"}, "backend/link"),
        Reach("Bash", {"command": f"python3 -c \"open('{page}', 'w').write('x')\""}, page),
        Reach("Bash", {"command": "git commit -am mine"}, "git commit"),
    ]
    if confinement() == "landlock":  # without it nothing stops a program that hides where it writes
        command = f"python3 -c \"open('{outside}', 'w').write('x')\""
        reaches.append(Reach("Bash", {"command": command}, "outside.txt"))
    # In a box there is nothing outside to be refused: the escape suite looks at both.
    kind = "confinement: landlock\n" if confinement() == "landlock" else ""
    turns = [{"do": [{"tool": reach.tool, "args": reach.args}]} for reach in reaches]
    turns += [
        {"do": [{"tool": "Write", "args": {"file_path": "backend/mine.txt", "content": "allowed\n"}}]},
        {"do": [{"tool": "Bash", "args": {"command": "rm -f backend/link"}}]},
        {"do": [{"tool": "handoff", "args": {"what_i_did": "I wrote where I may."}}]},
    ]
    task = planned("b", "backend", "Reach out")
    planning = [{"do": [{"tool": "plan_tasks", "args": {"tasks": [dict(task)]}}]}]
    repos.write(root, "scripts/backend.yaml", json.dumps(turns))
    repos.write(root, "scripts/architect.yaml", json.dumps(planning))
    repos.write(root, "multi-agent.yaml", f"adapter: scripted\nscript: scripts/\n{kind}{SERVICES}")
    base = repos.commit_all(root, "Let it try")
    before = repos.files(tmp_path)

    done = swarm(*RUN, "--speed", "0", cwd=root)

    assert done.returncode == 0, done.stdout[-2000:]
    assert repos.git(root, "diff", "--name-only", base, "main") == "backend/mine.txt"
    ours = ("small/.runs/", "small/.multi-agent/")
    after = {path: kind for path, kind in repos.files(tmp_path).items() if not path.startswith(ours)}
    assert after.keys() - before.keys() == {"small/backend/mine.txt"}
    assert {path: after[path] for path in before} == before
    assert outside.read_text() == "theirs\n"
    denied = [event for event in journal(root) if event.kind == "policy.denied"]
    assert len(denied) >= len(reaches)
    for reach in reaches:
        assert any(
            event.data["tool"] == reach.tool and reach.target in f"{event.data['target']} {event.data['message']}"
            for event in denied
        ), f"{reach} was not journaled"


def test_a_request_to_stop_that_an_engine_left_behind_does_not_stop_the_next(tmp_path: Path) -> None:
    root = repos.small(tmp_path / "repo")
    client = SwarmClient(root)
    stale = client.send(InboxItem(ulid(), "engine.stop"))
    pid = client.ensure_engine().pid
    answer = wait_until("the engine's answer", lambda: client.answer(stale))

    assert answer.result == "refused"
    assert client.engine().pid == pid
    assert swarm("stop", cwd=root).returncode == 0


@pytest.mark.parametrize("speed", ["nan", "inf", "-1", "fast"])
def test_a_pace_that_is_none_is_refused(tmp_path: Path, speed: str) -> None:
    done = swarm("demo", "--speed", speed, "--dir", str(tmp_path / "x"), cwd=tmp_path)

    assert (done.returncode, (tmp_path / "x").exists()) == (2, False)
    assert "--speed" in done.stderr
