"""Every run of every check for a while: columns that a run is appended to, handed over to history minute by minute.

The hot path is five appends to typed arrays: a run takes 19 bytes until its minute is over.
"""

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from homeostat.core.health.run import Run
from homeostat.core.history.records import RETRIED, VERDICTS, Runs, code_of
from homeostat.core.history.window import MINUTE
from homeostat.core.probing.result import Reason

_CODES = {verdict: code for code, verdict in enumerate(VERDICTS)}
_REASONS = {reason: code_of(reason) for reason in Reason}
_NEVER = 1 << 60  # minutes

Written = npt.NDArray[Any]
"""Structured: slot, at (epoch s), verdict, reason, seconds; a row a run."""
_WRITTEN = np.dtype([("slot", "u4"), ("at", "f8"), ("verdict", "u1"), ("reason", "u2"), ("seconds", "f4")])


class RawBook:
    """Runs of the unfinished minute, by slot of their check."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._former: list[tuple[int, int, str]] = []  # slot, runs written until then, series
        self._slots, self._at = array("I"), array("d")
        self._verdicts, self._reasons, self._seconds = array("B"), array("H"), array("f")

    def open(self, slot: int, series: str) -> None:
        """Say whose runs a slot has from here on; what is written down already stays with whose it was."""
        self._names.extend([""] * (slot + 1 - len(self._names)))
        before, self._names[slot] = self._names[slot], series
        if before not in {"", series} and self._slots:
            self._former.append((slot, len(self._slots), before))

    def add(self, slot: int, run: Run, at: float) -> None:
        """Write down one run that ended at `at` (epoch s). The hot path."""
        self._slots.append(slot)
        self._at.append(at)
        self._verdicts.append(_CODES[run.verdict] | RETRIED if run.is_retried else _CODES[run.verdict])
        self._reasons.append(_REASONS[run.reason])
        self._seconds.append(run.seconds)

    def drain(self, before: int = _NEVER) -> Iterator[Runs]:
        """Hand over the runs of minutes before `before` (since the epoch), a minute at a time, oldest first."""
        written, names = self._read()
        minutes = (written["at"] // MINUTE).astype(np.int64)
        self._keep(written, minutes >= before)
        for minute in np.unique(minutes[minutes < before]).tolist():
            yield _runs(minute * MINUTE, written[minutes == minute], names)

    def _read(self) -> tuple[Written, list[str]]:
        """Give all that is written, and the names of its slots; a slot that changed hands becomes two."""
        written = np.empty(len(self._slots), dtype=_WRITTEN)
        for name, column in self._columns():
            written[name] = column
        names = list(self._names)
        for slot, count, series in self._former:
            early = written["slot"][:count]
            early[early == slot] = len(names)
            names.append(series)
        return written, names

    def _keep(self, written: Written, is_kept: npt.NDArray[np.bool_]) -> None:
        """Forget all but some runs."""
        slots = np.array(self._slots, dtype=np.uint32)  # those in `written` may be others
        for name, column in self._columns():
            kept = slots if name == "slot" else written[name]
            del column[:]
            column.frombytes(kept[is_kept].tobytes())
        former = ((slot, int(is_kept[:count].sum()), series) for slot, count, series in self._former)
        self._former = [one for one in former if one[1]]

    def _columns(self) -> Iterator[tuple[str, "array[int] | array[float]"]]:
        columns = (self._slots, self._at, self._verdicts, self._reasons, self._seconds)
        return zip(_WRITTEN.names or (), columns, strict=True)


def _runs(start: int, written: Written, names: list[str]) -> Runs:
    slots, owner = np.unique(written["slot"], return_inverse=True)
    return Runs(
        start=start,
        series=tuple(names[slot] for slot in slots.tolist()),
        owner=owner.astype(np.uint32),
        offset=((written["at"] - start) * 1000).astype(np.uint16),
        verdict=written["verdict"],
        reason=written["reason"],
        seconds=written["seconds"].astype(np.float16),
    )
