"""The archive file: the same content gives the same bytes, and nothing hostile gets out of it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm_core.recovery.archive import BUNDLE, JOURNAL, ArchiveDamaged, ArchiveWriter, extract

FACTS: dict[str, Any] = {
    "v": 1, "run": "20261121-030405-add", "seq": 3, "head": "ab" * 32, "base": "c0" * 20, "base_ref": "refs/heads/main",
    "created_at": "", "last_ts": "", "version": "0", "refs": {}, "entry": {},
}  # fmt: skip
FILES = {JOURNAL: b"line\n", "run/gates/gate_001-2.patch": b"diff", BUNDLE: b"pack" * 400}


def make(path: Path, files: dict[str, bytes] | None = None, facts: dict[str, Any] | None = None) -> Path:
    with open(path, "wb") as file:
        writer = ArchiveWriter(file)
        for name, data in (FILES if files is None else files).items():
            writer.add_bytes(name, data)
        writer.close(FACTS if facts is None else facts)
    return path


def forged(path: Path, *members: tuple[str, bytes, bytes, str]) -> Path:
    """A real tar of (name, type, content, link target), as an attacker makes it, the manifest of the good one last."""
    manifest = {n: {"size": len(d), "sha256": __import__("hashlib").sha256(d).hexdigest()} for n, d in FILES.items()}
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        plain = [(name, tarfile.REGTYPE, data, "") for name, data in FILES.items()]
        last = ("manifest.json", tarfile.REGTYPE, json.dumps({**FACTS, "files": manifest}).encode(), "")
        for name, kind, data, link in (*plain, *members, last):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def refused(tmp_path: Path, archive: Path, why: str, **limits: int) -> None:
    place = tmp_path / "out"
    place.mkdir()
    with pytest.raises(ArchiveDamaged, match=why) as caught:
        extract(archive, place, **limits)
    assert str(archive) in caught.value.message
    assert caught.value.hint
    outside = {path.name for path in tmp_path.iterdir()} - {"out", archive.name}
    assert outside == set()


def test_what_was_written_comes_out(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tar.gz")
    (tmp_path / "out").mkdir()
    manifest = extract(archive, tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    assert (manifest.run, manifest.seq, manifest.base) == (FACTS["run"], 3, FACTS["base"])
    with tarfile.open(archive) as tar:  # any tar program reads it
        assert tar.getnames() == [*FILES, "manifest.json"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    assert make(tmp_path / "a").read_bytes() == make(tmp_path / "b").read_bytes()


def test_a_file_that_is_forged_well_is_taken(tmp_path: Path) -> None:
    """The forger of the next tests makes archives that are good but for what they add."""
    (tmp_path / "out").mkdir()
    assert extract(forged(tmp_path / "a"), tmp_path / "out").seq == 3


@pytest.mark.parametrize(
    ("name", "kind", "link", "why"),
    [
        ("/tmp/x", tarfile.REGTYPE, "", "no name"),
        ("../x", tarfile.REGTYPE, "", "no name"),
        ("run/../../x", tarfile.REGTYPE, "", "no name"),
        ("run//x", tarfile.REGTYPE, "", "no name"),
        ("run/a\\b", tarfile.REGTYPE, "", "no name"),
        ("run/\x1b[2J", tarfile.REGTYPE, "", "no name"),
        ("elsewhere/x", tarfile.REGTYPE, "", "no name"),
        ("git/config", tarfile.REGTYPE, "", "no name"),
        ("run/link", tarfile.SYMTYPE, "/etc/passwd", "not a plain file"),
        ("run/link", tarfile.LNKTYPE, JOURNAL, "not a plain file"),
        ("run/pipe", tarfile.FIFOTYPE, "", "not a plain file"),
        ("run/disk", tarfile.BLKTYPE, "", "not a plain file"),
        ("run/sub", tarfile.DIRTYPE, "", "not a plain file"),
        ("run/" + "long/" * 60 + "x", tarfile.REGTYPE, "", "not a plain file"),
        (JOURNAL, tarfile.REGTYPE, "", "twice"),
        (JOURNAL + "/x", tarfile.REGTYPE, "", "both a file and a directory"),
        ("run/extra", tarfile.REGTYPE, "", "not what the manifest says"),
    ],
)
def test_a_hostile_member_is_refused(tmp_path: Path, name: str, kind: bytes, link: str, why: str) -> None:
    refused(tmp_path, forged(tmp_path / "evil.tar.gz", (name, kind, b"", link)), why)


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """A good archive whose unpacked bytes were changed."""

    def make_it(path: Path) -> Path:
        data = gzip.decompress(make(path).read_bytes())
        path.write_bytes(gzip.compress(change(data)))
        return path

    return make_it


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        pytest.param(changed(lambda data: data.replace(b"diff", b"diFf")), "not what the manifest", id="a byte"),
        pytest.param(changed(lambda data: data[: len(data) // 2]), "ends in the middle", id="cut"),
        pytest.param(changed(lambda data: data[:512] + bytes(1024)), "end|middle", id="cut at a member"),
        pytest.param(changed(lambda data: data + b"x"), "follows its end", id="more"),
        pytest.param(changed(lambda data: b"x" * 512 + data), "not a backup", id="another header"),
        pytest.param(lambda path: make(path, facts={**FACTS, "v": 2}), "format 2", id="a newer format"),
        pytest.param(lambda path: make(path, facts={**FACTS, "run": "../x"}), "names no run", id="an impossible run"),
        pytest.param(lambda path: make(path, facts={**FACTS, "base": "-x"}), "no commit", id="an impossible commit"),
        pytest.param(lambda path: make(path, facts={**FACTS, "refs": 3}), "manifest", id="a manifest of another shape"),
        pytest.param(lambda path: make(path, files={JOURNAL: b""}), "missing", id="no bundle"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], Path], why: str) -> None:
    refused(tmp_path, damage(tmp_path / "bad.tar.gz"), why)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = make(tmp_path / "good").read_bytes()
    for size in (*range(0, len(whole), 37), len(whole) - 1):
        (tmp_path / "bad").write_bytes(whole[:size])
        place = tmp_path / f"out{size}"
        place.mkdir()
        with pytest.raises(ArchiveDamaged):
            extract(tmp_path / "bad", place)


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    archive = make(tmp_path / "bomb", {**FILES, "run/zeros": bytes(8 << 20)})
    refused(tmp_path, archive, "more than", max_bytes=1 << 20)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= 1 << 20
