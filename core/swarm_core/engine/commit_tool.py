"""The ``commit`` tool: what an agent is told of it, and what it is told of a commit that was made."""

from __future__ import annotations

from swarm_core.tools.base import ToolDefinition, ToolResult
from swarm_core.workspace.facts import Commit

COMMIT = ToolDefinition(
    name="commit",
    description=(
        "Commit all your changes in your directories on your branch. Commit each finished thought with a message "
        "that says what and why. Git itself is not available to you for writing."
    ),
    input_schema={
        "type": "object",
        "properties": {"message": {"type": "string", "description": "One summary line, then the reasons."}},
        "required": ["message"],
        "additionalProperties": False,
    },
)


def told(commit: Commit, notes: str) -> ToolResult:
    """What the agent reads; ``notes`` of what its commit did besides come last."""
    left_out = "; ".join(f"{skip.path}: {skip.reason}" for skip in commit.skipped)
    skipped = f" Left out: {left_out}." if left_out else ""
    return ToolResult(
        f"Committed {commit.oid[:12]}: {commit.stat.files} files, "
        f"+{commit.stat.insertions} -{commit.stat.deletions}.{skipped}{notes}",
        target=commit.message.splitlines()[0],
        touched=tuple(commit.paths),
    )
