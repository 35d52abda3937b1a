"""The burn rates of all objectives at once, so that only those are decided whose alerts or budgets moved.

A hint and no verdict: `decide` looks closer (at exclusions, calendars, coverage). What a survey does not see is seen
when an objective is decided anyway, every few minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homeostat.core.ledger import Ledger
from homeostat.core.ring import BAD, TOTAL, Flags

MOVED = 0.001
"""The share of a budget that is worth a decision."""

Rates = npt.NDArray[np.float64]
"""By slot; of several windows a row each."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What to look at for a series: B (the share that may be bad), its period (s), and pairs of an alert.

    A pair is (long, short, factor): two windows (s), and the burn rate that both must reach.
    """

    bad_share: float
    period: int
    pairs: tuple[tuple[int, int, float], ...] = ()


def burn_rates(ledger: Ledger, windows: Sequence[int], bad_shares: Rates) -> tuple[Rates, npt.NDArray[np.bool_]]:
    """Give the burn rates of all slots over windows (s), and where there is data; both (windows, slots).

    Where there is no data the rate is 0, never NaN (S5).
    """
    counts = ledger.windows(windows)
    rates, has_data = np.zeros((len(windows), ledger.width)), np.zeros((len(windows), ledger.width), dtype=np.bool_)
    for row, seconds in enumerate(windows):
        counted = counts[seconds]
        np.greater(counted[TOTAL], 0, out=has_data[row])
        np.divide(counted[BAD], counted[TOTAL] * bad_shares, out=rates[row], where=has_data[row])
    return rates, has_data


class Survey:
    """What is watched in one ledger, by slot, and how it stood when it was last said to have changed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watched: dict[int, Watched] = {}
        self._is_current = False
        self._bad_shares = np.ones(0)
        self._factors: dict[tuple[int, int], Rates] = {}
        self._periods: dict[int, Flags] = {}
        self._reached: dict[tuple[int, int], Flags] = {}
        self._consumed = np.zeros(0)

    def watch(self, slot: int, watched: Watched | None) -> None:
        """Watch a slot, or no longer. It has changed by that, so it is given next time."""
        if self._watched.get(slot) == watched:
            return
        if watched is None:
            del self._watched[slot]
        else:
            self._watched[slot] = watched
        self._is_current = False
        if slot < len(self._consumed):
            self._consumed[slot] = np.inf

    def changed(self) -> tuple[int, ...]:
        """Give the slots whose pairs crossed their factor, or whose budget moved, since they were last given."""
        if not self._watched:
            return ()
        if not self._is_current or len(self._consumed) != self._ledger.width:
            self._arrange()
        windows = sorted({*self._periods, *(window for pair in self._factors for window in pair)})
        rates, _ = burn_rates(self._ledger, windows, self._bad_shares)
        by_window = dict(zip(windows, rates, strict=True))
        changed = np.zeros(self._ledger.width, dtype=np.bool_)
        for pair, factors in self._factors.items():
            reached = (by_window[pair[0]] >= factors) & (by_window[pair[1]] >= factors)
            changed |= reached != self._reached[pair]
            self._reached[pair] = reached
        for period, flags in self._periods.items():
            moved = flags & (np.abs(by_window[period] - self._consumed) >= MOVED)
            changed |= moved
            self._consumed[moved] = by_window[period][moved]
        return tuple(slot for slot in np.flatnonzero(changed).tolist() if slot in self._watched)

    def _arrange(self) -> None:
        """Lay what is watched out in arrays."""
        width, known = self._ledger.width, len(self._consumed)
        self._bad_shares = np.ones(width)
        self._consumed = np.concatenate((self._consumed[:width], np.full(max(0, width - known), np.inf)))
        self._factors, self._periods = {}, {}
        for slot, watched in self._watched.items():
            self._bad_shares[slot] = watched.bad_share
            self._periods.setdefault(watched.period, np.zeros(width, dtype=np.bool_))[slot] = True
            for long, short, factor in watched.pairs:
                factors = self._factors.setdefault((long, short), np.full(width, np.inf))
                factors[slot] = min(factors[slot], factor)
        reached = {pair: np.zeros(width, dtype=np.bool_) for pair in self._factors}
        for pair, flags in reached.items():
            before = self._reached.get(pair, flags)
            flags[: len(before)] = before
        self._reached = reached
        self._is_current = True
