"""What a process of our own gives up before it hears a stranger, and how it ends with its parent."""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def confine(parent: int, *, expendable: int) -> None:
    """Give up what whoever takes this process over could use, and end when `parent` does.

    `expendable`: how much rather (0 to 1000) this process is to be killed than others when memory is short.
    """
    for one in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and a stop of the pod are for the parent, which ends us
        signal.signal(one, signal.SIG_IGN)
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(expendable))
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # a core would hold secrets and what servers sent
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
