"""What an agent's transcript was when its worktree stood where a restored one stands.

A restored worktree has the files of the agent's last commit and nothing after it. A conversation that remembers more
than the files hold would end in work that is missing, so it is cut at the same place: after the last commit, plus the
turns since then that only looked at things.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swarm_core.agents.coordination import HANDOFF, PLAN_TASKS
from swarm_core.agents.replanning import CHANGE_PLAN, REQUEST_TASKS
from swarm_core.tools.toolbox import READ_ONLY

from .history import Work

_HARMLESS = READ_ONLY | {HANDOFF, PLAN_TASKS, CHANGE_PLAN, REQUEST_TASKS}
Line = Mapping[str, Any]


def rewound(raw: bytes, work: Work) -> bytes:
    """The transcript's lines that belong to ``work``, byte for byte; a torn or foreign line ends it."""
    texts, parsed = _read(raw)
    end = _opened(parsed, lambda iteration: iteration > work.iteration, len(parsed))
    begin = _opened(parsed, lambda iteration: iteration == work.iteration, end)
    if not work.is_settled and begin < end:
        position = _after_commit(parsed[:end], begin, work) if work.commit else begin + 1
        calls = work.calls - (work.commit_calls if work.commit else work.opened_calls)
        end = _extended(parsed[:end], position, calls)
        if end == begin + 1:
            end = begin  # nothing was said yet: the round is opened again, with the paths of its new place
    return b"".join(text + b"\n" for text in texts[:end])


def _read(raw: bytes) -> tuple[list[bytes], list[Line]]:
    """The whole lines as they are and as what they say, up to the first that says nothing."""
    texts: list[bytes] = []
    parsed: list[Line] = []
    for text in raw.split(b"\n")[:-1]:
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        texts.append(text)
        parsed.append(line)
    return texts, parsed


def _opened(parsed: Sequence[Line], fits: Callable[[Any], bool], default: int) -> int:
    for index, line in enumerate(parsed[:default]):
        if line.get("line") == "opened" and fits(line.get("iteration")):
            return index
    return default


def _calls(line: Line) -> dict[str, str]:
    """The tool calls of a turn, name by id."""
    content = line.get("content")
    blocks = content if isinstance(content, list) else []
    return {str(b.get("id")): str(b.get("name")) for b in blocks if isinstance(b, dict) and b.get("type") == "tool_use"}


def _after_commit(parsed: Sequence[Line], begin: int, work: Work) -> int:
    """The index after the result that tells of the last commit."""
    said = f"Committed {work.commit[:12]}"
    for index in range(begin, len(parsed)):
        if parsed[index].get("line") == "tool_result" and str(parsed[index].get("text", "")).startswith(said):
            return index + 1
    # A commit that was adopted after a crash, or made at the handoff: the turn it happened in is found by counting.
    left = work.commit_calls - work.opened_calls
    names: dict[str, str] = {}
    for index in range(begin + 1, len(parsed)):
        line = parsed[index]
        if line.get("line") == "assistant":
            if left == 0:
                return index
            left, names = left - 1, _calls(line)
        elif line.get("line") == "tool_result" and left == 0 and names.get(str(line.get("tool_use_id"))) == "commit":
            return index + 1
    return len(parsed)


def _extended(parsed: Sequence[Line], position: int, calls: int) -> int:
    """Go on from ``position`` for at most ``calls`` turns, while they change nothing in the tree."""
    names: dict[str, str] = {}
    for line in parsed[:position]:
        if line.get("line") == "assistant":
            names = _calls(line)
    for index in range(position, len(parsed)):
        line = parsed[index]
        if line.get("line") == "assistant":
            names = _calls(line)
            if calls == 0 or not _HARMLESS.issuperset(names.values()):
                return index
            calls -= 1
        elif line.get("line") == "tool_result" and names.get(str(line.get("tool_use_id"))) not in _HARMLESS:
            return index
    return len(parsed)
