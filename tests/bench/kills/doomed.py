"""Starts `homeostat` doomed to die at a point: `doomed.py NUMBER FILE -- run …`.

Points of the evaluation of RecoveryPolicies (homeostat.engine.points) are numbered from the first intent on, and
written into FILE, one name a line. At the point of this NUMBER the process kills itself, between one instruction and
the next; with 0 it lives, and FILE shows which points there are.
"""

import os
import signal
import sys
from pathlib import Path

KIND, FIRST = "RecoveryPolicy", "before intent"


class Doom:
    """Counts points, and is one of them."""

    def __init__(self, number: int, file: Path) -> None:
        self._number = number
        self._file = file
        self._count = 0

    def reach(self, kind: str, point: str) -> None:
        """Take the place of `homeostat.engine.points.reach`."""
        if kind != KIND or (self._count == 0 and point != FIRST):
            return
        self._count += 1
        with self._file.open("a", encoding="utf-8") as file:
            file.write(point + "\n")
        if self._count == self._number:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    del sys.path[0]  # the bench's own folder
    from homeostat.__main__ import main
    from homeostat.engine import points

    number, file = sys.argv[1:3]
    points.reach = Doom(int(number), Path(file)).reach
    sys.exit(main(sys.argv[sys.argv.index("--") + 1 :]))
