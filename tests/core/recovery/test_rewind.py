"""A conversation is cut where its worktree is: after the last commit, plus what only looked."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.runs import encoded, opened, result, turn

from swarm_core.recovery.history import Work
from swarm_core.recovery.rewind import rewound

OID = "c0ffee" * 6 + "c0ff"
SAID = f"Committed {OID[:12]}: 1 files, +1 -0."
LOOK = [turn(("r", "Read")), result("r")]
WRITE = [turn(("w", "Write")), result("w")]
COMMIT = [turn(("c", "commit")), result("c", SAID)]
ADOPTED = "ad0" * 13 + "a"
MIXED = turn(("w", "Write"), ("c", "commit"), ("v", "Write"))
NOTHING = [turn(("c", "commit")), result("c", "Nothing")]
ROUND = [opened(1), *WRITE, *COMMIT]
HANDOFF = [turn(("h", "handoff")), result("h")]


@pytest.mark.parametrize(
    ("lines", "work", "kept"),
    [
        pytest.param([opened(1), *WRITE, *WRITE], Work(1, 2), 0, id="without a commit it begins anew"),
        pytest.param([opened(1), *LOOK, *WRITE], Work(1, 2), 3, id="what only looked is kept"),
        pytest.param([opened(1), *LOOK, *LOOK], Work(1, 1), 3, id="turns the journal does not know are not"),
        pytest.param([opened(1), *WRITE, *COMMIT, *WRITE], Work(1, 3, 0, OID, 2), 5, id="after the last commit"),
        pytest.param([opened(1), *WRITE, *COMMIT, *LOOK, *WRITE], Work(1, 4, 0, OID, 2), 7, id="and looks after it"),
        pytest.param(
            [opened(1), MIXED, result("w"), result("c", SAID), result("v")],
            Work(1, 1, 0, OID, 1),
            4,
            id="in the middle of a turn",
        ),
        pytest.param([opened(1), *WRITE, *HANDOFF, opened(2), *WRITE], Work(1, 2, 0, "", 0, True), 5, id="settled"),
        pytest.param([opened(1), *WRITE, *HANDOFF, opened(2), *WRITE], Work(2, 3, 2), 5, id="a new round, no commit"),
        pytest.param(
            [*ROUND, *HANDOFF, opened(2), *WRITE, *NOTHING, *WRITE],
            Work(2, 6, 3, ADOPTED, 5),
            12,
            id="a commit adopted after a crash is found by counting",
        ),
        pytest.param([opened(1), *WRITE, *HANDOFF], Work(1, 2, 0, ADOPTED, 2), 5, id="at the handoff"),
    ],
)  # fmt: skip
def test_the_conversation_ends_where_the_files_do(lines: list[dict[str, Any]], work: Work, kept: int) -> None:
    assert rewound(encoded(lines), work) == encoded(lines[:kept])


def test_a_torn_or_foreign_line_ends_it() -> None:
    good = encoded([opened(1), *LOOK])
    settled = Work(1, 1, is_settled=True)
    assert rewound(good + b'{"line":"assis', settled) == good
    assert rewound(good + b"[]\n" + good, settled) == good
