"""A filter of system calls for confined processes, as a classic BPF program.

What Landlock cannot tell apart is refused here: datagrams, UNIX sockets with a name in the file system, TCP under
other protocols (MPTCP, SCTP) and TCP that connects while it sends. So are the calls that look into other processes,
change mounts and namespaces, load code into the kernel, type into a terminal (TIOCSTI), or do any of this on behalf
of the caller where the filter does not see it (io_uring).

Numbers: the kernel's ``syscall_64.tbl`` and ``asm-generic/unistd.h``; layout: ``struct seccomp_data``, seccomp(2).
"""

from __future__ import annotations

import errno
import functools
import platform
import struct
import sys
from collections.abc import Mapping, Sequence

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4
_X32 = 0x40000000
_NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FAST_OPEN = 0x20000000
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _DATAGRAM = 1, 2
_TCP, _UDP = 6, 17

# name: x86_64, aarch64 (None: not there)
_REFUSED: Mapping[str, tuple[int, int]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "vhangup": (153, 58),
}
# Refused to those who see the processes and the shared memory of others.
_REFUSED_OUTSIDE: Mapping[str, tuple[int, int]] = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
# Allowed to them about the caller itself alone: the number of the argument that names a process, 0 being the caller.
_ABOUT_ITSELF: Mapping[str, tuple[int, int, int]] = {
    "prlimit64": (302, 261, 0),
    "setpriority": (141, 140, 1),
    "ioprio_set": (251, 30, 1),
    "sched_setparam": (142, 118, 0),
    "sched_setscheduler": (144, 119, 0),
    "sched_setaffinity": (203, 122, 0),
    "sched_setattr": (314, 274, 0),
}
_CALLS: Mapping[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "ioctl": (16, 29),
    "socket": (41, 198),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
}
_MACHINES: Mapping[str, tuple[int, int]] = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

Step = tuple[int, int, str, str]


class _Program:
    """Instructions with labels; every jump is forward, as the kernel demands."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._steps)

    def load(self, offset: int) -> None:
        self._steps.append((_LOAD, offset, "", ""))

    def argument(self, number: int) -> None:
        """The low half of an argument: all that is asked about here are 32-bit values."""
        self.load(16 + 8 * number)

    def mask(self, bits: int) -> None:
        self._steps.append((_AND, bits, "", ""))

    def jump(self, test: int, value: int, yes: str, no: str = "") -> None:
        self._steps.append((test, value, yes, no))

    def answer(self, value: int) -> None:
        self._steps.append((_RETURN, value, "", ""))

    def bytes(self) -> bytes:
        out = []
        for at, (code, value, yes, no) in enumerate(self._steps):
            hops = [self._labels[name] - at - 1 if name else 0 for name in (yes, no)]
            if any(not 0 <= hop <= 255 for hop in hops):
                raise ValueError(f"a jump of {hops} instructions cannot be written")
            out.append(struct.pack("=HBBI", code, *hops, value))
        return b"".join(out)


def _refuse(code: int) -> int:
    return _ERRNO | code


@functools.cache
def program(*, is_boxed: bool) -> bytes:
    """The filter for this machine as an array of ``struct sock_filter``; empty where no numbers are known.

    ``is_boxed``: the process has a network of its own, in which datagrams and UNIX sockets reach nobody outside.
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES or struct.calcsize("P") != 8:
        return b""
    column, architecture = _MACHINES[platform.machine()]
    calls = {name: numbers[column] for name, numbers in _CALLS.items()}
    out = _Program()
    out.load(_ARCHITECTURE)
    out.jump(_EQUAL, architecture, "known")
    out.answer(_refuse(errno.ENOSYS))  # 32-bit programs have other numbers for everything
    out.label("known")
    out.load(_NUMBER)
    out.jump(_AT_LEAST, _X32, "foreign")
    for name, number in calls.items():
        out.jump(_EQUAL, number, name)
    about_itself = {} if is_boxed else _ABOUT_ITSELF
    for name, found in about_itself.items():
        out.jump(_EQUAL, found[column], name)
    for numbers in (*_REFUSED.values(), *(() if is_boxed else _REFUSED_OUTSIDE.values())):
        out.jump(_EQUAL, numbers[column], "denied")
    out.label("allowed")
    out.answer(_ALLOW)
    out.label("foreign")
    out.label("clone3")  # its flags are behind a pointer; the C library falls back to clone
    out.answer(_refuse(errno.ENOSYS))
    out.label("denied")
    out.answer(_refuse(errno.EPERM))
    out.label("clone")
    _when_any(out, 0, _NAMESPACES)
    out.label("ioctl")
    out.argument(1)
    for request in _TERMINAL_INPUT:
        out.jump(_EQUAL, request, "is input")
    out.answer(_ALLOW)
    out.label("is input")
    out.answer(_refuse(errno.EPERM))
    for name, found in about_itself.items():
        out.label(name)
        out.argument(found[2])
        out.jump(_EQUAL, 0, f"{name} itself")
        out.answer(_refuse(errno.EPERM))
        out.label(f"{name} itself")
        out.answer(_ALLOW)
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        out.label(name)
        _when_any(out, flags, 0 if is_boxed else _FAST_OPEN)
    out.label("socket")
    _sockets(out, is_boxed=is_boxed)
    return out.bytes()


def _when_any(out: _Program, argument: int, bits: int) -> None:
    """Refuse the call if the argument has any of these bits."""
    here = f"bits {argument} {len(out._steps)}"
    out.argument(argument)
    out.jump(_ANY_BIT, bits, here, "")
    out.answer(_ALLOW)
    out.label(here)
    out.answer(_refuse(errno.EPERM))


def _sockets(out: _Program, *, is_boxed: bool) -> None:
    out.argument(0)
    for family in (_INET, _INET6):
        out.jump(_EQUAL, family, "internet")
    out.jump(_EQUAL, _NETLINK, "netlink")
    if is_boxed:
        out.jump(_EQUAL, _UNIX, "open")
    out.label("closed")
    out.answer(_refuse(errno.EACCES))
    out.label("open")
    out.answer(_ALLOW)
    out.label("netlink")
    _one_of(out, "routes", argument=2, mask=0xFFFFFFFF, values=(0,))
    out.label("internet")
    out.argument(1)
    out.mask(0xF)
    out.jump(_EQUAL, _STREAM, "stream")
    if is_boxed:
        out.jump(_EQUAL, _DATAGRAM, "datagram")
    out.answer(_refuse(errno.EACCES))
    out.label("stream")
    _one_of(out, "tcp", argument=2, mask=0xFFFFFFFF, values=(0, _TCP))
    out.label("datagram")
    _one_of(out, "udp", argument=2, mask=0xFFFFFFFF, values=(0, _UDP))


def _one_of(out: _Program, name: str, *, argument: int, mask: int, values: Sequence[int]) -> None:
    """Allow the call if the argument has one of these values."""
    out.argument(argument)
    out.mask(mask)
    for value in values:
        out.jump(_EQUAL, value, name)
    out.answer(_refuse(errno.EACCES))
    out.label(name)
    out.answer(_ALLOW)
