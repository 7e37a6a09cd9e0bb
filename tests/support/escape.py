"""A place with everything an escape would go for, and an agent's real tools in the middle of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import repos
from tests.support.tools import until

from swarm_core.tools.base import ToolResult
from swarm_core.tools.jail import kin
from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.jail.limits import Limits
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox, standard_tools
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.spec import ServiceSpec
from swarm_core.workspace.hub import Hub

CANARY = "canary-7c31e0d4b95f"
SLEEPER = "47110815"  # how long a process sleeps that must not be there afterwards


@dataclass
class Prison:
    """A repository with a run, its hub and two worktrees, a home with keys, listeners, and a process to go for."""

    top: Path
    kind: str
    hub: Hub
    toolbox: Toolbox
    tree: Path
    scratch: Path
    victim: subprocess.Popen[bytes]
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket
    results: list[ToolResult] = field(default_factory=list)
    _before: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, Any]:
        """What attempts are written with."""
        return {
            "home": self.top / "home",
            "outside": self.top / "outside",
            "repo": self.top / "repo",
            "hub": self.hub.desk.hub,
            "other": self.tree.parent / "frontend-1",
            "tree": self.tree,
            "scratch": self.scratch,
            "victim": self.victim.pid,
            "engine": os.getpid(),
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "unix": self.unix.getsockname(),
            "python": sys.executable,
            "sleeper": SLEEPER,
            "canary": CANARY,
        }

    async def bash(self, command: str, *, timeout_ms: int = 20_000) -> ToolResult:
        """Run a command; ``<name>`` in it stands for the thing of that name."""
        return await self.call("Bash", command=command, timeout=timeout_ms)

    async def attempt(self, command: str) -> str:
        """Try a command as it is written, where its text may give it away, and hidden in a script. What both said."""
        plain = await self.bash(command)
        (self.tree / "backend").mkdir(exist_ok=True)
        await self.call("Write", file_path="backend/attempt.sh", content=f"{command}\n")
        hidden = await self.bash("bash backend/attempt.sh")
        assert hidden.denied is None or hidden.denied.rule == "confined", "the script ran"
        return f"{plain.text}\n{hidden.text}"

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        for key, value in self.names.items():
            arguments = {
                k: v.replace(f"<{key}>", str(value)) if isinstance(v, str) else v for k, v in arguments.items()
            }
        result = await self.toolbox.call(name, arguments)
        self.results.append(result)
        return result

    def remember(self) -> None:
        self._before = self._world()

    def _world(self) -> dict[str, str]:
        hub = self.hub.desk
        tops = (*(self.top / name for name in ("outside", "home", "repo")), self.names["other"], hub.hub, hub.dir)
        found = {f"{top}/{path}": kind for top in tops for path, kind in repos.files(top).items()}
        found |= {f"mode of {path}": oct(path.lstat().st_mode) for top in tops for path in (top, *top.iterdir())}
        rest = {f"{self.tree}/{path}": kind for path, kind in repos.files(self.tree).items()}
        return found | {path: kind for path, kind in rest.items() if "/backend/" not in path}

    async def check(self) -> None:
        """Nothing outside was read, changed, reached or hurt, and nobody of the agent's is left."""
        await self.toolbox.close()
        said = "\n".join(result.text for result in self.results)
        assert CANARY not in said, f"a secret was read: {said}"
        after = self._world()
        changed = {path for path in {*after, *self._before} if after.get(path) != self._before.get(path)}
        assert not changed, f"changed outside: {sorted(changed)}; {said}"
        for listener in (self.tcp, self.udp, self.unix):
            assert not _arrived(listener), f"{listener} was reached: {said}"
        assert self.victim.poll() is None, "a process outside was killed"
        await until(lambda: not leftovers())

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(Path(self.unix.getsockname()).parent)
        for listener in (self.tcp, self.udp, self.unix):
            listener.close()


def leftovers() -> list[str]:
    """Processes on this machine that were confined by this one, or say that they sleep as the attempts' do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if SLEEPER in words and "bash" not in words and not kin.is_zombie(pid):
            found.append(f"{pid} {words}")
    return found


def _arrived(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(16)
    except BlockingIOError:
        return False
    return True


def _victim() -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "KEY": CANARY}
    return subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)


@dataclass(frozen=True, slots=True)
class Site:
    """What the attempts of many tests share: none of them may change it."""

    top: Path
    layout: RunLayout
    tree: Path
    store: Path


async def build(top: Path) -> Site:
    """A repository, its run's hub and worktrees, and keys. The state directory has to lie below ``top`` already."""
    repo = repos.small(top / "repo")
    repos.write(repo, "backend/app.py", "print(1)\n")
    repos.write(repo, "tests/conftest.py", "# the tests' own\n")
    repos.commit_all(repo, "parts")
    for path in ("home/.ssh/id_ed25519", "home/.aws/credentials", "home/.netrc", "outside/secret", "repo/.env"):
        repos.write(top, path, f"{CANARY}\n")
    for path in ("repo/.runs/r/events.jsonl", "repo/.multi-agent/engine.json", "home/.config/swarm/key"):
        repos.write(top, path, f"{CANARY}\n")
    (top / "outside/directory").mkdir()
    hub = await Hub.open(repos.layout(repo))
    tree = (await hub.add_tree("backend-1")).path
    repos.write((await hub.add_tree("frontend-1")).path, "unfinished.txt", f"{CANARY}\n")
    return Site(top, hub.layout, tree, await hub.desk.user_common_dir() / "objects")


async def prison(site: Site, kind: str, *, directories: Sequence[str] = ("backend",), **limits: int) -> Prison:
    """An agent in the site, with tools and a scratch directory of its own."""
    scratch = site.layout.state_dir / "scratch" / "backend-1"
    for path in (scratch, site.tree / "backend"):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    repos.write(site.tree, "backend/app.py", "print(1)\n")
    spec = ServiceSpec("backend", directories=tuple(directories))
    scope = Scope(site.tree, spec, scratch)
    hub = await Hub.open(site.layout)
    confines = Confines(kind, (site.layout.hub, site.store), (site.layout.repo.root,), limits=Limits(**limits))
    toolbox = Toolbox(scope, standard_tools(scope, scratch, SystemClock(), confines), spec)
    victim = _victim()
    await until(lambda: CANARY.encode() in Path(f"/proc/{victim.pid}/environ").read_bytes())
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.bind(tempfile.mkdtemp(prefix="swarm-unix-") + "/socket")
    unix.listen()
    for listener in (tcp, udp, unix):
        listener.setblocking(False)
    found = Prison(site.top, kind, hub, toolbox, scope.tree, scope.scratch or scratch, victim, tcp, udp, unix)
    found.remember()
    return found
