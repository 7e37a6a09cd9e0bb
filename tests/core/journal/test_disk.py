"""One contract for every disk: what the journal relies on holds for the real one and for the one in memory."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_core.journal.disk import Disk, FaultyDisk, RealDisk, read_file, replace_file, write_all
from swarm_core.journal.memory_disk import MemoryDisk
from swarm_core.journal.power_loss import Loss, PowerLoss

DISKS: dict[str, Callable[[], Disk]] = {
    "real": RealDisk,
    "faulty": lambda: FaultyDisk(lambda name, number: None),
    "memory": MemoryDisk,
}


@pytest.fixture(params=DISKS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Disk, Path]:
    """A disk and an empty directory on it."""
    disk = DISKS[request.param]()
    directory = Path("/d") if isinstance(disk, MemoryDisk) else tmp_path / "d"
    disk.make_dir(directory)
    return disk, directory


def test_what_is_appended_is_read(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    fd = disk.open_append(directory / "a")
    assert disk.size(fd) == 0
    write_all(disk, fd, b"one two")
    disk.sync(fd)
    assert disk.read(fd, 4, 100) == b"two"
    assert disk.read(fd, 7, 100) == b""
    disk.close(fd)

    fd = disk.open_append(directory / "a")
    write_all(disk, fd, b" three")
    disk.close(fd)
    assert read_file(disk, directory / "a") == b"one two three"
    assert read_file(disk, directory / "a", 8) == b"three"


def test_what_is_cut_is_gone_and_the_next_append_is_at_the_end(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    fd = disk.open_append(directory / "a")
    write_all(disk, fd, b"one two")
    disk.truncate(fd, 3)
    write_all(disk, fd, b"!")
    disk.close(fd)
    assert read_file(disk, directory / "a") == b"one!"


def test_a_new_file_is_empty_whatever_was_there(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    disk.close(replace_file(disk, directory / "a", b"old"))
    fd = disk.open_new(directory / "a")
    assert disk.size(fd) == 0
    disk.close(fd)


def test_who_has_a_file_open_keeps_it_when_it_is_moved_or_replaced(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    disk.close(replace_file(disk, directory / "a", b"old"))
    fd = disk.open_read(directory / "a")
    assert disk.identity(fd) == disk.identity(directory / "a")
    disk.close(replace_file(disk, directory / "a", b"new"))
    assert disk.read(fd, 0, 10) == b"old"
    assert disk.identity(fd) != disk.identity(directory / "a")
    assert read_file(disk, directory / "a") == b"new"

    disk.make_dir(directory / "e")
    disk.make_dir(directory / "e")
    disk.rename(directory / "a", directory / "e" / "b")
    disk.sync_dir(directory / "e")
    assert disk.identity(directory / "a") is None
    assert disk.identity(directory / "e") is not None
    assert read_file(disk, directory / "e" / "b") == b"new"
    disk.close(fd)


def test_names_are_those_of_the_directory_alone(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    disk.make_dir(directory / "e")
    for name in ("a", "e/b"):
        disk.close(disk.open_append(directory / name))
    assert sorted(disk.names(directory)) == ["a", "e"]
    disk.unlink(directory / "a")
    assert disk.names(directory) == ["e"]
    assert disk.names(directory / "nowhere") == []


def test_what_is_not_there_is_file_not_found(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    missing = directory / "nowhere" / "a"
    assert read_file(disk, missing) is None
    for call in (disk.open_read, disk.open_append, disk.open_new, disk.unlink, disk.make_dir):
        with pytest.raises(FileNotFoundError):
            call(missing)
    with pytest.raises(FileNotFoundError):
        disk.rename(missing, directory / "b")
    with pytest.raises(FileNotFoundError):
        disk.sync_dir(directory / "nowhere")


def test_a_closed_descriptor_is_refused(place: tuple[Disk, Path]) -> None:
    disk, directory = place
    fd = disk.open_append(directory / "a")
    disk.close(fd)
    for call in (disk.size, disk.sync, disk.close):
        with pytest.raises(OSError) as caught:
            call(fd)
        assert caught.value.errno == errno.EBADF


# -- what only the one in memory can do


def written() -> tuple[MemoryDisk, int]:
    """``/a`` with a durable ``one`` and ``two`` in the page cache."""
    disk = MemoryDisk()
    fd = disk.open_append(Path("/a"))
    disk.write(fd, b"one")
    disk.sync(fd)
    disk.sync_dir(Path("/"))
    disk.write(fd, b"two")
    return disk, fd


@pytest.mark.parametrize(
    ("loss", "left"),
    [(Loss.ALL, b"one"), (Loss.NONE, b"onetwo"), (Loss.TORN, b"onet"), (Loss.ZEROS, b"onet\0\0"), (Loss.DATA, b"one")],
)
def test_a_power_loss_leaves_what_its_policy_says(loss: Loss, left: bytes) -> None:
    disk, _ = written()
    assert disk.after_power_loss(loss).files() == {Path("/a"): left}
    assert disk.restarted().files() == {Path("/a"): b"onetwo"}


def test_random_losses_are_the_same_for_the_same_seed() -> None:
    disk, fd = written()
    disk.write(fd, b"x" * 300)
    for loss in (Loss.PREFIX, Loss.REORDERED):
        found = [disk.after_power_loss(loss, seed).files()[Path("/a")] for seed in range(30)]
        assert found == [disk.after_power_loss(loss, seed).files()[Path("/a")] for seed in range(30)]
        assert len(set(found)) > 5
        assert all(data.startswith(b"one") for data in found)


def test_names_that_were_not_synced_are_lost_with_what_is_in_them() -> None:
    disk, fd = written()
    disk.make_dir(Path("/d"))
    disk.rename(Path("/a"), Path("/d/a"))
    disk.sync(fd)
    assert disk.after_power_loss(Loss.NAMES).files() == {Path("/a"): b"onetwo"}
    disk.sync_dir(Path("/d"))
    assert disk.after_power_loss(Loss.NAMES).files() == {}, "a name in a directory that has none is lost"
    disk.sync_dir(Path("/"))
    assert disk.after_power_loss(Loss.ALL).files() == {Path("/d/a"): b"onetwo"}


def test_after_a_failed_sync_the_page_cache_lies() -> None:
    disk, fd = written()
    disk.errors = {len(disk.calls) + 1: errno.EIO}
    with pytest.raises(OSError, match="Input/output error"):
        disk.sync(fd)
    disk.write(fd, b"three")
    disk.sync(fd)

    assert disk.restarted().files() == {Path("/a"): b"onetwothree"}
    assert disk.after_power_loss(Loss.NONE).files() == {Path("/a"): b"one\0\0\0three"}


def test_the_power_goes_at_the_chosen_call_and_stays_away() -> None:
    disk, fd = written()
    disk.crash_at = len(disk.calls) + 1
    with pytest.raises(PowerLoss):
        disk.sync(fd)
    with pytest.raises(PowerLoss):
        disk.size(fd)
    assert disk.after_power_loss(Loss.ALL).files() == {Path("/a"): b"one"}
