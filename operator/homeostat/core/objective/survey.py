"""The burn rates of all objectives at once, so that only those are decided whose alerts or budgets moved.

A hint and no verdict: `decide` looks closer (at exclusions, calendars, coverage). What a survey does not see is seen
when an objective is decided anyway, every few minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homeostat.core.history.ledger import Ledger
from homeostat.core.history.ring import BAD, OBSERVED, TOTAL, Counted, Flags
from homeostat.core.history.window import MINUTE

MOVED = 0.001
"""The share of a budget that is worth a decision."""

Rates = npt.NDArray[np.float64]
"""By slot; of several windows a row each."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What to look at for a series: B (the share that may be bad), its period (s), and pairs of an alert.

    A pair is (long, short, factor): two windows (s), and the burn rate that both must reach, the long one with the time
    that has no data filled up by good events. `interval` is how often results come (s).
    """

    bad_share: float
    period: int
    pairs: tuple[tuple[int, int, float], ...] = ()
    interval: float = 0.0


def burn_rates(ledger: Ledger, windows: Sequence[int], bad_shares: Rates) -> tuple[Rates, npt.NDArray[np.bool_]]:
    """Give the burn rates of all slots over windows (s), and where there is data; both (windows, slots).

    Where there is no data the rate is 0, never NaN (S5).
    """
    return _rates(ledger.windows(windows), windows, bad_shares)


def _rates(counts: Mapping[int, Counted], windows: Sequence[int], bad_shares: Rates) -> tuple[Rates, Flags]:
    width = len(bad_shares)
    rates, has_data = np.zeros((len(windows), width)), np.zeros((len(windows), width), dtype=np.bool_)
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
        self._bad_shares = self._speaks_for = np.ones(0)
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

    def crossed(self) -> tuple[int, ...]:
        """Give the slots whose pairs crossed their factor since they were last given: an alert may begin or end."""
        return self._given(self._crossed(self._counts())) if self._watched else ()

    def changed(self) -> tuple[int, ...]:
        """Give the slots whose pairs crossed their factor, or whose budget moved, since they were last given."""
        if not self._watched:
            return ()
        counts = self._counts()
        changed = self._crossed(counts)
        rates, _ = _rates(counts, tuple(self._periods), self._bad_shares)
        for consumed, flags in zip(rates, self._periods.values(), strict=True):
            moved = flags & (np.abs(consumed - self._consumed) >= MOVED)
            changed |= moved
            self._consumed[moved] = consumed[moved]
        return self._given(changed)

    def _given(self, changed: Flags) -> tuple[int, ...]:
        return tuple(slot for slot in np.flatnonzero(changed).tolist() if slot in self._watched)

    def _counts(self) -> Mapping[int, Counted]:
        """Count all windows that are looked at."""
        if not self._is_current or len(self._consumed) != self._ledger.width:
            self._arrange()
        return self._ledger.windows(sorted({*self._periods, *(window for pair in self._factors for window in pair)}))

    def _crossed(self, counts: Mapping[int, Counted]) -> Flags:
        """Say whose pairs reach their factor, or no longer do, unlike when this was last asked."""
        crossed = np.zeros(self._ledger.width, dtype=np.bool_)
        windows = tuple(dict.fromkeys(window for pair in self._factors for window in pair))
        rates = dict(zip(windows, _rates(counts, windows, self._bad_shares)[0], strict=True))
        for (long, short), factors in self._factors.items():
            covered = np.minimum(counts[long][OBSERVED] * self._speaks_for * (MINUTE / long), 1.0)
            reached = (rates[long] * covered >= factors) & (rates[short] >= factors)
            crossed |= reached != self._reached[long, short]
            self._reached[long, short] = reached
        return crossed

    def _arrange(self) -> None:
        """Lay what is watched out in arrays."""
        width, known = self._ledger.width, len(self._consumed)
        self._bad_shares, self._speaks_for = np.ones(width), np.ones(width)
        self._consumed = np.concatenate((self._consumed[:width], np.full(max(0, width - known), np.inf)))
        self._factors, self._periods = {}, {}
        for slot, watched in self._watched.items():
            self._bad_shares[slot] = watched.bad_share
            self._speaks_for[slot] = max(watched.interval / MINUTE, 1.0)
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
