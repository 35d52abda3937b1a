"""How fast an objective burns now over the shortest of its alerts: what others than its own alerts are decided by."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.history.series import Series
from homeostat.core.objective import calendar
from homeostat.core.objective.burn import burn, pairs
from homeostat.core.objective.tally import Tally


class Burning(NamedTuple):
    """The burn rates over a long and a short window; None where the window has no events."""

    long: Decimal | None
    short: Decimal | None


def burning_now(spec: ServiceLevelObjectiveSpec, series: Series, interval: timedelta, now: datetime) -> Burning | None:
    """Give how fast it burns over both windows of the shortest pair; None where the objective cannot be evaluated.

    As of its alerts: what the long window has not seen yet counts as good, so that a first failure is no outage.
    """
    if calendar.problem(spec.window):
        return None
    period = calendar.period_at(spec.window, now)
    listed = pairs(spec.alerting.burn_rates, period.length)
    if not listed:
        return None
    shortest = min(listed, key=lambda pair: (pair.long, pair.short))
    tally, bad_share = Tally(spec, series, interval, period, now), (100 - spec.objective) / 100
    return Burning(burn(tally.filled(shortest.long), bad_share), burn(tally.last(shortest.short), bad_share))
