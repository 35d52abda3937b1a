"""Operators that start at once, and may be doomed to die at a point.

A parent that has imported all of `homeostat` is forked for each of them: a start takes a tenth of a second instead of
seconds of CPU. Points of the evaluation of RecoveryPolicies (homeostat.engine.points) are numbered from the first
intent on, and written into a file, one name a line. At the point of its number a doomed operator kills itself, between
one instruction and the next; with 0 it lives, and the file shows which points there are.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from cluster.operator_process import OperatorProcess, Running

KIND, FIRST = "RecoveryPolicy", "before intent"
NURSERY = get_context("forkserver")
NURSERY.set_forkserver_preload(["bench.kills.doomed", "homeostat.wiring.process", "uvloop", "homeostat.__main__"])
HASTE = (6.0, 4.0, 1.5)  # seconds: the duration, deadline and renewal of the lead, where another is to take it over


@dataclass(frozen=True, slots=True)
class Fate:
    """At which point a process dies (0: none), where it writes by which it came, and whether it leads in haste."""

    number: int
    points: Path
    is_hasty: bool = False


class Doom:
    """Counts points, and is one of them."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self._count = 0

    def reach(self, kind: str, point: str) -> None:
        """Take the place of `homeostat.engine.points.reach`."""
        if kind != KIND or (self._count == 0 and point != FIRST):
            return
        self._count += 1
        with self._fate.points.open("a", encoding="utf-8") as file:
            file.write(point + "\n")
        if self._count == self._fate.number:
            os.kill(os.getpid(), signal.SIGKILL)


def live(fate: Fate, command: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """Be the operator: this is what a forked process does."""
    from homeostat.__main__ import main  # noqa: PLC0415 - in the parent of all of them it is there already
    from homeostat.core.leadership import Terms  # noqa: PLC0415
    from homeostat.engine import points  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    points.reach = Doom(fate).reach
    if fate.is_hasty:
        Terms.__init__.__defaults__ = HASTE
    sys.exit(main(list(command)))


class Forked:
    """A forked process, asked as one of `subprocess` is."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Give its exit code; None while it lives."""
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""
        if self._process.pid is not None and self._process.exitcode is None:
            os.kill(self._process.pid, sig)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends, and give its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, "it does not end"
        return code


class Doomed(OperatorProcess):
    """An operator from the nursery, which kills itself at a point."""

    def __init__(self, folder: Path, kubeconfig: Path, identity: str, flags: tuple[str, ...], fate: Fate) -> None:
        super().__init__(folder, kubeconfig, identity, flags)
        self._fate = fate

    @override
    def _launch(self, environment: Mapping[str, str], log: BinaryIO) -> Running:
        told = self._command[self._command.index("run") :]
        process = NURSERY.Process(target=live, args=(self._fate, told, environment, log.name), daemon=True)
        process.start()
        return Forked(process)

    def reached(self) -> list[str]:
        """Name the points that it came by."""
        file = self._fate.points
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
