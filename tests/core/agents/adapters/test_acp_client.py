"""What an ACP agent asks of us: files through the scope, terminals through Bash, leave for once at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import Bench, bench, until

pytest.importorskip("acp", reason="the extra acp is not installed")

from acp import RequestError
from acp.schema import EnvVariable, PermissionOption, ToolCallLocation, ToolCallUpdate

from swarm_core.agents.adapters.acp_client import MAX_TERMINALS, Desk
from swarm_core.agents.adapters.base import AgentEvent, Asked, Mediated, Premises
from swarm_core.agents.adapters.permission import judge_by_rules
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import PermissionDenied

OPTIONS = [
    PermissionOption(option_id="always", name="Always", kind="allow_always"),
    PermissionOption(option_id="once", name="Once", kind="allow_once"),
    PermissionOption(option_id="no", name="No", kind="reject_once"),
]


class Place:
    """A desk at a bench; ``heard`` is what came of each request."""

    def __init__(self, at: Bench) -> None:
        self.at = at
        self.heard: list[AgentEvent] = []
        scope = at.scope
        self.premises = Premises(scope.service, scope, at.toolbox, SystemClock(), self._hear, judge_by_rules(scope))
        self.desk = Desk(self.premises)

    async def _hear(self, event: AgentEvent) -> None:
        self.heard.append(event)

    def may_edit(self, path: str) -> Any:
        call = ToolCallUpdate(tool_call_id="t", title="Edit", kind="edit", locations=[ToolCallLocation(path=path)])
        return self.desk.request_permission("s", call, OPTIONS)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    found = Place(bench(tmp_path))
    yield found
    await found.desk.close()


async def test_files_are_read_and_written_inside_the_scope_only(place: Place) -> None:
    tree = place.at.tree
    whole = await place.desk.read_text_file("s", str(tree / "backend/app.py"))
    second = await place.desk.read_text_file("s", "backend/app.py", line=2, limit=1)
    await place.desk.write_text_file("s", str(tree / "backend/new.py"), "x = 1\n")

    assert (whole.content, second.content) == ("def app():\n    return 1\n", "    return 1\n")
    assert (tree / "backend/new.py").read_text() == "x = 1\n"
    for request in (
        place.desk.read_text_file("s", str(place.at.outside / "secret")),
        place.desk.read_text_file("s", ".git"),
        place.desk.write_text_file("s", str(tree / "frontend/new.ts"), "no"),
        place.desk.write_text_file("s", str(place.at.outside / "secret"), "no"),
    ):
        with pytest.raises(RequestError):
            await request
    denials = [event.denial.rule for event in place.heard if isinstance(event, Mediated) and event.denial]
    assert denials == ["outside_tree", "git_dir", "directories", "outside_tree"]
    assert (place.at.outside / "secret").read_text() == "untouched"


async def test_a_file_that_is_none_is_an_error_it_can_act_on(place: Place) -> None:
    for path in ("backend", "backend/none.py", "", "/dev/zero"):
        with pytest.raises(RequestError):
            await place.desk.read_text_file("s", path)


async def test_a_terminal_is_bash_behind_the_rules(place: Place) -> None:
    desk = place.desk
    made = await desk.create_terminal("s", "printf", ["%s", "$A b"], env=[EnvVariable(name="A", value="1")])
    ended = await desk.wait_for_terminal_exit("s", made.terminal_id)
    told = await desk.terminal_output("s", made.terminal_id)
    assert (ended.exit_code, told.output) == (0, "$A b")
    line = await desk.create_terminal("s", "echo out; exit 3", cwd=str(place.at.tree / "backend"))
    assert (await desk.wait_for_terminal_exit("s", line.terminal_id)).exit_code == 3
    raw = await desk.create_terminal("s", "git", ["push"])
    assert (await desk.wait_for_terminal_exit("s", raw.terminal_id)).exit_code == 1

    (denied,) = [event for event in place.heard if isinstance(event, Mediated) and event.denial]
    assert denied.denial is not None
    assert denied.denial.rule == "raw_git"
    with pytest.raises(RequestError):
        await desk.create_terminal("s", "true", env=[EnvVariable(name="A;B", value="1")])


async def test_a_terminal_is_killed_released_and_limited(place: Place) -> None:
    desk = place.desk
    made = await desk.create_terminal("s", "sleep 600")
    assert (await desk.terminal_output("s", made.terminal_id)).exit_status is None
    await desk.kill_terminal("s", made.terminal_id)
    ended = await desk.wait_for_terminal_exit("s", made.terminal_id)
    assert ended.signal == "SIGKILL"
    await desk.release_terminal("s", made.terminal_id)
    with pytest.raises(RequestError):
        await desk.terminal_output("s", made.terminal_id)
    for _ in range(MAX_TERMINALS):
        await desk.create_terminal("s", "true")
    with pytest.raises(RequestError):
        await desk.create_terminal("s", "true")


async def test_leave_is_given_for_once_or_not_at_all(place: Place) -> None:
    yes = await place.may_edit(str(place.at.tree / "backend/app.py"))
    no = await place.may_edit(str(place.at.tree / "frontend/page.ts"))

    assert (yes.outcome.option_id, no.outcome.option_id) == ("once", "no")
    asked = [event for event in place.heard if isinstance(event, Asked)]
    assert [event.denial.rule if event.denial else "" for event in asked] == ["", "directories"]


async def test_without_an_answer_for_once_nothing_is_given(place: Place) -> None:
    call = ToolCallUpdate(tool_call_id="t", kind="edit", locations=[ToolCallLocation(path="backend/app.py")])
    answer = await place.desk.request_permission("s", call, OPTIONS[:1])

    assert answer.outcome.outcome == "cancelled"


async def test_every_open_question_is_answered_as_cancelled(place: Place) -> None:
    asked: list[str] = []

    async def never(tool: str, arguments: Mapping[str, Any]) -> PermissionDenied | None:
        asked.append(tool)
        await asyncio.Event().wait()
        return None

    desk = Desk(replace(place.premises, ask_permission=never))
    call = ToolCallUpdate(tool_call_id="t", kind="edit")
    questions = [asyncio.create_task(desk.request_permission("s", call, OPTIONS)) for _ in range(3)]
    await until(lambda: len(asked) == 3)
    desk.cancel()
    answers = await asyncio.gather(*questions)

    assert [answer.outcome.outcome for answer in answers] == ["cancelled"] * 3
