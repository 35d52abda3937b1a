"""Operators that stand still at a point until they are killed or let go on, so that it is certain who dies when.

Each comes from the nursery of `bench.kills.doomed`. It reads at every point of an evaluation of a ChaosExperiment
(homeostat.engine.points) where it is to halt, and writes down by which points it came.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from bench.kills.doomed import NURSERY, Forked
from cluster.operator_process import OperatorProcess, Running

KIND = "ChaosExperiment"


@dataclass(frozen=True, slots=True)
class Halt:
    """Stand still when `point` is come by for the `nth` time in trial `trial`; "" never."""

    trial: int
    point: str = ""
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Desk:
    """Two files that the bench and its operator share."""

    halt: Path
    points: Path

    def tell(self, halt: Halt) -> None:
        """Say where to halt."""
        draft = self.halt.with_suffix(".new")
        draft.write_text(json.dumps(asdict(halt)), encoding="utf-8")
        draft.rename(self.halt)

    def told(self) -> Halt:
        """Read where to halt."""
        return Halt(**json.loads(self.halt.read_text(encoding="utf-8")))

    def passed(self, trial: int) -> list[str]:
        """Name the points that were come by in a trial."""
        lines = self.points.read_text(encoding="utf-8").splitlines() if self.points.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{trial} ")]


class Gatekeeper:
    """Takes the place of `homeostat.engine.points.reach`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._trial = -1
        self._counts: dict[str, int] = {}

    def reach(self, kind: str, point: str) -> None:
        """Write the point down, and stand still if it is the one."""
        if kind != KIND:
            return
        halt = self._desk.told()
        if halt.trial != self._trial:
            self._trial, self._counts = halt.trial, {}
        self._counts[point] = self._counts.get(point, 0) + 1
        with self._desk.points.open("a", encoding="utf-8") as file:
            file.write(f"{halt.trial} {point}\n")
        if (point, self._counts[point]) == (halt.point, halt.nth):
            os.kill(os.getpid(), signal.SIGSTOP)


def live(desk: Desk, command: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """Be the operator: this is what a forked process does."""
    from homeostat.__main__ import main  # noqa: PLC0415 - in the parent of all of them it is there already
    from homeostat.engine import points  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    points.reach = Gatekeeper(desk).reach
    sys.exit(main(list(command)))


class Halting(OperatorProcess):
    """An operator that halts where its desk says."""

    def __init__(self, folder: Path, kubeconfig: Path, flags: tuple[str, ...], desk: Desk) -> None:
        super().__init__(folder, kubeconfig, "one", flags)
        self._desk = desk
        self.pid = 0

    @override
    def _launch(self, environment: Mapping[str, str], log: BinaryIO) -> Running:
        told = self._command[self._command.index("run") :]
        process = NURSERY.Process(target=live, args=(self._desk, told, environment, log.name), daemon=True)
        process.start()
        self.pid = process.pid or 0
        return Forked(process)

    def has_halted(self) -> bool:
        """Whether it stands still."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "T"
        except OSError:
            return False

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)
