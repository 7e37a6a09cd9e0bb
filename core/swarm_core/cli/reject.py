"""``swarm-tui reject ID``."""

from __future__ import annotations

import argparse

from .common import Parsers
from .decide import add_decision, send_decision


def add(parsers: Parsers) -> None:
    add_decision(parsers, "reject")


def run(options: argparse.Namespace) -> int:
    return send_decision(options, "reject")
