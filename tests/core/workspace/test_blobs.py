"""Files are read as a commit holds them: links, directories and odd names are what they are."""

from __future__ import annotations

from pathlib import Path

from tests.support import repos

from swarm_core.workspace.blobs import contents, entries
from swarm_core.workspace.hub import Hub


async def test_what_lies_at_paths_of_a_commit_is_told_and_read_in_two_processes(tmp_path: Path) -> None:
    root = repos.small(tmp_path)
    repos.write(root, "artifacts/a b*.yml", "a: 1\n")
    repos.write(root, "artifacts/empty.yml", "")
    repos.write(root, "artifacts/deep/x.yml", "x\n")
    (root / "artifacts/link.yml").symlink_to("/etc/passwd")
    repos.git(root, "add", "-A")
    repos.git(root, "commit", "-qm", "artifacts")
    hub = await Hub.open(repos.layout(root))
    names = ["artifacts/a b*.yml", "artifacts/empty.yml", "artifacts/deep", "artifacts/link.yml", "artifacts/none"]

    found = await entries(hub.desk, await hub.integration(), names)

    assert {path: entry.kind for path, entry in found.items()} == {
        "artifacts/a b*.yml": "file",
        "artifacts/empty.yml": "file",
        "artifacts/deep": "directory",
        "artifacts/link.yml": "link",
    }
    assert found["artifacts/a b*.yml"].size_bytes == 5
    files = [entry.oid for entry in found.values() if entry.kind == "file"]
    assert sorted((await contents(hub.desk, files)).values()) == [b"", b"a: 1\n"]
    assert await entries(hub.desk, await hub.integration(), []) == {}
    assert await contents(hub.desk, []) == {}
    await hub.close()
