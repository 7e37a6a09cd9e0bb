"""An operator reads what steers a real run and answers it by keyboard: nothing but the room is needed to land it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import wait_until
from tests.support.steered import carried_out, repository, stop
from tests.support.terminal import Terminal

pytestmark = pytest.mark.timeout(180)
WHY = "the greeting is meant to be German"


def test_what_blocks_is_waived_what_is_asked_answered_what_was_found_accepted_and_the_work_lands(
    tmp_path: Path,
) -> None:
    client, run = carried_out(repository(tmp_path / "steered"))
    terminal = Terminal(["attach"], client.layout.root)
    terminal.wait_for("v shows 4 findings · 2 block landing · 1 question")
    terminal.press("n")
    terminal.wait_for("v shows which rule blocks", "neither a nor f passes this gate")

    terminal.press("v")
    terminal.wait_for("▸4 Decisions (2)", "■ blocks", "nothing lands until this is mended")
    for left in (1, 0):
        terminal.press("g", "w")
        terminal.wait_for("Enter waives it")
        terminal.press(*WHY, "enter")
        wait_until("a waived rule", lambda left=left: len(client.view(run).open_firings) == left)  # type: ignore[misc]
        terminal.wait_for(": accepted", f"{2 - left} waived")

    terminal.press("3")
    terminal.wait_for("May a dispatcher see customers' phone numbers?", "only on the day of the collection")
    terminal.press("a")
    terminal.wait_for("Your answer to OQ-BUILD-001")
    terminal.press(*"only on the day", "enter")
    terminal.wait_for("✓ answered", "answer OQ-BUILD-001: accepted")

    terminal.press("2")
    terminal.wait_for("W-M-", "tests fails on the merged work", "nobody owns its place: c accepts it")
    terminal.press("c")
    terminal.wait_for("Enter closes it as accepted")
    terminal.press(*"it is the same", "enter")
    terminal.wait_for("accept W-M-", ": accepted")
    wait_until("the finding's end", lambda: len(client.view(run).index.open_findings) == 1)

    terminal.press("1", "j", "enter")
    terminal.wait_for("as shown at gate_004", "+Customer: {id: integer")

    terminal.press("esc", "esc")
    terminal.wait_for("landing gate · open", "FAILED: tests")
    view = client.view(run)
    assert view.latest_gate("landing") is not None
    terminal.watch(0.7)  # the keys that decide are dead for half a second
    terminal.press("a")
    wait_until("the landing", lambda: client.view(run).is_over)
    terminal.press("q")
    terminal.wait_for_end()

    view = client.view(run)
    assert (view.run.landed, view.run.outcome) == (True, "with_issues")
    assert {firing.settled for firing in view.firings.values()} == {f"waived by the operator: {WHY}"}
    assert view.questions["OQ-BUILD-001"]["answer"] == "only on the day"
    accepted = [one for one in view.findings.values() if one.id.startswith("W-M-")]
    assert [(one.status, one.resolution, one.reason) for one in accepted] == [("closed", "accepted", "it is the same")]
    fixed = view.findings["W-003-1"]
    assert (fixed.resolution, fixed.commit) == ("verified", view.merges[fixed.task].merged_as)
    stop(client)
