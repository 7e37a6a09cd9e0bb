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
    result = await room.bash("pwd; (cd /; python3 -c 'import frontend.own as o; print(o.where)'); echo to stderr >&2")
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


@needs_landlock
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


@needs_landlock
async def test_a_service_that_only_reads_has_its_scratch_directory_alone(tmp_path: Path) -> None:
    room = bench(tmp_path, key="architect", directories=("/",))
    assert (await room.bash("python3 -c \"open('backend/app.py', 'w')\"")).denied is not None
    assert (await room.bash("cat backend/app.py > $TMPDIR/x && wc -l < $TMPDIR/x")).text.strip() == "2"
    assert (room.tree / "backend/app.py").read_text().startswith("def app")


@needs_landlock
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
    assert len(result.text) < 10_000
    assert result.text.startswith("1\n2\n")
    assert result.text.endswith("99999\n100000")
    path = re.search(r"in (\S+output-\S+\.txt)", result.text)
    assert path is not None
    assert Path(path[1]).read_text().split()[49_999] == "50000"
    assert "\t50000" in (await room.call("Read", file_path=path[1], offset=50_000, limit=1)).text


async def test_a_failure_may_say_less_than_a_success(room: Bench) -> None:
    fine, failed = await room.bash("seq 1 3000"), await room.bash("seq 1 3000; exit 3")
    assert len(fine.text) > 13_000
    assert "cut:" not in fine.text
    assert failed.text.startswith("Exit code 3\n1\n2\n")
    assert failed.text.endswith("2999\n3000")
    assert len(failed.text) < 10_000
    assert failed.text.count("output-") == 1


@needs_landlock
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


@pytest.mark.parametrize("command", ["", "   ", "a\0b"])
async def test_an_empty_command_is_an_error(room: Bench, command: str) -> None:
    assert (await room.bash(command)).is_error


async def test_output_that_is_no_text_arrives_as_text(room: Bench) -> None:
    result = await room.bash("printf '\\377\\000\\033[31m'")
    assert result.text.encode()
    assert "\ufffd" in result.text


async def test_the_directory_lasts_and_variables_do_not(room: Bench) -> None:
    first = await room.bash("cd backend && X=1 && export X")
    assert first.text == "(no output)\n[the next command begins in backend]"
    assert (await room.bash("pwd; echo ${X-gone}; echo x > here")).text == f"{room.tree}/backend\ngone"
    assert (room.tree / "backend/here").read_text() == "x\n"
    assert (await room.bash("exit 3")).text == "Exit code 3\n(no output)"
    assert (await room.bash("cd ..; echo x > ../outside/new")).denied is not None, "judged from where it begins"
    assert (await room.bash("(cd /); cd ..")).text.endswith("begins in .]")
    left = await room.bash("cd /tmp; pwd")
    assert left.text == "/tmp\n[/tmp is outside your worktree: the next command begins at its top]"
    assert (await room.bash("pwd")).text == str(room.tree)
    assert not list(room.scratch.glob("cwd-*"))


async def test_a_directory_that_is_gone_or_became_a_link_is_left(room: Bench) -> None:
    await room.bash("mkdir backend/sub && cd backend/sub")
    (room.tree / "backend/sub").rmdir()
    assert (await room.bash("pwd")).text == f"{room.tree}\n[the next command begins in .]".split("\n[")[0]
    await room.bash("mkdir backend/sub && cd backend/sub")
    (room.tree / "backend/sub").rmdir()
    (room.tree / "backend/sub").symlink_to(room.outside)
    assert (await room.bash("pwd -P")).text == str(room.tree)


async def test_lines_of_a_command_are_counted_from_one(room: Bench) -> None:
    wrong = await room.bash("true\nnosuchcommand")
    assert "line 2: nosuchcommand" in wrong.text
    assert (await room.bash("cat <<'E'\n$1 '\nE\necho \"[$#]\"")).text == "$1 '\n[0]"


@pytest.mark.parametrize(
    ("command", "is_error"),
    [
        ("grep -r nowhere backend", False),
        ("cat backend/app.py | grep nowhere", False),
        ("diff backend/app.py frontend/page.ts >/dev/null", False),
        ("test -e nothing", False),
        ("[ -e nothing ]", False),
        ("[[ -e nothing ]]", False),
        ("grep -q nowhere backend/app.py && echo yes", False),
        ("grep x no/such/file", True),
        ("false", True),
        ("grep -q app backend/app.py && false", True),
        ("python3 -c 'raise SystemExit(1)'", True),
    ],
)
async def test_an_exit_code_that_is_an_answer_is_no_failure(room: Bench, command: str, is_error: bool) -> None:
    result = await room.bash(command)
    assert result.text.startswith("Exit code ")
    assert result.is_error is is_error


# -- background


@needs_landlock
async def test_a_command_in_the_background_is_read_bit_by_bit_and_stopped(landlocked: Bench) -> None:
    os.mkfifo(landlocked.tree / "backend/pipe")
    begun = await landlocked.bash(
        "echo one $$; read -r line < backend/pipe; echo $line; tail -f /dev/null", run_in_background=True
    )
    assert begun.text.startswith("It runs in the background as bash_1.")

    async def more(until_it_shows: str) -> str:
        seen = ""
        async with asyncio.timeout(10):
            while until_it_shows not in seen:
                shown = await landlocked.call("BashOutput", task_id="bash_1", block=True, timeout=20)
                assert shown.text.startswith("Running.")
                seen += shown.text.partition("\n")[2] + "\n"
        return seen

    pid = int((await more("one ")).split()[-1])
    with (landlocked.tree / "backend/pipe").open("w") as pipe:
        pipe.write("two\n")
    assert (await more("two\n")).split() == ["two"], "what was shown is not shown again"
    stopped = await landlocked.call("TaskStop", task_id="bash_1")
    assert (stopped.text, stopped.is_error) == ("Stopped.", False)
    await until(lambda: not is_running(pid))
    unknown = await landlocked.call("BashOutput", task_id="bash_9")
    assert unknown.is_error
    assert "known: bash_1" in unknown.text


async def test_waiting_for_the_end_of_a_background_command_tells_how_it_ended(room: Bench) -> None:
    await room.bash("echo a; exit 3", run_in_background=True)
    ended = await room.call("BashOutput", task_id="bash_1", block=True)
    assert ended.is_error
    assert ended.text == "Ended with exit code 3.\na"
    assert (await room.call("BashOutput", task_id="bash_1")).text == "Ended with exit code 3."
    await room.bash("sleep 300", run_in_background=True)
    assert (await room.call("BashOutput", task_id="bash_2", block=True, timeout=50)).text == "Running."
    await room.toolbox.close()


@needs_landlock
async def test_a_command_that_never_ends_goes_on_in_the_background(landlocked: Bench) -> None:
    result = await landlocked.bash("echo $$; tail -f /dev/null", timeout=300)
    assert not result.is_error
    assert "goes on in the background as bash_1" in result.text
    pid = int(result.text.split()[-1])
    assert is_running(pid)
    await landlocked.toolbox.close()
    assert not is_running(pid), "it ends with its agent"


async def test_there_are_only_so_many_commands_in_the_background(room: Bench) -> None:
    for _ in range(8):
        assert not (await room.bash("sleep 300", run_in_background=True)).is_error
    assert "too many" in (await room.bash("sleep 300", run_in_background=True)).text
    await room.call("TaskStop", task_id="bash_3")
    assert not (await room.bash("sleep 300", run_in_background=True)).is_error
    await room.toolbox.close()


@needs_landlock
async def test_a_cancelled_agent_takes_a_command_that_could_move_on_with_it(landlocked: Bench) -> None:
    path = landlocked.tree / "backend/pid"
    call = asyncio.create_task(landlocked.bash("echo $$ > backend/pid; tail -f /dev/null"))
    await until(lambda: path.exists() and bool(path.read_text()))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not is_running(int(path.read_text()))


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
