"""Reports that a check's own command writes: asked for in a private directory, and gone before the command begins.

A report that lies in the tree already, whoever wrote it, is removed first: only what this run wrote counts.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from swarm_core.tools.beneath import open_directory, open_file

from .confined import Ended, private, shell
from .measured import Measured, broken, not_measured
from .site import Site

MAX_REPORT_BYTES = 50 * 1024 * 1024
HERE = "{report}"
VARIABLE = "SWARM_REPORT"


@dataclass(frozen=True, slots=True)
class Reported:
    """What a command wrote, and how it ended."""

    data: bytes
    ended: Ended


async def reported(site: Site, tree: Path | None = None) -> Reported | Measured:
    """Run the check's command and read its report, or say why there is none.

    The report goes to ``{report}`` in the command, which is also ``$SWARM_REPORT``, or to the option ``report``, a path
    in the tree. Without any of these it is what the command prints.
    """
    tree = tree or site.tree
    command, inside = site.spec.command, str(site.spec.options.get("report", ""))
    home = private(site, "report")
    is_printed = not inside and HERE not in command and VARIABLE not in command
    if inside:
        try:
            _remove(tree, inside)
        except OSError as error:
            return broken(f"{inside} from before cannot be removed: {error.strerror}", "remove it from the commit")
    ended = await shell(site, command.replace(HERE, f'"${VARIABLE}"'), {VARIABLE: str(home / "report")}, tree)
    if trouble := ended.trouble(site.spec.name):
        return trouble
    if is_printed:
        return Reported(ended.text.encode(), ended)
    try:
        data = _read(tree, inside.split("/")) if inside else _read(home, ["report"])
    except FileNotFoundError:
        where = inside or f"${VARIABLE}"
        return not_measured(
            f"the command wrote no report (exit {ended.exit_code})",
            f"let it write one to {where}: see its output for why it did not",
            ended.text,
            ended.exit_code,
        )
    except ValueError as error:
        return broken(f"the report {error}", "let the command write a plain, smaller file", ended.text)
    except OSError as error:
        return broken(f"the report cannot be read: {error.strerror}", "let the command write a plain file", ended.text)
    if not data.strip():
        return broken("the report is empty", "see the command's output", ended.text)
    return Reported(data, ended)


def _read(base: Path, parts: list[str]) -> bytes:
    """Raises OSError, ValueError for what is no plain file of a bearable size."""
    with os.fdopen(open_file(base, parts), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is not a plain file")
        data = file.read(MAX_REPORT_BYTES + 1)
    if len(data) > MAX_REPORT_BYTES:
        raise ValueError(f"is larger than {MAX_REPORT_BYTES >> 20} MiB")
    return data


def _remove(tree: Path, path: str) -> None:
    *above, name = path.split("/")
    try:
        parent = open_directory(tree, above)
    except FileNotFoundError:
        return
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)
