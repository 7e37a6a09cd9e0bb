"""The journal against every moment of a crash, on a disk that loses power: what was acknowledged is never lost.

``SWARM_SWEEP=full`` (``make sweep``) tries every place of every sweep; without it, the same sweeps take a sample and
end within a minute. Random lives print their seed; ``SWARM_SEED`` repeats it. That the sweeps can see is shown by
mutants: see ``test_journal_mutants``.
"""

from __future__ import annotations

import os
import time
from random import SystemRandom

import pytest
from tests.support.journal_sweep import (
    crash_everywhere,
    fail_everywhere,
    flip_everywhere,
    live_at_random,
    look_everywhere,
    story_calls,
)

IS_FULL = os.environ.get("SWARM_SWEEP") == "full"
pytestmark = pytest.mark.timeout(3_600 if IS_FULL else 120)


async def test_the_story_that_is_interrupted_has_everything_in_it() -> None:
    calls = await story_calls()
    assert calls.count("rename") >= 6, "segments, snapshots and a recovery"
    assert set(calls) >= {"open_append", "open_new", "write", "sync", "make_dir", "rename", "sync_dir", "read"}


async def test_no_acknowledged_event_is_lost_when_the_power_goes_at_any_call() -> None:
    started = time.perf_counter()
    runs = await (crash_everywhere(12, seeds=8) if IS_FULL else crash_everywhere(3, seeds=3))
    print(f"{runs} crashes, no violation, {time.perf_counter() - started:.1f} s")
    assert runs > 500


async def test_no_failing_call_loses_an_acknowledged_event() -> None:
    started = time.perf_counter()
    runs = await fail_everywhere(1 if IS_FULL else 2)
    print(f"{runs} errors, no violation, {time.perf_counter() - started:.1f} s")
    assert runs > 200


async def test_every_changed_bit_is_found_or_harmless() -> None:
    started = time.perf_counter()
    runs = await flip_everywhere(1 if IS_FULL else 7)
    print(f"{runs} changes, all found or harmless, {time.perf_counter() - started:.1f} s")
    assert runs > 300


async def test_a_reader_sees_every_event_once_whenever_it_looks() -> None:
    started = time.perf_counter()
    looks = await look_everywhere()
    print(f"{looks} looks, no event missed or doubled, {time.perf_counter() - started:.1f} s")
    assert looks > 10_000


async def test_random_lives_keep_their_promises() -> None:
    first = int(os.environ.get("SWARM_SEED", 0)) or SystemRandom().randint(1, 1 << 30)
    count = 1 if "SWARM_SEED" in os.environ else 20_000 if IS_FULL else 300
    for seed in range(first, first + count):
        try:
            await live_at_random(seed)
        except BaseException:
            print(f"SWARM_SEED={seed}")
            raise
    print(f"{count} random lives from seed {first}")
