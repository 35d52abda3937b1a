"""The recordings of windows: shares of bad events, each made of what is recorded for shorter ones (S4, S15).

Two series are read again and again. `rate5m` has a sample every minute, for the windows of alerts that wake somebody.
What is slower reads a thinner copy with one sample every five minutes: its samples meet without overlap, so each
event is in exactly one of them, and 30 days are 8,640 samples and not 43,200.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from homeostat.api.meta import format_duration
from homeostat.core.rules.names import number

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Source:
    """What a window is made of: the recordings of bad and total, with a sample every `step`.

    `total` "": each sample of bad is one slice. Each sample is about the `range` before it.
    """

    bad: str
    total: str
    step: timedelta
    range: timedelta

    def ratio(self, window: timedelta) -> str:
        """Give the share of bad events of a window: nothing where there were no events (S5)."""
        within = format_duration(window)
        if not self.total:
            return f"avg_over_time({self.bad}[{within}])"
        if window == self.range:
            return f"{self.bad} / ({self.total} > 0)"
        return f"avg_over_time({self.bad}[{within}]) / (avg_over_time({self.total}[{within}]) > 0)"

    def overall(self, window: timedelta, labels: str) -> str:
        """Give the share of bad events of all groups together."""
        within = format_duration(window)
        bad = f"sum by ({labels}) (sum_over_time({self.bad}[{within}]))"
        how = "sum" if self.total else "count"
        total = f"sum by ({labels}) ({how}_over_time({self.total or self.bad}[{within}]))"
        return f"{bad} / ({total} > 0)"

    def coverage(self, window: timedelta) -> str:
        """Give the share of a window that has data, from 0 to 1 (S6)."""
        within = format_duration(window)
        return f"clamp_max(count_over_time({self.total or self.bad}[{within}]) / {window // self.step}, 1)"

    def bad_events(self, window: timedelta) -> str:
        """Give the bad events, or slices, of a window."""
        within, each = format_duration(window), Decimal(self.step // SECOND) if self.total else Decimal(1)
        return f"sum_over_time({self.bad}[{within}]) * {number(each)}"
