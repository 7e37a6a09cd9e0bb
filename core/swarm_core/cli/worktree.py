"""``swarm-tui worktree ls``: the worktrees of a run's hub, one per running instance."""

from __future__ import annotations

import argparse
import subprocess

from swarm_core.vocabulary.clean import clean_line

from .common import Parsers, add_run_option, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("worktree", help="list the worktrees of a run")
    parser.add_argument("action", choices=("ls",))
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    layout = client.layout.run(run_id)
    if not layout.hub.is_dir():
        print("no worktrees: the run has no hub yet")
        return 0
    command = ["git", f"--git-dir={layout.hub}", "worktree", "list", "--porcelain"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    view = client.view(run_id)
    for block in done.stdout.strip().split("\n\n"):
        fields = dict(line.partition(" ")[::2] for line in block.splitlines())
        name = fields["worktree"].rpartition("/")[2]
        if name not in view.instances:
            continue
        instance = view.instances[name]
        print(clean_line(f"{name:<16} {instance.status:<10} {instance.task or '-':<9} {fields['worktree']}"))
    return 0
