"""One place for all attempts, an agent of its own for each, for every confinement that this machine has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.escape import Prison, Site, build, prison
from tests.support.tools import KINDS


def _surroundings(patch: pytest.MonkeyPatch, top: Path) -> None:
    patch.setenv("HOME", str(top / "home"))
    patch.setenv("XDG_STATE_HOME", str(top / "state"))
    patch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary-7c31e0d4b95f")


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    top = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        _surroundings(patch, top)
        return asyncio.run(build(top))


@pytest.fixture
def site(shared_site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    _surroundings(monkeypatch, shared_site.top)
    return shared_site


@pytest.fixture(params=KINDS or [pytest.param("none", marks=pytest.mark.skip(reason="nothing confines here"))])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def cell(site: Site, kind: str) -> AsyncIterator[Prison]:
    """An agent that owns ``backend/``. What is checked of every attempt is checked when it is over."""
    found = await prison(site, kind)
    try:
        yield found
        await found.check()
    finally:
        found.close()
