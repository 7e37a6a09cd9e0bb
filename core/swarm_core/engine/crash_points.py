"""Named places between an effect and its record, where a test can kill the engine.

``SWARM_CRASH_AT=after_merge_before_record:2`` ends the process with SIGKILL the second time it gets there. Without the
variable ``reached`` costs one comparison. A new place without a resume test fails: the test goes over the enum.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum

VARIABLE = "SWARM_CRASH_AT"


class CrashPoint(StrEnum):
    """Where the engine can be made to die."""

    BEFORE_APPEND = "before_append"
    AFTER_APPEND_BEFORE_APPLY = "after_append_before_apply"
    AFTER_HUB_BEFORE_RECORD = "after_hub_before_record"
    BEFORE_WORKTREE = "before_worktree"
    AFTER_WORKTREE_BEFORE_RECORD = "after_worktree_before_record"
    AFTER_COMMIT_BEFORE_RECORD = "after_commit_before_record"
    AFTER_HANDOFF_BEFORE_RECORD = "after_handoff_before_record"
    AFTER_DOCUMENT_BEFORE_RECORD = "after_document_before_record"
    AFTER_DECISION_BEFORE_ARCHIVE = "after_decision_before_archive"
    AFTER_MERGE_BEFORE_RECORD = "after_merge_before_record"
    AFTER_RECEIPT_BEFORE_RECORD = "after_receipt_before_record"
    AFTER_ROLLBACK_BEFORE_RECORD = "after_rollback_before_record"
    AFTER_REMOVAL_BEFORE_RECORD = "after_removal_before_record"
    AFTER_LANDING_BEFORE_RECORD = "after_landing_before_record"


_name, _, _count = os.environ.get(VARIABLE, "").partition(":")
_left = {_name: int(_count or "1")} if _name else {}


def reached(point: CrashPoint) -> None:
    """Die here if this place was chosen and it is the chosen time."""
    if point not in _left:
        return
    _left[point] -= 1
    if _left[point] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def disarm() -> None:
    """Nobody dies here any more: the process that was to die has."""
    _left.clear()
