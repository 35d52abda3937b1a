"""Children that work for a fault, die with the holder, and stop by themselves when it is stopped."""

import gc
import mmap
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from homeostat.agent.process import die_with_parent, forget_signals

NAME: Final = "homeostat-load"
"""What our children are called in a list of processes."""
_FIRST_VICTIM: Final = "1000"
"""What makes the kernel choose a process first when memory is short."""
_BOARD: Final = struct.Struct("dQ")


class Board:
    """What a holder and its children read and write: until when they may work, and how much one has taken."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _BOARD.size)

    def allow(self, seconds: float) -> None:
        """Let the children work for `seconds` more: a holder that is stopped no longer does."""
        struct.pack_into("d", self._shared, 0, _now() + seconds)

    @property
    def is_allowed(self) -> bool:
        """Whether a child may go on."""
        return float(struct.unpack_from("d", self._shared, 0)[0]) > _now()

    @property
    def taken(self) -> int:
        """How many bytes the child has."""
        return int(_BOARD.unpack_from(self._shared, 0)[1])

    @taken.setter
    def taken(self, amount: int) -> None:
        struct.pack_into("Q", self._shared, _BOARD.size - 8, amount)


def start_child(work: Callable[[], None]) -> int:
    """Fork a child that does `work` until it is killed or ends; give its process id."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        die_with_parent(parent)
        forget_signals()
        gc.freeze()
        _write("comm", NAME)
        # Nothing of the target should be killed for what we took, and to go first needs no privilege. In a pod of class
        # Guaranteed we would start with as good a protection as the target.
        _write("oom_score_adj", _FIRST_VICTIM)
        work()
    finally:
        os._exit(1)


def is_running(child: int) -> bool:
    """Whether a child is alive; one that ended is reaped, and so is to be asked for once."""
    with suppress(ChildProcessError):
        return os.waitpid(child, os.WNOHANG)[0] == 0
    return False


def cpu_seconds_of(child: int) -> float:
    """Give the CPU time that a child has used."""
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def orphans() -> list[str]:
    """Say which children of a dead holder still run: they have come to us, its parent."""
    return [f"process {pid} ({NAME})" for pid in _children_of(os.getpid())]


def _children_of(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            name, rest = (folder / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
            state, ppid = rest.split()[:2]
            if name == NAME and int(ppid) == parent and state != "Z":
                found.append(pid)
    return found


def _write(name: str, text: str) -> None:
    with suppress(OSError):
        Path("/proc/self", name).write_text(text)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
