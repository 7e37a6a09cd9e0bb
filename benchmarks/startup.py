"""Claim: ``swarm-tui --version`` costs less than 0.1 s of CPU over bare Python's start."""

from __future__ import annotations

import statistics

from benchmarks.measure import cpu_seconds, python

RUNS = 9
LIMIT_S = 0.1


def main() -> None:
    cpu_seconds(python("-m", "swarm_tui", "--version"))
    ours = [cpu_seconds(python("-m", "swarm_tui", "--version")) for _ in range(RUNS)]
    bare = [cpu_seconds(python("-c", "pass")) for _ in range(RUNS)]
    over = statistics.median(ours) - statistics.median(bare)
    print("swarm-tui --version: CPU over bare Python")
    print(f"  {over / LIMIT_S:.2f}x of the limit of {LIMIT_S} s ({over * 1000:.0f} ms over, {RUNS} runs) · goal ≤ 1x")


if __name__ == "__main__":
    main()
