"""Rules are asked at the one door of the tools; trust is bound to content; what is kept is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import bench

from swarm_core.definitions.settings import read_granted
from swarm_core.tools.permissions.kept import keep
from swarm_core.tools.permissions.permission import CALL, MAX_ASKED_CHARS, Answer, Question, Rules
from swarm_core.tools.permissions.rules import RuleSet, compile_rules
from swarm_core.tools.permissions.trust import Trust
from swarm_core.tools.toolbox import Toolbox, standard_tools
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.spec import RuleText, ServiceSpec


class Says:
    """An operator with one opinion; ``asked`` is what came."""

    def __init__(self, is_yes: bool, note: str = "") -> None:
        self.answer = Answer(is_yes, note)
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.answer


def door(place: Path, operator: Says, default: str = "allow", **rules: list[str]) -> Toolbox:
    room = bench(place)
    texts = [RuleText(effect, text, "config", "multi-agent.yaml", 3) for effect in rules for text in rules[effect]]
    found: RuleSet = compile_rules(texts, room.tree, default=default)[0]  # type: ignore[arg-type]
    service = ServiceSpec("backend", directories=("backend",))
    tools = standard_tools(room.scope, room.scratch, SystemClock())
    return Toolbox(room.scope, tools, service, Rules(lambda: found, operator))


async def test_a_denied_call_never_reaches_its_tool_and_says_which_rule(tmp_path: Path) -> None:
    operator = Says(True)
    toolbox = door(tmp_path, operator, deny=["Edit(/backend/*.lock)"])
    result = await toolbox.call("Write", {"file_path": "backend/x.lock", "content": "1"})
    assert result.denied is not None
    assert (result.denied.rule, operator.asked) == ("Edit(/backend/*.lock)", [])
    assert "denied by the rule Edit(/backend/*.lock) of multi-agent.yaml:3" in result.text
    assert not (tmp_path / "tree/backend/x.lock").exists()


async def test_no_leave_opens_what_the_directories_keep_closed(tmp_path: Path) -> None:
    toolbox = door(tmp_path, Says(True), default="ask", allow=["Edit", "Bash", "Read"])
    outside = await toolbox.call("Write", {"file_path": "frontend/page.ts", "content": "x"})
    assert outside.denied is not None
    assert outside.denied.rule == "directories"
    git = await toolbox.call("Bash", {"command": "git commit -m x"})
    assert git.denied is not None
    assert git.denied.rule == "raw_git"


async def test_a_no_is_an_error_result_with_the_operators_words(tmp_path: Path) -> None:
    operator = Says(False, "use the fixture")
    result = await door(tmp_path, operator, ask=["Bash(touch:*)"]).call("Bash", {"command": "touch backend/x"})
    assert result.is_error
    assert "the operator said no to this call: use the fixture" in result.text
    (question,) = operator.asked
    assert (question.subject, question.proposed) == ("touch backend/x", ("Bash(touch:*)",))
    assert question.rule == "Bash(touch:*) of multi-agent.yaml:3"


async def test_a_wrong_input_is_nobodys_question(tmp_path: Path) -> None:
    operator = Says(True)
    result = await door(tmp_path, operator, default="ask").call("Bash", {"command": 3})
    assert "was not called" in result.text
    assert operator.asked == []


async def test_what_is_too_large_to_be_shown_is_refused(tmp_path: Path) -> None:
    operator = Says(True)
    content = "x" * MAX_ASKED_CHARS
    result = await door(tmp_path, operator, default="ask").call(
        "Write", {"file_path": "backend/big", "content": content}
    )
    assert "too large to be shown" in result.text
    assert operator.asked == []


async def test_the_same_call_of_another_turn_is_another_question(tmp_path: Path) -> None:
    operator = Says(True)
    toolbox = door(tmp_path, operator, ask=["Bash(touch:*)"])
    for call in ("1.1.a", "1.1.a", "1.2.a"):
        CALL.set(call)
        await toolbox.call("Bash", {"command": "touch backend/x"})
    first, again, other = (question.key for question in operator.asked)
    assert first == again != other


async def test_trust_is_bound_to_the_content(tmp_path: Path) -> None:
    operator, known = Says(True), set[tuple[str, str, str]]()
    trust = Trust(operator, lambda *what: what in known)
    assert await trust.allowed("mcp_server", "db", '{"command": "db"}')
    known.add(("mcp_server", "db", operator.asked[0].sha256))
    assert await trust.allowed("mcp_server", "db", b'{"command": "db"}')
    assert len(operator.asked) == 1
    assert await trust.allowed("mcp_server", "db", '{"command": "db --evil"}')
    assert await trust.allowed("mcp_server", "other", '{"command": "db"}')
    assert len({question.key for question in operator.asked}) == 3
    assert not await Trust(Says(False), lambda *what: False).allowed("skill_command", "x", "ls")


async def test_content_too_large_to_be_shown_is_not_trusted() -> None:
    operator = Says(True)
    assert not await Trust(operator, lambda *what: False).allowed("mcp_server", "x", "y" * MAX_ASKED_CHARS)
    assert operator.asked == []


def test_what_is_kept_is_read_back_once_whatever_it_holds(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    grant = {"rule": 'Bash(echo "a: [b]" # c)', "service": "api", "at": "now", "run": "r", "gate": "gate_001"}
    trusted = {"kind": "mcp_server", "name": "d\u00e9 \"b'", "sha256": "0" * 64, "at": "now"}
    keep(layout, [grant], [])
    keep(layout, [grant, {**grant, "service": "web"}], [trusted])
    found = read_granted(layout)
    assert [(service, text.text, text.effect) for service, text in found.rules] == [
        ("api", grant["rule"], "allow"),
        ("web", grant["rule"], "allow"),
    ]
    assert [(one.kind, one.name, one.sha256) for one in found.trusted] == [("mcp_server", trusted["name"], "0" * 64)]
    assert layout.permissions_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["granted: [\n", "granted: 3\n", "\x00"])
def test_a_file_that_cannot_be_read_is_not_overwritten(tmp_path: Path, text: str) -> None:
    layout = RepoLayout(tmp_path)
    layout.control.mkdir()
    layout.permissions_file.write_text(text)
    entry: dict[str, Any] = {"rule": "Bash", "service": "api"}
    with pytest.raises(ConfigurationError):
        keep(layout, [entry], [])
    assert layout.permissions_file.read_text() == text
