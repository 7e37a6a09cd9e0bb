"""Paths stay inside their tree, and removal does not follow links."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.workspace import files


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a//b", ".git/config", "a/.GIT/x", "a/.git. /x", ""]
)
def test_a_path_that_climbs_or_reaches_git_is_not_plain(path: str) -> None:
    assert not files.is_plain(path)


@pytest.mark.parametrize("path", ["a", "a/b", "-x", "a b/\n", ".github/x", "nested/"])
def test_odd_names_are_plain(path: str) -> None:
    assert files.is_plain(path)


def test_a_linked_directory_is_an_obstacle(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "tree/real").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to(tmp_path / "out")
    repos.write(tmp_path, "tree/file", "")

    found = [files.obstacle(tmp_path / "tree", path) for path in ("link/a/b", "file/a", "real/a", "new/a", "a")]

    assert found == ["link", "file", None, None, None]


def test_deleting_a_tree_leaves_what_its_links_point_to(tmp_path: Path) -> None:
    kept = repos.write(tmp_path, "out/kept", "")
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/link").symlink_to(tmp_path / "out")
    (tmp_path / "tree/deep").chmod(0o500)

    files.delete(tmp_path / "tree")

    assert kept.exists()
    assert not (tmp_path / "tree").exists()


def test_a_durable_write_replaces_the_whole_file(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a/b.json", {"x": "\udcff"})
    files.write_json(tmp_path / "a/b.json", {"y": 1})

    assert files.read_json(tmp_path / "a/b.json") == {"y": 1}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_file_that_is_no_object_reads_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)

    assert files.read_json(tmp_path / "x") is None
