"""The end of a run: its work goes onto the operator's branch, or is kept beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.landing import LandTry, keep_unlanded, land, try_land

from .crash_points import CrashPoint, reached

if TYPE_CHECKING:
    from .acts import Hands


class Landing:
    """Lands one run, once its gate passed."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.runner = hands, hands.runner

    @property
    def view(self) -> RunView:
        return self.runner.view

    async def land(self, gate: Gate) -> None:
        """Carry out what a gate passed, if the world is still what was shown there; otherwise the gate is void."""
        hub = await self.hands.hub()
        attempt = await try_land(hub)
        if not attempt.already and (landing_about(attempt) != gate.about or landing_blockers(attempt)):
            reason = "the branch or the checkout moved after the decision"
            await self.runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": reason}))
            return
        try:
            commit = await land(
                hub, attempt, message=f"Land {self.view.run.title}", trailers={"Run-Id": self.view.run.id}
            )
        except WorkspaceError as error:
            await self.runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": str(error)}))
            return
        reached(CrashPoint.AFTER_LANDING_BEFORE_RECORD)
        await self.finish(landed=True, commit=commit, reason="")

    async def keep_unlanded(self, reason: str) -> None:
        """End the run with the work on a branch of its own."""
        hub = await self.hands.hub()
        if (await try_land(hub)).already:  # a landing whose undoing failed too: what is there is there
            await self.finish(landed=True, commit=await hub.integration(), reason="it had landed before the decision")
            return
        await keep_unlanded(hub)
        await self.finish(landed=False, commit=await hub.integration(), reason=reason)

    async def finish(self, *, landed: bool, commit: str, reason: str) -> None:
        """Close the run with what it came to."""
        gate = self.view.latest_gate("landing")
        tasks = self.view.tasks.values()
        if not landed or any(task.status != "done" for task in tasks if task.is_work):
            outcome = "partial"
        elif (gate is not None and gate.failed_checks) or any(found.forced for found in self.view.gates.values()):
            outcome = "with_issues"
        else:
            outcome = "clean"
        data = {"outcome": outcome, "landed": landed, "commit": commit, "reason": reason}
        phase = self.view.phases.get("land")
        is_open = phase is not None and phase.status == "active"
        closing = (Draft("phase.work_done", phase="land"),) if is_open else ()
        await self.runner.record(*closing, Draft("run.completed", data))


def landing_about(attempt: LandTry) -> str:
    """The state of the world a landing was shown for."""
    return f"{attempt.branch} {attempt.user_tip} {attempt.integration} {' '.join(sorted(attempt.dirty))}".strip()


def landing_blockers(attempt: LandTry) -> list[str]:
    """Why the landing cannot be carried out now, each with its next step."""
    out = list(attempt.blockers)
    branch = short_branch(attempt.branch)
    if attempt.commit is None and attempt.paths:
        paths = ", ".join(attempt.paths)
        out.append(f"conflicts with new commits on {branch} in {paths}: reject to keep the work and merge it by hand")
    if attempt.dirty:
        out.append(f"uncommitted changes in {', '.join(attempt.dirty)}: commit or stash them")
    return out


def short_branch(ref: str) -> str:
    return ref.removeprefix("refs/heads/")
