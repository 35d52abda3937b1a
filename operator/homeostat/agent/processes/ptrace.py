"""Holding threads by ptrace: what this process seizes is stopped, and runs on the moment this process dies."""

import ctypes
import errno
import os
from enum import Enum, auto
from typing import Final

from homeostat.agent.processes.listing import status_of, threads_of

_SEIZE: Final = 0x4206
_INTERRUPT: Final = 0x4207
FOLLOW: Final = 0x2 | 0x4 | 0x8
"""PTRACE_O_TRACEFORK, TRACEVFORK, TRACECLONE: what a held thread makes is held from its first instruction on."""
DIE_WITH_TRACER: Final = 0x100000
"""PTRACE_O_EXITKILL: the kernel kills what is held when the tracer dies, even PID 1 of our own namespace."""
_WALL: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long


class Hold(Enum):
    """What came of the wish to hold a thread."""

    HELD = auto()
    GONE = auto()
    DENIED = auto()


def seize(thread: int, options: int) -> Hold:
    """Become the tracer of `thread`, which runs on; held already by this process counts as held."""
    error = _ptrace(_SEIZE, thread, options)
    if error == 0:
        return Hold.HELD
    tracer = status_of(thread, "TracerPid")
    if error == errno.ESRCH or not tracer or status_of(thread, "State")[:1] in {"Z", "X"}:
        return Hold.GONE
    return Hold.HELD if int(tracer) == os.getpid() else Hold.DENIED


def hold_process(pid: int) -> Hold:
    """Stop every thread of a process, those that it makes meanwhile included; what is held stays held.

    A thread that was seized hands on the hold to what it makes, so a scan that finds nobody new has found all.
    """
    held: set[int] = set()
    while new := set(threads_of(pid)) - held:
        for thread in new:
            if seize(thread, FOLLOW) is Hold.DENIED:
                return Hold.DENIED
            _ptrace(_INTERRUPT, thread, 0)
        held |= new
    return Hold.HELD if held else Hold.GONE


def let_ends_be_seen() -> None:
    """Take note of held threads that stopped or died: until its tracer does, a death is not told to the parent."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG | _WALL)
        except ChildProcessError:
            return
        if pid == 0:
            return


def _ptrace(request: int, thread: int, data: int) -> int:
    """Do one request; gives 0 or the number of the error."""
    return ctypes.get_errno() if _LIBC.ptrace(request, thread, None, data) == -1 else 0
