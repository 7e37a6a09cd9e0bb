"""The file tools reach the agent's own files, whatever is put in their way while they work."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.escape import Prison

OUTSIDE = {
    "climbing": "../../../../../../outside/secret",
    "absolute": "<outside>/secret",
    "climbing from inside": "backend/../../frontend-1/unfinished.txt",
    "double slashes": "/<outside>/secret",
    "dots in the middle": "<tree>/backend/./../../../../../../../../<outside>/secret",
    "a process's root": "/proc/self/root<outside>/secret",
    "a process's directory": "/proc/self/cwd/<outside>/secret",
    "a descriptor": "/proc/self/fd/0",
    "the engine's environment": "/proc/self/environ",
    "a home": "~/.ssh/id_ed25519",
    "a home by its path": "<home>/.ssh/id_ed25519",
    "the operator's checkout": "<repo>/.env",
    "the journal": "<repo>/.runs/r/events.jsonl",
    "git": ".git",
    "git in other letters": ".GIT/config",
    "git with a trailing dot": "backend/.git./config",
    "the hub": "<hub>/config",
    "a device": "/dev/tty",
}


@pytest.mark.parametrize("name", OUTSIDE)
async def test_a_path_outside_is_refused_by_every_tool(cell: Prison, name: str) -> None:
    path = OUTSIDE[name]
    results = [
        await cell.call("Read", file_path=path),
        await cell.call("Write", file_path=path, content="x"),
        await cell.call("Edit", file_path=path, old_string="canary", new_string="x"),
        await cell.call("Grep", pattern="canary", path=path, output_mode="content"),
        await cell.call("Glob", pattern="*", path=path),
    ]
    assert all(result.is_error for result in results)


async def test_directories_of_others_are_not_written(cell: Prison) -> None:
    for path in ("tests/conftest.py", "multi-agent.yaml", "frontend/x", "README.md", "../backend-1/tests/conftest.py"):
        assert (await cell.call("Write", file_path=path, content="x")).denied is not None
    assert (await cell.call("Edit", file_path="tests/conftest.py", old_string="own", new_string="x")).denied is not None


@pytest.mark.parametrize("link", ["ln -s <outside> backend/d", "ln -s <outside>/secret backend/f", "ln -s / backend/r"])
async def test_links_made_by_a_command_lead_no_tool_outside(cell: Prison, link: str) -> None:
    await cell.bash(link)
    for path in ("backend/d/secret", "backend/f", "backend/r<outside>/secret", "backend/d/new"):
        assert (await cell.call("Read", file_path=path)).is_error
        assert (await cell.call("Grep", pattern="canary", path=path, output_mode="content")).text.count("canary-7") == 0
        if path != "backend/f" or "secret" in link:
            await cell.call("Write", file_path=path, content="x")
    await cell.call("Grep", pattern="canary", output_mode="content")
    await cell.call("Glob", pattern="**/*")


async def test_a_directory_swapped_for_a_link_while_tools_write_and_read(cell: Prison) -> None:
    swap = (
        "cd backend; for i in $(seq 150); do mkdir -p d; echo x > d/secret; rm -rf d; ln -s <outside> d; rm -f d; done"
    )
    swapping = asyncio.create_task(cell.bash(swap))
    while not swapping.done():
        await cell.call("Write", file_path="backend/d/secret", content="x")
        await cell.call("Read", file_path="backend/d/secret")
        await cell.call("Edit", file_path="backend/d/secret", old_string="x", new_string="y")
        await cell.call("Grep", pattern="canary", path="backend/d", output_mode="content")
    await swapping


async def test_pipes_and_devices_do_not_hold_a_tool(cell: Prison) -> None:
    await cell.bash("mkfifo backend/pipe; ln -s /dev/zero backend/zero; ln -s /proc/self/environ backend/env")
    async with asyncio.timeout(10):
        for path in ("backend/pipe", "backend/zero", "backend/env"):
            assert (await cell.call("Read", file_path=path)).is_error
            assert (await cell.call("Write", file_path=path, content="x")).is_error
        await cell.call("Grep", pattern="x")
    await cell.bash("rm backend/pipe")
