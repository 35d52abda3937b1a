"""What the kernel would let us do to a process, asked without doing it."""

import ctypes
import errno
import os
import struct
from typing import Final

from homeostat.agent.processes.listing import status_of

INIT: Final = 1
"""The first process of a PID namespace."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PIECE: Final = struct.Struct("PN")
"""A stretch of memory as the kernel wants it told: address and length."""


def may_trace(pid: int) -> bool:
    """Whether it can be seized; a process that is gone may be.

    To read another's memory takes the same leave as to trace it. Nothing is read: at the address 0 there is nothing.
    """
    byte = ctypes.create_string_buffer(1)
    ours, theirs = _PIECE.pack(ctypes.addressof(byte), 1), _PIECE.pack(0, 1)
    ctypes.set_errno(0)
    _LIBC.process_vm_readv(pid, ours, 1, theirs, 1, 0)
    return ctypes.get_errno() not in {errno.EPERM, errno.EACCES}


def may_signal(pid: int) -> bool:
    """Whether it can be sent a signal; a process that is gone may be."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        return True
    return True


def heeds(pid: int, signal: int) -> bool:
    """Whether a signal other than KILL means anything to it: PID 1 hears only what it has a handler for."""
    caught = status_of(pid, "SigCgt")
    return pid != INIT or (bool(caught) and bool(int(caught, 16) >> (signal - 1) & 1))
