"""What the comparison with the peers computes and where it keeps them: arithmetic, the cache, the environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.durable_step import JOURNAL, PEERS, Contestant, Times, best, times_less
from benchmarks.peers.install import TOP, PeerEnvironment, cache_directory, peer_environment, requirements
from benchmarks.peers.run_swarm import beginning, call, claim, task
from benchmarks.peers.steps import AGENTS, STEPS, Steps, sqlite_facts

from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView


def test_the_ratio_is_of_medians_and_the_spread_of_pairs() -> None:
    assert times_less([1.0, 2.0, 4.0], [100.0, 100.0, 800.0]) == (50.0, 50.0, 200.0)


def times(*wall_us: float) -> Times:
    return Times(wall_us=list(wall_us), cpu_us=list(wall_us))


def test_the_best_peer_is_neither_ours_nor_one_tuned_by_hand() -> None:
    slow, fast, tuned = (next(c for c in PEERS if c.name.startswith(name)) for name in ("DBOS", "Lang", "DBOS, WAL"))
    assert best({JOURNAL: times(1), slow: times(9, 9, 9), fast: times(7, 7, 70), tuned: times(2)}) == fast


def test_without_peers_there_is_no_best() -> None:
    assert best({JOURNAL: times(1), Contestant("x", "x", as_delivered=False): times(1)}) is None


@pytest.mark.parametrize(
    ("environ", "base"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c"),
        ({"HOME": "/h"}, "/h/.cache"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache"),
    ],
)
def test_the_peers_live_in_the_users_cache_never_in_the_repository(environ: dict[str, str], base: str) -> None:
    directory = cache_directory(environ)
    assert directory == Path(base) / "swarm-tui" / "bench-peers"
    assert not directory.is_relative_to(TOP)


def test_an_environment_with_other_versions_or_half_an_install_is_not_ready(tmp_path: Path) -> None:
    peers = PeerEnvironment(tmp_path)
    peers.python.parent.mkdir()
    peers.python.touch()
    assert not peers.is_ready
    note = tmp_path / "installed.txt"
    version = f"python {sys.version_info[0]}.{sys.version_info[1]}"
    pinned = requirements({"langgraph": "1.2.22", "langgraph-checkpoint-sqlite": "3.1.2", "dbos": "3.4.0"})
    note.write_text("\n".join([version, *pinned, ""]))
    assert peers.is_ready
    note.write_text("\n".join([version, *pinned, "more==1", ""]))
    assert not peers.is_ready


def test_a_contestant_gets_no_setting_that_could_slow_it_down(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "LANGSMITH_TRACING": "true", "DBOS_CONDUCTOR_KEY": "k", "HOME": "/h", "PYTHONPATH": "/x"}
    seen = peer_environment(given, tmp_path)
    assert seen.keys() == {"PATH", "HOME", "PYTHONPATH"}
    assert seen["HOME"] == str(tmp_path)
    assert "/x" not in seen["PYTHONPATH"]


def test_steps_before_the_start_do_not_count_and_a_missing_one_is_no_result() -> None:
    steps = Steps()
    steps.durable()
    steps.start()
    for _ in range(AGENTS * STEPS - 1):
        steps.durable()
    with pytest.raises(SystemExit, match=r"999 steps became durable, 1000 were to"):
        steps.result({})
    steps.durable()
    assert steps.result({"syncs": 3})["facts"] == {"syncs": 3}


def test_sqlites_settings_are_named_as_its_manual_names_them() -> None:
    assert sqlite_facts("wal", 1)["synchronous"] == "NORMAL"
    assert sqlite_facts("delete", 2)["synchronous"] == "FULL"


def test_our_contestants_events_are_a_legal_run_and_the_fold_knows_how_far_each_agent_is() -> None:
    drafts = [*beginning(AGENTS), *claim(7), call(7), call(7)]
    view = RunView.of(
        Event(seq, "2026-11-21T10:00:00.000Z", "r", d.kind, d.data, d.actor, d.task, d.agent)
        for seq, d in enumerate(drafts, 1)
    )
    assert len(view.instances) == AGENTS
    assert view.tasks[task(7)].usage.calls == 2
    assert view.tasks[task(8)].status == "ready"
