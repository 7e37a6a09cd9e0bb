"""The dialects of headless programs: what ends a turn and how, and that no message can break a reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.agents.adapters.acp_wire import meanings
from swarm_core.agents.adapters.base import CallEnded, CallStarted, Planned, Said, Spent
from swarm_core.agents.adapters.claude import ClaudeProfile
from swarm_core.agents.adapters.codex import CodexProfile
from swarm_core.agents.adapters.profiles import Over, Question, Session
from swarm_core.vocabulary.spec import ServiceSpec

RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}


def over(*messages: dict[str, Any], profile: Any = None) -> Over:
    reader = profile or ClaudeProfile()
    found = [meaning for message in messages for meaning in reader.read(message)]
    assert isinstance(found[-1], Over)
    return found[-1]


@pytest.mark.parametrize(
    ("messages", "trouble", "kind"),
    [
        ([RESULT], "", "gave_up"),
        ([{"type": "result", "subtype": "error_max_turns", "is_error": True}], "error_max_turns", "gave_up"),
        ([{**RESULT, "is_error": True, "result": "API Error: 529"}], "API Error: 529", "lost"),
        (
            [{"type": "assistant", "error": "authentication_failed", "message": {"content": []}},
             {**RESULT, "is_error": True, "result": "Invalid API key"}],
            "Invalid API key", "auth",
        ),
        ([{"type": "assistant", "error": "billing_error"}, {**RESULT, "is_error": True}], "done", "spend"),
    ],
)  # fmt: skip
def test_how_claude_ends_says_what_may_follow(messages: list[dict[str, Any]], trouble: str, kind: str) -> None:
    end = over(*messages)

    assert (end.trouble, end.kind) == (trouble, kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("status 401 Unauthorized", "auth"), ("429 Too Many Requests", "limit"), ("stream ended", "lost")],
)
def test_how_codex_fails_says_what_may_follow(text: str, kind: str) -> None:
    assert over({"type": "turn.failed", "error": {"message": text}}, profile=CodexProfile()).kind == kind


def test_claude_is_told_each_message_once_and_the_rest_at_the_end() -> None:
    profile = ClaudeProfile()
    usage = {"input_tokens": 100, "output_tokens": 5, "cache_read_input_tokens": 7}
    message = {"id": "m1", "model": "claude-sonnet-5-5", "content": [], "usage": usage}
    twice = [*profile.read({"type": "assistant", "message": message})]
    twice += [*profile.read({"type": "assistant", "message": message})]
    whole = {"input_tokens": 150, "output_tokens": 40, "cache_read_input_tokens": 7}
    twice += [*profile.read({**RESULT, "usage": whole, "total_cost_usd": 0.5})]
    spent = [meaning.usage for meaning in twice if isinstance(meaning, Spent)]

    assert [one.input_tokens for one in spent] == [100, 50]
    assert sum(one.output_tokens for one in spent) == 40
    assert sum(one.cost_usd for one in spent) == pytest.approx(0.5)


def test_claude_starts_without_what_the_repository_supplies() -> None:
    service = ServiceSpec("api", adapter="headless", profile="claude", command=("claude", "--debug"))
    command = ClaudeProfile().command(service, "abc", is_confined=True)

    assert command[:3] == ["claude", "--debug", "-p"]
    assert "project" not in command
    assert "--strict-mcp-config" in command
    assert command[-2:] == ["--resume", "abc"]


def test_codex_keeps_its_own_sandbox_where_there_is_no_other() -> None:
    service = ServiceSpec("api", adapter="headless", profile="codex")

    assert "workspace-write" in CodexProfile().command(service, "", is_confined=False)
    assert "--dangerously-bypass-approvals-and-sandbox" in CodexProfile().command(service, "", is_confined=True)


def test_a_question_is_answered_in_its_own_words() -> None:
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}}
    (question,) = ClaudeProfile().read({"type": "control_request", "request_id": "r1", "request": request})
    assert isinstance(question, Question)
    allowed, denied = json.loads(question.answer("")), json.loads(question.answer("not here"))

    assert allowed["response"]["response"] == {"behavior": "allow", "updatedInput": {"command": "ls"}}
    assert denied["response"]["response"] == {"behavior": "deny", "message": "not here"}
    assert denied["response"]["request_id"] == "r1"


def test_an_acp_edit_carries_its_diff_and_every_path() -> None:
    update = {
        "sessionUpdate": "tool_call",
        "toolCallId": "t",
        "title": "harmless",
        "kind": "edit",
        "status": "completed",
        "locations": [{"path": "/w/a.py"}],
        "content": [{"type": "diff", "path": "/w/b.py", "oldText": "old", "newText": "new"}],
    }
    started, ended = meanings(update)

    assert isinstance(started, CallStarted)
    assert isinstance(ended, CallEnded)
    assert (started.name, started.target) == ("Edit", "/w/a.py, /w/b.py")
    assert started.diff == "/w/b.py\n- old\n+ new"


_KEYS = st.sampled_from(
    ("message", "content", "usage", "item", "changes", "items", "request", "input", "error", "result", "entries", "id",
     "total_cost_usd", "toolCallId", "locations", "rawInput", "status", "subtype", "text", "type", "session_id")
)  # fmt: skip
_KINDS = st.sampled_from(
    ("system", "assistant", "user", "control_request", "result", "thread.started", "item.started", "item.completed",
     "item.updated", "turn.completed", "turn.failed", "error", "tool_call", "tool_call_update", "plan", "brand_new")
)  # fmt: skip
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=4))


@given(_KINDS, st.dictionaries(_KEYS, _JSON, max_size=6))
def test_no_message_breaks_a_reader(kind: str, fields: dict[str, Any]) -> None:
    for reader in (ClaudeProfile(), CodexProfile()):
        for meaning in reader.read({**fields, "type": kind}):
            assert not isinstance(meaning, Spent) or meaning.usage.cost_usd >= 0
            assert not isinstance(meaning, Session) or isinstance(meaning.name, str)
    for event in meanings({**fields, "sessionUpdate": kind}):
        assert not isinstance(event, Said) or isinstance(event.text, str)
        assert not isinstance(event, Planned) or all(isinstance(text, str) for step in event.steps for text in step)
