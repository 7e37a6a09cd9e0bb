"""A command whose exit status says it all: 0 passes."""

from __future__ import annotations

from .confined import shell
from .measured import Measured
from .site import Site


async def measure(site: Site) -> Measured:
    """A command that cannot start, is not there or takes too long was not measured, or went wrong, and says so."""
    ended = await shell(site, site.spec.command)
    if trouble := ended.trouble(site.spec.command.split()[0] if site.spec.command.split() else site.spec.name):
        return trouble
    return Measured("fail" if ended.exit_code else "pass", output=ended.text, exit_code=ended.exit_code)
