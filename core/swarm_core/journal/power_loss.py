"""What a power loss leaves of a file whose last writes were not synced."""

from __future__ import annotations

from enum import StrEnum
from random import Random

PAGE_BYTES = 64


class PowerLoss(BaseException):
    """The machine is off. Not an Exception: nobody may handle it and go on."""


class Loss(StrEnum):
    """What a power loss leaves of the things that were not synced."""

    ALL = "nothing unsynced survives"
    NONE = "everything survives"
    PREFIX = "a random part of the calls, in order, survives"
    TORN = "half of the last write of each file survives"
    ZEROS = "the end of the last write of each file is zeros"
    REORDERED = "pages survive in any order"
    NAMES = "data survive, names do not"
    DATA = "names survive, data do not"


class CachedFile:
    """A file's bytes as programs see them and as they are on the disk; ``pending`` is what lies between."""

    __slots__ = ("cached", "durable", "number", "pending")

    def __init__(self, number: int, data: bytes = b"") -> None:
        self.number = number
        self.cached, self.durable = bytearray(data), bytearray(data)
        self.pending: list[tuple[int, bytes] | int] = []  # a write at an offset, or a size it was cut to

    def sync(self) -> None:
        for change in self.pending:
            apply(self.durable, change)
        self.pending.clear()


def apply(data: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del data[change:]
        return
    offset, part = change
    if len(data) < offset:
        data += bytes(offset - len(data))
    data[offset : offset + len(part)] = part


def surviving_data(file: CachedFile, loss: Loss, random: Random) -> bytes:
    data, pending = bytearray(file.durable), list(file.pending)
    if loss in (Loss.ALL, Loss.DATA):
        return bytes(data)
    if loss is Loss.PREFIX:
        pending = pending[: random.randint(0, len(pending))]
    if loss is Loss.REORDERED:
        pending = [piece for change in pending for piece in _pages(change, random)]
    last = pending[-1] if pending else 0
    if isinstance(last, tuple):
        offset, part = last
        if loss is Loss.PREFIX:
            pending[-1] = (offset, part[: random.randint(0, len(part))])
        elif loss is Loss.TORN:
            pending[-1] = (offset, part[: len(part) // 2])
        elif loss is Loss.ZEROS:
            pending[-1] = (offset, part[: len(part) // 3].ljust(len(part), b"\0"))
    for change in pending:
        apply(data, change)
    return bytes(data)


def _pages(change: tuple[int, bytes] | int, random: Random) -> list[tuple[int, bytes] | int]:
    """The pages of a write that reached the disk; where others lie behind, a lost one is zeros."""
    if isinstance(change, int):
        return [change]
    offset, part = change
    pages: list[tuple[int, bytes] | int] = []
    start = 0
    while start < len(part):
        end = start + PAGE_BYTES - (offset + start) % PAGE_BYTES
        if random.random() < 0.6:
            pages.append((offset + start, part[start:end]))
        start = end
    return pages
