"""What is heard of a foreign agent is shown clean and journaled in bounds, and nothing that was spent is lost."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.agents import SteppingClock

from swarm_core.agents.adapters.base import Asked, CallEnded, CallStarted, Noted, Planned, Said, Spent
from swarm_core.agents.adapters.scribe import MAX_FACTS, MAX_NOTES, Scribe
from swarm_core.agents.log import AgentLog
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.events import Draft


class Paper:
    def __init__(self, tmp_path: Path) -> None:
        self.clock, self.path, self.drafts = SteppingClock(), tmp_path / "log", list[Draft]()
        self.scribe = Scribe(AgentLog(self.path, self.clock), self._report, self.clock)

    async def _report(self, draft: Draft) -> None:
        self.drafts.append(draft)

    def lines(self) -> list[str]:
        return [f"{line['kind']}: {line['text']}" for line in map(json.loads, self.path.read_text().splitlines())]


async def test_a_call_is_one_fact_with_what_it_was_about_and_how_long_it_took(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    await paper.scribe.hear(CallStarted("1", "Edit", "api/a.py", "- old\n+ new"))
    await paper.clock.sleep(1.5)
    await paper.scribe.hear(CallEnded("1", True, "done"))

    assert [(draft.kind, draft.data) for draft in paper.drafts] == [
        ("tool.used", {"name": "Edit", "target": "api/a.py", "ok": True, "ms": 1500})
    ]
    assert paper.lines() == ["tool: Edit api/a.py", "note: - old", "note: + new", "result: done"]


async def test_a_refusal_of_the_operating_system_and_of_the_rules_are_denials(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    await paper.scribe.hear(CallStarted("1", "Bash", "touch /x"))
    await paper.scribe.hear(CallEnded("1", False, "touch: cannot touch '/x': Permission denied"))
    await paper.scribe.hear(Asked("Write", "web/a", PermissionDenied("not yours", rule="directories", target="web/a")))

    assert [(draft.kind, draft.data["rule"], draft.data["target"]) for draft in paper.drafts] == [
        ("policy.denied", "confined", "touch /x"),
        ("policy.denied", "directories", "web/a"),
    ]


async def test_what_is_spent_quickly_is_told_in_few_facts_and_adds_up(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    for _ in range(1000):
        await paper.scribe.hear(Spent(Usage(3, 2, cost_usd=0.001), "m"))
    await paper.scribe.close()

    assert len(paper.drafts) == 2
    assert sum(draft.data["input_tokens"] for draft in paper.drafts) == 3000
    assert round(sum(draft.data["cost_usd"] for draft in paper.drafts), 6) == 1.0


async def test_an_agent_without_end_fills_neither_the_journal_nor_the_log_with_facts(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    for number in range(MAX_FACTS + 50):
        await paper.scribe.hear(CallEnded(str(number), True, name="x"))
    for _ in range(MAX_NOTES + 50):
        await paper.scribe.hear(Noted("junk"))

    assert len(paper.drafts) == MAX_FACTS
    assert sum(line == "note: junk" for line in paper.lines()) == MAX_NOTES


async def test_text_that_paints_is_shown_as_what_it_is(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    await paper.scribe.hear(Said("\x1b]0;mine\x07\n"))
    await paper.scribe.hear(CallStarted("1", "\x1b[2J", "a\x1bb"))
    await paper.scribe.hear(CallEnded("1", True))
    await paper.scribe.hear(Planned([("completed", "\x1b[31mred")]))

    assert "\x1b" not in paper.path.read_text()
    assert "\\u001b" not in paper.path.read_text()
    assert all("\x1b" not in str(value) for draft in paper.drafts for value in draft.data.values())
