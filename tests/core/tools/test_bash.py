"""Bash gives an agent a shell with its own directories, no credentials and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from tests.support.tools import KINDS, Bench, bench, is_running, until

from swarm_core.tools.confine import confinement
from swarm_core.tools.jail import choice
from swarm_core.tools.jail.canary import Proof
from swarm_core.tools.jail.confines import Confines

needs_landlock = pytest.mark.skipif(confinement() == "none", reason="the kernel has no Landlock")
pytestmark = pytest.mark.skipif(not KINDS, reason="nothing here confines a process")

SECRETS = (
    "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN GITHUB_TOKEN GH_TOKEN AWS_SECRET_ACCESS_KEY NPM_TOKEN SSH_AUTH_SOCK "
    "GIT_DIR GIT_SSH_COMMAND HTTPS_PROXY BASH_ENV LD_PRELOAD DBUS_SESSION_BUS_ADDRESS SWARM_KEY XDG_RUNTIME_DIR"
)


OWNED = ("backend", "not/yet/there")


@pytest.fixture(params=KINDS)
def room(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return bench(tmp_path, Confines(request.param), directories=OWNED, tools_restricted=("gh pr create",))


@pytest.fixture
def landlocked(tmp_path: Path) -> Bench:
    """Where processes inside have the numbers they have outside."""
    return bench(tmp_path, Confines("landlock"), directories=OWNED)


async def test_a_command_runs_in_the_worktree_and_imports_the_worktree(room: Bench) -> None:
    (room.tree / "frontend" / "own.py").write_text("where = __file__\n")
    result = await room.bash("pwd; cd /; python3 -c 'import frontend.own as o; print(o.where)'; echo to stderr >&2")
    assert result.text == f"{room.tree}\n{room.tree}/frontend/own.py\nto stderr"
    assert not result.is_error
    assert not list(room.tree.rglob("__pycache__"))


async def test_a_failing_command_is_an_error_with_its_code_and_output(room: Bench) -> None:
    result = await room.bash("echo why; exit 3")
    assert result.is_error
    assert result.text == "Exit code 3\nwhy"
    assert result.target == "echo why; exit 3"
    assert (await room.bash("true")).text == "(no output)"


async def test_no_credential_of_the_environment_is_visible(room: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary-4f1c"
    for name in re.findall(r"\w+", SECRETS):
        monkeypatch.setenv(name, canary)
    result = await room.bash("env; set; cat /proc/self/environ | tr '\\0' '\\n'")
    assert canary not in result.text
    assert f"HOME={room.scratch}\n" in result.text
    assert f"GIT_CEILING_DIRECTORIES={room.tree.parent}\n" in result.text


@needs_landlock
async def test_the_environment_of_the_engine_and_of_others_is_out_of_reach(landlocked: Bench) -> None:
    keeper = await asyncio.create_subprocess_exec("sleep", "60", env={"KEY": "canary-9d2e", "PATH": os.environ["PATH"]})
    try:
        # A process that has just been started shows no environment for a moment.
        await until(lambda: b"canary-9d2e" in Path(f"/proc/{keeper.pid}/environ").read_bytes())
        result = await landlocked.bash(
            f"cat /proc/{keeper.pid}/environ /proc/$PPID/environ /proc/{keeper.pid}/mem | tr '\\0' ' '"
        )
        assert result.text.count("Permission denied") == 3
        assert "canary-9d2e" not in (await landlocked.bash("cat /proc/[0-9]*/environ")).text
    finally:
        keeper.kill()
        await keeper.wait()


async def test_unconfined_by_the_operators_word_commands_are_still_judged_and_run(tmp_path: Path) -> None:
    room = bench(tmp_path, Confines("none"))
    assert (await room.bash("echo x > backend/new && cat backend/new")).text == "x"
    assert (await room.bash("echo x > frontend/new")).denied is not None
    assert (await room.bash("cat /nowhere/at/all: Permission denied")).denied is None, "nothing was confined"


@pytest.mark.parametrize(
    "command",
    [
        "python3 -c \"open('{outside}/secret', 'w').write('x')\"",
        "python3 -c \"open('{outside}/new', 'w').write('x')\"",
        "python3 -c \"open('frontend/page.ts', 'w').write('x')\"",
        "python3 -c \"open('.git', 'w').write('x')\"",
        "ln -s {outside} backend/away && cd backend/away && python3 -c \"open('secret', 'w')\"",
        "D=..; echo x > backend/../$D/outside/secret",
        "X={outside}; echo x > $X/secret",
        "printf 'echo x > {outside}/secret' > backend/run.sh; sh backend/run.sh",
        "mkdir -p backend/a && mv backend/a/../../frontend backend/taken",
    ],
)
async def test_what_the_text_hides_meets_the_confinement(room: Bench, command: str) -> None:
    result = await room.bash(command.format(outside=room.outside))
    assert result.is_error
    assert (room.outside / "secret").read_text() == "untouched"
    assert [entry.name for entry in room.outside.iterdir()] == ["secret"]
    assert (room.tree / "frontend" / "page.ts").read_text() == "export const page = 1\n"
    assert (room.tree / ".git").read_text() == "gitdir: /nowhere\n"
    assert result.denied is not None or re.search("No such file|nonexistent", result.text)
    if result.denied is not None and result.denied.rule == "confined" and "commands write" in result.text:
        assert "backend" in result.text.rpartition("[")[2]


async def test_a_confined_refusal_names_the_file(room: Bench) -> None:
    result = await room.bash("X=/var; echo x > $X/secret || true")
    assert result.denied is not None
    assert (result.denied.rule, result.denied.target) == ("confined", "/var/secret")
    assert not result.is_error, "the command itself went on"
    assert (await room.bash("echo it says Permission denied")).denied is None


async def test_directories_of_the_service_are_there_before_the_first_command(room: Bench) -> None:
    result = await room.bash("echo x > not/yet/there/file && touch backend/new && echo x > $TMPDIR/t && cat $TMPDIR/t")
    assert result.text == "x"
    assert (room.tree / "not/yet/there/file").read_text() == "x\n"


async def test_a_service_directory_replaced_by_a_link_grants_nothing(room: Bench) -> None:
    (room.tree / "not").symlink_to(room.outside)
    result = await room.bash("python3 -c \"open('not/secret', 'w')\"")
    assert result.is_error
    assert (room.outside / "secret").read_text() == "untouched"
    assert not (room.outside / "yet").exists()


async def test_a_service_that_only_reads_has_its_scratch_directory_alone(tmp_path: Path) -> None:
    room = bench(tmp_path, key="architect", directories=("/",))
    assert (await room.bash("python3 -c \"open('backend/app.py', 'w')\"")).denied is not None
    assert (await room.bash("cat backend/app.py > $TMPDIR/x && wc -l < $TMPDIR/x")).text.strip() == "2"
    assert (room.tree / "backend/app.py").read_text().startswith("def app")


async def test_a_single_file_can_be_a_services_directory(tmp_path: Path) -> None:
    room = bench(tmp_path, directories=("frontend/page.ts",))
    assert not (await room.bash("python3 -c \"open('frontend/page.ts', 'w').write('mine')\"")).is_error
    assert (room.tree / "frontend/page.ts").read_text() == "mine"
    assert (await room.bash("python3 -c \"open('frontend/other.ts', 'w')\"")).is_error


async def test_commands_are_judged_before_they_run(room: Bench) -> None:
    for command, rule in (
        ("touch backend/ran; gh pr create", "tools_restricted"),
        ("touch backend/ran; git -C . commit", "raw_git"),
        ("touch backend/ran; echo 'a", "unreadable"),
        ("touch backend/ran /etc/ran", "outside_tree"),
    ):
        result = await room.bash(command)
        assert result.is_error
        assert result.denied is not None
        assert result.denied.rule == rule
    assert not (room.tree / "backend/ran").exists()


async def test_a_long_output_is_cut_and_kept_in_a_file_that_read_reaches(room: Bench) -> None:
    result = await room.bash("seq 1 100000")
    assert len(result.text) < 31_000
    assert result.text.startswith("1\n2\n")
    assert result.text.endswith("99999\n100000")
    path = re.search(r"in (\S+output-\S+\.txt)", result.text)
    assert path is not None
    assert Path(path[1]).read_text().split()[49_999] == "50000"
    assert "\t50000" in (await room.call("Read", file_path=path[1], offset=50_000, limit=1)).text


async def test_a_planted_link_does_not_lead_the_kept_output_astray(room: Bench) -> None:
    await room.bash(f"cd $TMPDIR/.. && rm -rf tmp cache && X={room.outside} && ln -s $X tmp && ln -s $X cache")
    await room.bash("seq 1 100000; echo x > $TMPDIR/x")
    assert [entry.name for entry in room.outside.iterdir()] == ["secret"]


@needs_landlock
async def test_a_command_that_takes_too_long_is_stopped_with_all_its_children(landlocked: Bench) -> None:
    result = await landlocked.bash("sleep 300 & echo $!; sleep 301", timeout=400)
    assert result.is_error
    assert result.text.startswith("Stopped after 0.4 s (timeout).\n")
    await until(lambda: not is_running(int(result.text.splitlines()[1])))


@needs_landlock
async def test_a_server_left_in_the_background_ends_with_the_call_and_is_reported(landlocked: Bench) -> None:
    result = await asyncio.wait_for(landlocked.bash("sleep 300 & echo $!"), 10)
    assert "ended with it" in result.text
    await until(lambda: not is_running(int(result.text.split()[0])))


async def test_two_calls_at_once_do_not_disturb_each_other(room: Bench) -> None:
    slow, failing = await asyncio.gather(
        room.bash("X=one; for i in 1 2 3; do sleep 0.1; echo $X; done; ls backend; touch backend/first"),
        room.bash("ls backend; echo ${X-two}; exit 4"),
    )
    assert slow.text == "one\none\none\napp.py"
    assert failing.text in ("Exit code 4\napp.py\nfirst\ntwo", "Exit code 4\napp.py\ntwo"), "one after the other"


async def test_the_directory_persists_and_nothing_else_does(room: Bench) -> None:
    await room.bash("cd backend && X=1 && export Y=2 && set -u && f() { :; } && trap 'echo bye' USR1")
    after = await room.bash("pwd; echo ${X-} ${Y-}; type f")
    assert after.text == f"Exit code 1\n{room.tree}/backend\n\nbash: line 1: type: f: not found"
    assert "USR1" not in (await room.bash("trap")).text
    assert (await room.bash("echo x > app.txt && cd .. && exit 3")).is_error
    assert (room.tree / "backend/app.txt").exists()
    assert (await room.bash("pwd")).text == str(room.tree)
    assert (await room.bash("cd frontend && echo x > page.ts")).denied is not None, "judged where it runs"
    await room.bash("cd /usr/bin")
    assert (await room.bash("pwd")).text == str(room.tree), "outside is no place to begin"


async def test_a_shell_that_was_killed_is_followed_by_another(room: Bench) -> None:
    assert (await room.bash("cd backend; kill -9 $$; sleep 5")).is_error
    assert (await room.bash("pwd")).text == str(room.tree)
    assert (await room.bash("sleep 60", timeout=200)).is_error
    assert (await room.bash("echo again")).text == "again"


async def test_where_nothing_confines_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice.choose.cache_clear()
    monkeypatch.setattr(choice, "prove", lambda kind: Proof(kind, (("start", True), ("write outside", False))))
    room = bench(tmp_path)
    try:
        result = await room.bash("touch backend/ran")
    finally:
        choice.choose.cache_clear()
    assert result.denied is not None
    assert result.denied.rule == "unconfined"
    assert "confinement: none" in result.text
    assert not (room.tree / "backend/ran").exists()


@pytest.mark.parametrize("command", ["", "   ", "a\0b"])
async def test_an_empty_command_is_an_error(room: Bench, command: str) -> None:
    assert (await room.bash(command)).is_error


async def test_output_that_is_no_text_arrives_as_text(room: Bench) -> None:
    result = await room.bash("printf '\\377\\000\\033[31m'")
    assert result.text.encode()
    assert "\ufffd" in result.text
