"""Write confinement of child processes with Landlock (Linux 5.13 and later), called through ctypes.

Inside, writing, creating, renaming and removing work only below the given directories, TCP connections and signals to
processes outside are refused (where the kernel's ABI can), and nobody gains privileges by running a program.
Reading is not limited, nor are UDP, path-named UNIX sockets and changes of mode or owner: Landlock cannot tell them.
A ``.git`` entry inside a wholly writable tree cannot be protected either; the engine never trusts that entry.

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
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
# With one of these a process reads the memory map and the environment of others past Landlock: the engine's holds the
# key. An ordinary person has none of them, root in a container has.
_CAP_SYS_PTRACE, _CAP_SYS_ADMIN, _CAP_PERFMON = 19, 21, 38

_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_DEVICES = _MAKE_CHAR | _MAKE_BLOCK  # refused everywhere: a device node is a way around every path
_CREATE = _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM
_CONNECT_TCP = 1 << 1
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1 << 0, 1 << 1

# /dev/shm is where semaphores of multiprocessing live. Terminals are left out: writing to one paints it.
ALWAYS_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/shm")


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


def _handled(abi: int) -> int:
    rights = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _CREATE | _DEVICES
    return rights | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)


def _failed(what: str) -> OSError:
    code = ctypes.get_errno() or errno.EINVAL
    return OSError(code, f"{what}: {os.strerror(code)}")


class Jail:
    """A prepared confinement; ``in_child`` applies it between fork and exec. Close it after the fork.

    ``writable`` are descriptors of directories or files; they stay the caller's. Raises OSError.
    """

    def __init__(self, writable: Iterable[int], *, connects: bool = False) -> None:
        self._ruleset = -1
        abi = landlock_abi()
        if not abi:
            return
        handled = _handled(abi)
        network = _CONNECT_TCP if abi >= 4 and not connects else 0
        scoped = _SCOPE_SIGNAL | _SCOPE_ABSTRACT_UNIX if abi >= 6 else 0
        attributes = struct.pack("=QQQ", handled, network, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
        self._ruleset = int(
            _libc().syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
        )
        if self._ruleset < 0:
            raise _failed("landlock_create_ruleset")
        try:
            for fd in writable:
                self._allow(fd, handled)
            for path in ALWAYS_WRITABLE:
                if Path(path).exists():
                    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
                    try:
                        self._allow(fd, handled)
                    finally:
                        os.close(fd)
        except BaseException:
            self.close()
            raise

    def _allow(self, fd: int, handled: int) -> None:
        is_directory = os.path.isdir(f"/proc/self/fd/{fd}")  # noqa: PTH112 - a descriptor, not a path
        rights = handled & ~_DEVICES if is_directory else handled & (_WRITE_FILE | _TRUNCATE)
        rule = struct.pack("=Qi", rights, fd)
        if _libc().syscall(
            _ADD_RULE, ctypes.c_int(self._ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0)
        ):
            raise _failed("landlock_add_rule")

    @property
    def in_child(self) -> Callable[[], None] | None:
        """What the child runs before exec: die with the parent's thread, give up privileges, confine itself.

        Everything is looked up here, in the parent; the child makes a handful of system calls.
        """
        if sys.platform != "linux":
            return None
        libc, ruleset, parent = _libc(), ctypes.c_int(self._ruleset), os.getpid()
        prctl, syscall, restrict = libc.prctl, libc.syscall, ctypes.c_long(_RESTRICT_SELF)
        kill, one, zero, unsigned_zero = (
            ctypes.c_ulong(signal.SIGKILL),
            ctypes.c_ulong(1),
            ctypes.c_ulong(0),
            ctypes.c_uint(0),
        )
        dropped = [ctypes.c_ulong(each) for each in (_CAP_SYS_PTRACE, _CAP_SYS_ADMIN, _CAP_PERFMON)]
        confined = self._ruleset >= 0

        def apply() -> None:
            prctl(_PR_SET_PDEATHSIG, kill, zero, zero, zero)
            if os.getppid() != parent:
                os._exit(1)
            for capability in dropped:  # refused to who has none, and then there is nothing to drop
                prctl(_PR_CAPBSET_DROP, capability, zero, zero, zero)
            if confined and (
                prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) or syscall(restrict, ruleset, unsigned_zero)
            ):
                raise OSError(ctypes.get_errno(), "landlock_restrict_self")

        return apply

    def close(self) -> None:
        if self._ruleset >= 0:
            os.close(self._ruleset)
            self._ruleset = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
