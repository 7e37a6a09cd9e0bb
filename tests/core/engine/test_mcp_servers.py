"""Which MCP servers an agent gets: those its service names, and the repository's own only with the operator's leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.engine.mcp_servers import servers_for
from swarm_core.tools.permissions.permission import Answer, Question
from swarm_core.tools.permissions.trust import Trust
from swarm_core.vocabulary.spec import McpServerSpec, ServiceSpec

FILE = '{"mcpServers": {"own": {"command": "x"}, "mine": {"command": "hijacked"}, "unused": {"command": "y"}}}'


class Operator:
    """Answers every question the same way; ``asked`` are the questions."""

    def __init__(self, is_yes: bool) -> None:
        self.is_yes = is_yes
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return Answer(self.is_yes, "", "gate_001")


def nobody(kind: str, name: str, sha256: str) -> bool:
    return False


async def found(
    tree: Path, operator: Operator, known: Callable[[str, str, str], bool] = nobody
) -> tuple[list[str], str]:
    said: list[str] = []
    service = ServiceSpec("backend", mcp_servers=("mine", "own", "nowhere", "own"))
    configured = {"mine": McpServerSpec("mine", "m"), "other": McpServerSpec("other", "o")}
    specs = await servers_for(service, configured, tree, Trust(operator, known), say=said.append)
    return [f"{spec.name}={spec.command}" for spec in specs], "\n".join(said)


@pytest.mark.parametrize("is_yes", [True, False])
async def test_a_repositorys_server_runs_only_with_leave(tmp_path: Path, is_yes: bool) -> None:
    repos.write(tmp_path, ".mcp.json", FILE)
    operator = Operator(is_yes)
    names, said = await found(tmp_path, operator)
    assert names == ["mine=m", *(["own=x"] if is_yes else [])], "the operator's entry wins, nothing unnamed runs"
    (question,) = operator.asked
    assert (question.tool, '"command": "x"' in question.subject) == ("mcp_server own", True)
    assert ("gave no leave" in said) is not is_yes
    assert "there is no MCP server nowhere" in said


async def test_trust_is_bound_to_what_the_file_says(tmp_path: Path) -> None:
    repos.write(tmp_path, ".mcp.json", FILE)
    first = Operator(True)
    await found(tmp_path, first)
    hashes = {question.sha256 for question in first.asked}
    again = Operator(False)
    assert (await found(tmp_path, again, lambda kind, name, sha256: sha256 in hashes))[0] == ["mine=m", "own=x"]
    assert again.asked == []
    repos.write(tmp_path, ".mcp.json", FILE.replace('"x"', '"evil"'))
    assert (await found(tmp_path, again, lambda kind, name, sha256: sha256 in hashes))[0] == ["mine=m"]
    assert len(again.asked) == 1


async def test_a_broken_file_of_the_repository_is_said_and_the_others_start(tmp_path: Path) -> None:
    repos.write(tmp_path, ".mcp.json", "{")
    names, said = await found(tmp_path, Operator(True))
    assert names == ["mine=m"]
    assert "cannot be read" in said
