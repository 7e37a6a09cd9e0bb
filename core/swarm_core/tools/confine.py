"""Confinement of child processes with Landlock (Linux 5.13 and later), called through ctypes.

Inside, writing, creating, renaming and removing work only below the given directories, and reading only there and
below ``reads``, if they are given. TCP and signals to processes outside are refused (where the kernel's ABI can), other
processes' memory and environment cannot be read, and nobody gains privileges by running a program.
What Landlock cannot tell (UDP, UNIX sockets with a name) is refused by a filter of system calls. Neither limits what
shows of a file without opening it (its name, size and times), nor changes of mode or owner.
A ``.git`` entry inside a wholly writable tree cannot be protected; the engine never trusts that entry.

Constants: include/uapi/linux/landlock.h of the Linux source.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_RULE_PORT = 2
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
_SECCOMP_FILTER = 2
# What a root engine (a container, say) does not hand down: with CAP_PERFMON or CAP_SYS_PTRACE a child reads the keys in
# the environment of any process in /proc, the others reach around the file system. capability(7) has the numbers:
# DAC_READ_SEARCH LINUX_IMMUTABLE NET_ADMIN NET_RAW SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_BOOT
# SYS_TIME MKNOD SYSLOG PERFMON BPF CHECKPOINT_RESTORE
_CAPABILITIES = (2, 9, 12, 13, 16, 17, 18, 19, 21, 22, 25, 27, 34, 38, 39, 40)

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_DEVICES = _MAKE_CHAR | _MAKE_BLOCK  # refused everywhere: a device node is a way around every path
_CREATE = _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1 << 0, 1 << 1

# /dev/shm is where semaphores of multiprocessing live. Terminals are left out: writing to one paints it.
ALWAYS_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/shm")
# /proc shows the names and command lines of other processes, but nothing of what is in them.
ALWAYS_READABLE = ("/dev/random", "/dev/urandom", "/proc")


@functools.cache
def _libc() -> Any:
    # PyDLL keeps the interpreter lock, so that a call between fork and exec waits for nobody.
    return ctypes.PyDLL(None, use_errno=True)


@functools.cache
def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 where there is none (another system, an old kernel, switched off)."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION))))


def confinement() -> Literal["landlock", "none"]:
    """What confines a child on this machine. With ``none`` only the analysis of commands and the sweep remain."""
    return "landlock" if landlock_abi() else "none"


def _handled(abi: int, *, reads: bool) -> int:
    rights = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _CREATE | _DEVICES | (_READ if reads else 0)
    rights |= (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    return rights | (_IOCTL_DEVICE if abi >= 5 and reads else 0)


def _failed(what: str) -> OSError:
    code = ctypes.get_errno() or errno.EINVAL
    return OSError(code, f"{what}: {os.strerror(code)}")


def pass_away_with_parent() -> Callable[[], None]:
    """What a child runs before exec so that the kernel kills it when the thread that forked it ends."""
    if sys.platform != "linux":
        return lambda: None
    prctl, parent, kill, zero = _libc().prctl, os.getpid(), ctypes.c_ulong(signal.SIGKILL), ctypes.c_ulong(0)

    def apply() -> None:
        prctl(_PR_SET_PDEATHSIG, kill, zero, zero, zero)
        if os.getppid() != parent:
            os._exit(1)

    return apply


class Jail:
    """A prepared confinement; ``in_child`` applies it between fork and exec. Close it after the fork.

    ``writable`` are descriptors of directories or files; they stay the caller's. ``reads`` are paths that may be read
    besides; None leaves reading alone. ``port`` is a TCP port that may be connected to, ``connects`` any. ``limit``
    runs in the child. ``code`` is a filter of system calls. Raises OSError.
    """

    pass_fds: tuple[int, ...] = ()

    def __init__(
        self,
        writable: Iterable[int],
        *,
        reads: Iterable[Path] | None = None,
        connects: bool = False,
        port: int = 0,
        limit: Callable[[], None] | None = None,
        code: bytes = b"",
    ) -> None:
        self._ruleset, self._limit, self._code = -1, limit, code
        abi = landlock_abi()
        if not abi:
            return
        handled = _handled(abi, reads=reads is not None)
        network = _BIND_TCP | _CONNECT_TCP if abi >= 4 and not connects else 0
        scoped = _SCOPE_SIGNAL | _SCOPE_ABSTRACT_UNIX if abi >= 6 else 0
        attributes = struct.pack("=QQQ", handled, network, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
        self._ruleset = int(
            _libc().syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
        )
        if self._ruleset < 0:
            raise _failed("landlock_create_ruleset")
        try:
            for fd in writable:
                self._allow(fd, handled & ~_DEVICES)
            self._open(map(Path, ALWAYS_WRITABLE), handled & ~_DEVICES)
            if reads is not None:
                self._open(map(Path, ALWAYS_READABLE), handled & _READ)
                self._open(reads, handled & _READ)
            if network and port:
                self._rule(_RULE_PORT, struct.pack("=QQ", _CONNECT_TCP, port))
        except BaseException:
            self.close()
            raise

    def _open(self, paths: Iterable[Path], rights: int) -> None:
        for path in paths:
            try:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # what is not there needs no leave
            try:
                self._allow(fd, rights)
            finally:
                os.close(fd)

    def _allow(self, fd: int, rights: int) -> None:
        is_directory = os.path.isdir(f"/proc/self/fd/{fd}")  # noqa: PTH112 - a descriptor, not a path
        rights = rights if is_directory else rights & (_EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE)
        self._rule(_RULE_PATH_BENEATH, struct.pack("=Qi", rights, fd))

    def _rule(self, kind: int, rule: bytes) -> None:
        if _libc().syscall(_ADD_RULE, ctypes.c_int(self._ruleset), ctypes.c_int(kind), rule, ctypes.c_uint(0)):
            raise _failed("landlock_add_rule")

    def wrap(self, argv: Sequence[str], cwd: Path) -> list[str]:
        """``argv`` as it is started."""
        del cwd
        return list(argv)

    @property
    def in_child(self) -> Callable[[], None] | None:
        """What the child runs before exec: die with the parent's thread, give up privileges, confine itself.

        Everything is looked up here, in the parent; the child only makes system calls.
        """
        leave, limit = pass_away_with_parent(), self._limit or (lambda: None)
        if sys.platform != "linux":
            return limit
        libc, ruleset = _libc(), ctypes.c_int(self._ruleset)
        prctl, syscall, restrict = libc.prctl, libc.syscall, ctypes.c_long(_RESTRICT_SELF)
        one, zero, unsigned_zero = ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_uint(0)
        confined, code = self._ruleset >= 0, self._code
        dropped = [ctypes.c_ulong(number) for number in _CAPABILITIES] if os.geteuid() == 0 else []
        steps = ctypes.create_string_buffer(code, len(code))
        filtered = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(steps))
        set_filter, mode = ctypes.c_int(_PR_SET_SECCOMP), ctypes.c_ulong(_SECCOMP_FILTER)

        def apply() -> None:
            leave()
            limit()
            for capability in dropped:
                prctl(_PR_CAPBSET_DROP, capability, zero, zero, zero)
            if (confined or code) and prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero):
                raise OSError(ctypes.get_errno(), "no_new_privs")
            if confined and syscall(restrict, ruleset, unsigned_zero):
                raise OSError(ctypes.get_errno(), "landlock_restrict_self")
            if code and steps and prctl(set_filter, mode, filtered, zero, zero):
                raise OSError(ctypes.get_errno(), "seccomp")

        return apply

    def close(self) -> None:
        if self._ruleset >= 0:
            os.close(self._ruleset)
            self._ruleset = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
