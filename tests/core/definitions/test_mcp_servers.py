"""MCP servers are read from both files; what is wrong names its place; variables are filled in at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.definitions.marked import compose
from swarm_core.definitions.mcp_servers import filled, repository_servers, servers
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import McpServerSpec


def test_servers_of_the_configuration() -> None:
    text = 'a: {command: x, args: ["1", y], env: {K: v}, timeout: 5s}\n'
    text += 'b: {url: "https://e.org/mcp", headers: {H: "${T}"}}'
    assert servers(compose(text, "f")) == {
        "a": McpServerSpec("a", "x", ("1", "y"), {"K": "v"}, timeout_s=5.0),
        "b": McpServerSpec("b", url="https://e.org/mcp", headers={"H": "${T}"}),
    }


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a: {}",
            "a: {command: x, url: 'https://e'}",
            "a: {type: http, command: x}",
            "a: {type: sse, url: 'https://e'}",
        ),
        *("a: {url: 'file:///etc'}", "../a: {command: x}", "a: {command: x, arg: [1]}", "a: [x]", "a: {command: [x]}"),
    ],
)
def test_what_is_no_server_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"f\.yaml:1: "):
        servers(compose(text, "f.yaml"))


def test_servers_of_a_repository_come_with_the_text_that_is_trusted(tmp_path: Path) -> None:
    assert repository_servers(tmp_path) == {}
    path = tmp_path / ".mcp.json"
    path.write_text('{"mcpServers": {"a": {"command": "x", "args": ["${HOME}"], "timeout": 1500}}}')
    ((spec, text),) = repository_servers(tmp_path).values()
    assert (spec.command, spec.args, spec.timeout_s) == ("x", ("${HOME}",), 1.5)
    assert '"${HOME}"' in text
    unknown_key = '{"mcpServers": {"a": {"command": "x", "cwd": "/"}}}'
    for wrong in ("", "[]", "{}", '{"mcpServers": {"a": 3}}', unknown_key, "[" * 9999):
        path.write_text(wrong)
        with pytest.raises(ConfigurationError, match=r"mcp\.json"):
            repository_servers(tmp_path)


def test_variables_are_filled_in_or_missed() -> None:
    spec = McpServerSpec("a", "${BIN:-run}", ("${A}-${A}",), {"K": "${EMPTY:-}"}, headers={"H": "Bearer ${T}"})
    done = filled(spec, {"A": "1", "T": "${A}"})
    assert (done.command, done.args, done.env, done.headers) == ("run", ("1-1",), {"K": ""}, {"H": "Bearer ${A}"})
    with pytest.raises(ConfigurationError, match="the variable A that the MCP server a needs is not set"):
        filled(spec, {})
