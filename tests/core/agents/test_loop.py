"""The loop: every way a turn can end, every failure of a model, and starting again at any point."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import Desk, Turns, call, handoff, text, turn

from swarm_core.agents.coordination import Handoff, Plan, Stalled, plan_tool
from swarm_core.agents.model import ModelRequest, Turn
from swarm_core.agents.patience import MAX_RETRIES
from swarm_core.agents.transcript import Transcript
from swarm_core.vocabulary.errors import ModelError, ModelFailure
from swarm_core.vocabulary.view import RunView

WRITE = call("w1", "Write", file_path="a.py", content="A = 1\n")


def results_of(message: Any) -> list[dict[str, Any]]:
    assert message["role"] == "user"
    assert all(block["type"] == "tool_result" for block in message["content"]), "nothing beside results"
    return list(message["content"])


def history(desk: Desk) -> list[Any]:
    transcript = Transcript(desk.transcript_path)
    transcript.load()
    return transcript.messages


async def test_an_agent_works_and_hands_off(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcome = await desk.work(turn(text("I write."), WRITE), turn(handoff()))

    assert outcome == Handoff("all of it")
    assert (desk.tree / "a.py").read_text() == "A = 1\n"
    assert desk.kinds() == ["llm.call", "tool.used", "llm.call", "tool.used"]
    llm, tool, *_ = desk.reports
    assert (llm.actor, llm.agent, llm.task) == ("backend-1", "backend-1", "task_001")
    assert llm.data["cost_usd"] == pytest.approx(1000 * 2e-6 + 100 * 10e-6)
    assert tool.data == {"name": "Write", "target": "a.py", "ok": True, "ms": 0}
    log = [json.loads(line) for line in desk.log_path.read_text().splitlines()]
    assert {"tool", "result"} <= {line["kind"] for line in log}


async def test_calls_that_only_read_run_side_by_side_and_others_in_order(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    meeting = asyncio.Barrier(2)
    read = desk.toolbox.call

    async def meet(name: str, arguments: Any, begin: Any = None) -> Any:
        if name == "Read":
            await meeting.wait()
        return await read(name, arguments, begin)

    desk.toolbox.call = meet  # type: ignore[method-assign]
    for name in ("a", "b"):
        (desk.tree / name).write_text(name)
    async with asyncio.timeout(10):
        await desk.work(
            turn(call("r1", "Read", file_path="a"), call("r2", "Read", file_path="b")),
            turn(call("b1", "Bash", command="first"), WRITE, call("b2", "Bash", command="last")),
            turn(handoff()),
        )

    assert desk.toolbox.made[2:] == ["Bash first", "Write a.py", "Bash last"]
    blocks = results_of(history(desk)[2])
    assert [(block["tool_use_id"], block["content"]) for block in blocks] == [("r1", "a"), ("r2", "b")]


async def test_what_goes_wrong_in_a_tool_is_told_to_the_model(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.work(
        turn(
            call("u", "Teleport", where="home"),
            call("d", "Write", file_path="../x", content=""),
            call("e", "Read", file_path="missing"),
            call("c", "Bash", command="break"),
            call("k", "Read"),
        ),
        turn(handoff()),
    )

    unknown, denied, missing, broken, lacking = results_of(history(desk)[2])
    assert all(block["is_error"] for block in (unknown, denied, missing, broken, lacking))
    assert "there is no tool Teleport" in unknown["content"]
    assert "nobody expected this" in broken["content"]
    denial = next(draft for draft in desk.reports if draft.kind == "policy.denied")
    assert denial.data == {
        "tool": "Write",
        "target": "../x",
        "rule": "scope",
        "message": "../x is outside your directories",
    }
    assert [draft.data["ok"] for draft in desk.reports if draft.kind == "tool.used"] == [False] * 4 + [True]


async def test_an_agent_cannot_hand_off_over_a_failure_it_has_not_seen(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcome = await desk.work(
        turn(handoff("h1", "everything works"), call("e", "Read", file_path="missing")),
        turn(handoff("h2", "one file is missing")),
    )

    assert outcome == Handoff("one file is missing")
    refused, _ = results_of(history(desk)[2])
    assert refused["is_error"]


async def test_an_invalid_plan_goes_back_and_a_valid_one_ends_the_work(tmp_path: Path) -> None:
    desk = Desk(tmp_path, instance="architect-1")
    task = {"key": "api", "title": "Build", "description": "…", "assigned_to": "nobody"}
    outcome = await desk.work(
        turn(call("p1", "plan_tasks", tasks=[task])),
        turn(call("p2", "plan_tasks", tasks=[{**task, "assigned_to": "backend"}])),
        ending=plan_tool(["backend"]),
    )

    assert isinstance(outcome, Plan)
    assert outcome.tasks[0].assigned_to == "backend"
    assert "backend" in results_of(history(desk)[2])[0]["content"], "the error names who there is"


async def test_a_turn_without_a_call_is_reminded_twice_and_then_stalls(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcome = await desk.work(turn(text("Shall I?")), turn(text("So?")), turn(text("Well.")))

    assert isinstance(outcome, Stalled)
    assert "3 times" in outcome.reason
    assert [message["role"] for message in history(desk)] == ["user", "assistant"] * 3


async def test_work_in_between_renews_the_reminders(tmp_path: Path) -> None:
    talk = turn(text("Done?"))
    outcome = await Desk(tmp_path).work(talk, talk, turn(WRITE), talk, talk, turn(handoff()))

    assert outcome == Handoff("all of it")


async def test_half_a_call_is_not_run_and_nothing_follows_its_error(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.work(turn(WRITE, stop="max_tokens"), turn(handoff()))

    assert desk.toolbox.made == []
    assert results_of(history(desk)[2])[0]["is_error"]
    assert history(desk)[3]["role"] == "assistant"


async def test_a_pause_of_the_model_is_sent_back_unchanged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    searching = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    model = Turns(turn(searching, stop="pause_turn"), turn(handoff()))
    await desk.loop(model).run("iteration: 1\n\nwork")

    assert model.requests[1].messages[-1] == {"role": "assistant", "content": [searching]}


@pytest.mark.parametrize("stop", ["refusal", "model_context_window_exceeded"])
async def test_a_model_that_will_not_go_on_stalls_and_a_new_round_can_begin(tmp_path: Path, stop: str) -> None:
    desk = Desk(tmp_path)
    outcome = await desk.work(turn(text("I"), WRITE, stop=stop))
    assert isinstance(outcome, Stalled)
    again = await desk.work(iteration=1)
    assert again == outcome, "asking again without a new round does not call the model"

    assert await desk.work(turn(handoff()), iteration=2) == Handoff("all of it")
    assert desk.toolbox.made == []
    shown = [
        block["type"] for message in history(desk) if message["role"] == "assistant" for block in message["content"]
    ]
    assert shown == (["tool_use"] if stop == "refusal" else ["text", "tool_use", "tool_use"])


async def test_a_later_round_keeps_the_history_and_starts_with_the_note(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.work(turn(handoff("h1")))
    before = history(desk)
    await desk.work(turn(handoff("h2")), iteration=2)

    assert history(desk)[: len(before)] == before
    assert history(desk)[len(before)] == {"role": "user", "content": "iteration: 2\n\nagain"}


async def test_an_instance_without_history_starts_a_later_round_with_the_whole_story(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.work(turn(handoff()), iteration=3)

    assert history(desk)[0] == {"role": "user", "content": "iteration: 3\n\nwork"}


async def test_the_turns_of_a_round_are_limited(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    endless = [turn(call(f"b{number}", "Bash", command=str(number))) for number in range(9)]
    outcome = await desk.work(*endless, max_turns=4)

    assert isinstance(outcome, Stalled)
    assert len(desk.toolbox.made) == 4, "the calls of the last turn still run"


async def test_no_stream_is_left_open_whether_it_ended_well_or_not(tmp_path: Path) -> None:
    class Kept(Turns):
        def __init__(self, *events: Any) -> None:
            super().__init__(*events)
            self.streams: list[Any] = []

        def stream(self, request: ModelRequest) -> Any:
            self.streams.append(super().stream(request))
            return self.streams[-1]

    model = Kept(failing(ModelFailure.TRANSPORT), turn(handoff()))
    await Desk(tmp_path).loop(model).run("iteration: 1\n\nwork")

    assert [stream.ag_frame for stream in model.streams] == [None, None]


def failing(kind: ModelFailure, wait_s: float | None = None) -> ModelError:
    return ModelError("no luck", kind=kind, wait_s=wait_s)


async def test_a_limit_is_waited_out_as_often_as_it_comes_and_shows_as_waiting(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    limits = [failing(ModelFailure.LIMIT, 30.0), failing(ModelFailure.LIMIT, 0.0)]
    await desk.work(*limits, *[failing(ModelFailure.LIMIT)] * 9, turn(handoff()))

    waits = [draft.data["wait_s"] for draft in desk.reports if draft.kind == "llm.retry"]
    assert len(waits) == 11
    assert 30 <= waits[0] <= 33
    assert waits[1] == 0
    assert all(wait <= 60 for wait in waits[2:])
    assert waits[-1] > 40, "the waits grow to their cap"
    assert desk.kinds()[:3] == ["llm.retry", "agent.waiting", "agent.busy"]
    assert desk.reports[1].data["until"].startswith("2026-11-21T03:04:3")
    assert desk.kinds()[3:5] == ["llm.retry", "llm.retry"], "a short wait is not shown"


async def test_the_waiting_that_is_reported_fits_the_state_machine(tmp_path: Path) -> None:
    from swarm_core.vocabulary.events import Draft, Event

    desk = Desk(tmp_path)
    await desk.work(failing(ModelFailure.LIMIT, 9.0), turn(handoff()))
    made = [
        Draft("run.created", {"title": "T", "goal": "G"}),
        Draft("run.started", {"base": "b", "base_ref": "r"}),
        Draft("task.created", {"title": "one", "assigned_to": "backend"}, task="task_001"),
        Draft("agent.starting", {"service": "backend"}, agent="backend-1"),
        Draft("agent.ready", agent="backend-1"),
        Draft("agent.busy", agent="backend-1", task="task_001"),
    ]
    view = RunView()
    for seq, draft in enumerate([*made, *desk.reports], start=1):
        view.apply(
            Event(seq, desk.clock.now(), "r", draft.kind, draft.data, draft.actor, task=draft.task, agent=draft.agent)
        )

    assert view.instances["backend-1"].status == "busy"
    assert view.instances["backend-1"].usage.calls == 1


@pytest.mark.parametrize(
    "kind", [ModelFailure.OVERLOAD, ModelFailure.TRANSPORT, ModelFailure.TRUNCATED, ModelFailure.SILENT]
)
async def test_what_may_pass_is_tried_three_more_times(tmp_path: Path, kind: ModelFailure) -> None:
    desk = Desk(tmp_path / "a")
    assert await desk.work(*[failing(kind)] * MAX_RETRIES, turn(handoff())) == Handoff("all of it")
    first, second, third = desk.clock.slept
    assert 0.75 <= first <= 1 < second <= 2 < third <= 4

    with pytest.raises(ModelError) as caught:
        await Desk(tmp_path / "b").work(*[failing(kind)] * (MAX_RETRIES + 1), turn(handoff()))
    assert caught.value.kind is kind


@pytest.mark.parametrize("kind", [ModelFailure.AUTH, ModelFailure.REQUEST, ModelFailure.SPEND])
async def test_what_cannot_pass_ends_at_once(tmp_path: Path, kind: ModelFailure) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(ModelError):
        await desk.work(failing(kind), turn(handoff()))

    assert desk.clock.slept == []
    assert desk.kinds() == []


def session() -> list[Turn]:
    return [
        turn({"type": "thinking", "thinking": "…", "signature": "c2ln"}, text("Two files."), WRITE),
        turn(call("r1", "Read", file_path="a.py"), call("r2", "Read", file_path="missing")),
        turn(text("Hm.")),
        turn(call("b1", "Bash", command="one"), call("b2", "Bash", command="two"), call("b3", "Bash", command="three")),
        turn(WRITE | {"id": "w2"}, stop="max_tokens"),
        turn(handoff("h1"), call("e1", "Read", file_path="missing")),
        turn(handoff("h2", "nearly all")),
    ]


async def test_starting_again_at_any_point_gives_the_same_history_and_repeats_no_finished_call(tmp_path: Path) -> None:
    whole = Desk(tmp_path / "whole")
    outcome = await whole.work(*session())
    raw = whole.transcript_path.read_bytes()
    lines = raw.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    torn = [start + 9 for start in starts[:-1]] + [start - 1 for start in starts[1:]]

    for cut in sorted({*starts, *torn}):
        desk = Desk(tmp_path / str(cut))
        desk.toolbox.repeatable.add("Bash")
        desk.transcript_path.write_bytes(raw[:cut])
        kept = [json.loads(line) for line in raw[:cut].split(b"\n")[:-1]]
        (desk.tree / "a.py").write_text("A = 1\n")
        turns_kept = sum(line["line"] == "assistant" for line in kept)

        assert await desk.work(*session()[turns_kept:]) == outcome
        assert history(desk) == history(whole)
        made = len(desk.toolbox.made)
        finished = sum(
            line["line"] == "tool_result" and line["tool_use_id"] in {"w1", "r1", "r2", "b1", "b2", "b3", "e1"}
            for line in kept
        )
        assert made == len(whole.toolbox.made) - finished


async def test_an_agent_cancelled_in_a_command_is_told_so_and_goes_on_there(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    reached, call_ = asyncio.Event(), desk.toolbox.call

    async def hang(name: str, arguments: Any, begin: Any = None) -> Any:
        if arguments.get("command") == "two":
            await begin()
            reached.set()
            await asyncio.Event().wait()
        return await call_(name, arguments, begin)

    desk.toolbox.call = hang  # type: ignore[method-assign]
    two = turn(call("b1", "Bash", command="one"), call("b2", "Bash", command="two"))
    working = asyncio.create_task(desk.work(two))
    async with asyncio.timeout(10):
        await reached.wait()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    desk.toolbox.call = call_  # type: ignore[method-assign]
    assert await desk.work(turn(handoff())) == Handoff("all of it")
    assert desk.toolbox.made == ["Bash one"]
    first, second = results_of(history(desk)[2])
    assert "is_error" not in first
    assert second["is_error"], "nobody knows what it did"
    assert "interrupted" in second["content"]


async def test_two_agents_side_by_side_share_nothing(tmp_path: Path) -> None:
    one, two = Desk(tmp_path, instance="backend-1"), Desk(tmp_path, instance="frontend-1")
    await asyncio.gather(
        one.work(turn(call("a", "Write", file_path="x", content="one")), turn(handoff())),
        two.work(turn(call("a", "Write", file_path="x", content="two")), turn(handoff())),
    )

    assert ((one.tree / "x").read_text(), (two.tree / "x").read_text()) == ("one", "two")
    assert {draft.agent for draft in one.reports} == {"backend-1"}
    assert history(one) != history(two)


async def test_a_flood_and_broken_text_from_a_tool_stay_sendable(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.work(turn(call("b", "Bash", command="\ud800" + "x" * 100_000)), turn(handoff()))

    content = results_of(history(desk)[2])[0]["content"]
    assert len(content) < 10_000
    assert "ask for less" in content
    content.encode()


async def test_an_unpriced_model_counts_as_nothing_and_the_log_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.work(turn(handoff(), model="tomorrow-1"))

    assert desk.reports[0].data["cost_usd"] == 0
    assert "no price is known for tomorrow-1" in desk.log_path.read_text()


async def test_an_agent_held_by_the_operator_goes_on_with_the_same_history_and_its_time_stands_still(
    tmp_path: Path,
) -> None:
    desk, model = (
        Desk(tmp_path),
        Turns(turn(text("First."), WRITE), turn(call("b", "Bash", command="x")), turn(handoff())),
    )
    go, held, inside = asyncio.Event(), asyncio.Event(), []

    class Excuse:
        def __enter__(self) -> None:
            inside.append("in")

        def __exit__(self, *exc: object) -> None:
            inside.append("out")

    async def clearance() -> None:
        if desk.toolbox.made == ["Write a.py"]:
            held.set()
            await go.wait()

    loop = desk.loop(model, clearance=clearance, excused=Excuse)
    working = asyncio.create_task(loop.run("iteration: 1\n\nwork"))
    async with asyncio.timeout(10):
        await held.wait()
    assert inside[-1] == "in"
    before = history(desk)
    assert len(model.requests) == 1, "nothing is asked while it is held"
    go.set()

    assert await working == Handoff("all of it")
    assert history(desk)[: len(before)] == before
    assert model.requests[1].messages[: len(before)] == before
    assert inside.count("in") == inside.count("out")


async def test_an_edit_begun_before_a_crash_is_made_again_only_if_its_file_is_untouched(tmp_path: Path) -> None:
    for mark, made in (("same", ["Bash two"]), ("other", [])):
        desk = Desk(tmp_path / mark)
        transcript = Transcript(desk.transcript_path)
        transcript.load()
        transcript.open_iteration(1, "iteration: 1\n\nwork")
        transcript.add_turn(turn(call("b", "Bash", command="two")))
        transcript.add_begun("b", "same")
        transcript.close()
        desk.toolbox.marks["Bash"] = mark

        assert await desk.work(turn(handoff())) == Handoff("all of it")
        assert desk.toolbox.made == made
        assert ("interrupted" in results_of(history(desk)[2])[0]["content"]) == (not made)


async def test_a_turn_whose_cost_was_not_told_before_a_crash_is_told_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    transcript = Transcript(desk.transcript_path)
    transcript.load()
    transcript.open_iteration(1, "iteration: 1\n\nwork")
    transcript.add_turn(turn(WRITE))
    transcript.close()
    await desk.work(turn(handoff()))
    assert desk.kinds() == ["llm.call", "tool.used", "llm.call", "tool.used"]

    await desk.work(turn(handoff("h2")), iteration=2)
    assert desk.kinds().count("llm.call") == 3


async def test_a_long_tool_call_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_core.agents.calls.BEAT_S", 0.005)
    desk, beats = Desk(tmp_path), [0]
    enough, run = asyncio.Event(), desk.toolbox.call

    def beat() -> None:
        beats[0] += 1
        if beats[0] > 20:
            enough.set()

    async def slow(name: str, arguments: Any, begin: Any = None) -> Any:
        beats[0] = 0
        async with asyncio.timeout(10):
            await enough.wait()
        return await run(name, arguments, begin)

    desk.toolbox.call = slow  # type: ignore[method-assign]
    assert await desk.loop(Turns(turn(WRITE), turn(handoff())), beat=beat).run("iteration: 1\n\nwork")
    assert not [task for task in asyncio.all_tasks() if "pulse" in task.get_name() and not task.cancelling()]
