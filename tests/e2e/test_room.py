"""An operator at a real terminal: keys typed, screens read, a rejected gate that comes back, a landed branch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support.cli import git, wait_until
from tests.support.terminal import Terminal

from swarm_core.client import SwarmClient
from swarm_core.demo.repository import create
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

pytestmark = pytest.mark.timeout(240)
GOAL = "Build EcoRoute"
READING_S = 0.8
IN_THE_ROOM = "Enter open"


def stop(client: SwarmClient) -> None:
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)


def heading(gate: Gate) -> str:
    return f"{'+'.join((gate.place, *gate.aspects))} gate"


def decide(terminal: Terminal, client: SwarmClient, place: str, key: str, comment: str = "") -> None:
    """Open the next gate, read it for longer than its keys are dead, decide, and wait for the engine's word."""
    run = client.runs()[-1]
    gate = wait_until(
        f"a {place} gate", lambda: next((g for g in client.view(run).open_gates if g.place == place), None)
    )
    terminal.wait_for("waiting for you")
    terminal.press("n")
    terminal.wait_for(gate.id, heading(gate))
    terminal.watch(READING_S)
    terminal.press(key)
    if comment:
        terminal.wait_for("Say what shall change")
        terminal.type(comment)
        terminal.press("enter")
    terminal.wait_for("accepted #")
    terminal.press("esc")
    terminal.wait_for(IN_THE_ROOM)


def approve_next(terminal: Terminal, client: SwarmClient) -> str:
    """Approve the gate that the room opens next, whichever it is; returns its place."""
    run = client.runs()[-1]
    wait_until("a gate", lambda: client.view(run).open_gates)
    terminal.wait_for("waiting for you")
    terminal.press("n")
    terminal.wait_for("gate · open · asked by")
    gates = client.view(run).gates.values()
    gate = next(g for g in gates if g.id in terminal.text and heading(g) in terminal.text)
    terminal.watch(READING_S)
    terminal.press("a")
    terminal.wait_for("accepted #")
    terminal.press("esc")
    terminal.wait_for(IN_THE_ROOM)
    wait_until("the decision", lambda: client.view(run).gates[gate.id].status != "open")
    return gate.place


def test_an_operator_rejects_approves_and_lands_by_keyboard(tmp_path: Path) -> None:
    root = create(tmp_path / "ecoroute")
    client = SwarmClient(root)
    before = git(root, "rev-parse", "main")
    terminal = Terminal(["run", GOAL, "--speed", "0"], root)
    terminal.wait_for("architect-1", "Gates")
    decide(terminal, client, "plan", "a")
    terminal.wait_for("database-1")
    terminal.press("b", "]")  # to an agent's pane, and read what it did
    terminal.wait_for("▸")
    decide(terminal, client, "merge", "a")
    run = client.runs()[-1]
    decide(terminal, client, "merge", "x", "Tokens must expire after 15 minutes, not 60")
    backend = "task_002"
    wait_until("the task's second round", lambda: client.view(run).tasks[backend].iteration == 2)
    decide(terminal, client, "merge", "a")
    # what the architect makes of a rule that fired, the dashboard, the tests and the migration, as they come
    assert sorted(approve_next(terminal, client) for _ in range(4)) == ["merge", "merge", "merge", "plan"]
    assert git(root, "rev-parse", "main") == before
    decide(terminal, client, "landing", "a")
    terminal.wait_for("landed")
    terminal.press("q")
    assert terminal.wait_for_end() == 0

    assert git(root, "rev-parse", "main") != before
    assert "TOKEN_MINUTES = 15" in (root / "backend" / "auth.py").read_text()
    assert client.view(run).tasks[backend].notes == ("Tokens must expire after 15 minutes, not 60",)
    stop(client)


def test_a_closed_terminal_stops_nothing_and_attach_comes_back(tmp_path: Path) -> None:
    root = create(tmp_path / "ecoroute")
    client = SwarmClient(root)
    first = Terminal(["run", GOAL, "--speed", "0"], root)
    first.wait_for("architect-1", "Gates")
    decide(first, client, "plan", "a")
    first.hang_up()
    run = client.runs()[-1]
    pid = client.engine().pid
    wait_until("work going on without a terminal", lambda: client.view(run).open_gates)

    again = Terminal(["attach"], root)
    again.wait_for("waiting for you", "database-1")
    assert client.engine().pid == pid
    decide(again, client, "merge", "a")
    again.press("q")
    assert again.wait_for_end() == 0
    assert client.engine().is_alive
    stop(client)


def _is_held(client: SwarmClient, run: str, pause: str) -> bool:
    return client.view(run).run.pause == pause


def test_an_operator_pauses_halts_and_rolls_back_by_keyboard(tmp_path: Path) -> None:
    root = create(tmp_path / "ecoroute")
    client = SwarmClient(root)
    terminal = Terminal(["run", GOAL, "--speed", "0"], root)
    terminal.wait_for("architect-1", "Gates")
    decide(terminal, client, "plan", "a")
    run = client.runs()[-1]
    for key, pause, word in (("p", "pause", "‖ paused"), ("r", "", ""), ("H", "halt", "■ halted"), ("r", "", "")):
        terminal.press(key)
        wait_until(f"{pause or 'going on'} by {key}", partial(_is_held, client, run, pause))
        terminal.wait_for(word)  # the room has to know of it before the next key means anything
    decide(terminal, client, "merge", "a")
    wait_until("the second merge gate", lambda: client.view(run).open_gates)
    terminal.press("w", "G", "R")
    terminal.wait_for("Roll back")
    terminal.press("y")
    wait_until("the rollback's end", lambda: "recovery.completed" in client.layout.run(run).journal.read_text())
    assert client.view(run).tasks["task_001"].status != "done"
    terminal.press("q")
    terminal.wait_for_end()
    stop(client)


def test_nothing_an_agent_wrote_reaches_the_terminal_as_a_control_sequence(tmp_path: Path) -> None:
    """The goal itself tries: it is shown in the header, the board and the plan gate."""
    root = create(tmp_path / "ecoroute")
    client = SwarmClient(root)
    terminal = Terminal(["run", "evil \x1b]0;PWNED\x07 [@click=app.leave]goal[/]", "--speed", "0"], root)
    terminal.wait_for("evil", "Gates")
    decide(terminal, client, "plan", "a")
    terminal.press("q")
    terminal.wait_for_end()

    assert b"\x1b]0;PWNED" not in terminal.raw
    stop(client)
