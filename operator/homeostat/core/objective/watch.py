"""What a survey of all objectives looks at for one, and how soon those are looked at again that have bad events."""

from datetime import datetime, timedelta

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.objective import calendar
from homeostat.core.objective.alerts import OUTAGE_WINDOW
from homeostat.core.objective.burn import factor, pairs
from homeostat.core.objective.survey import Watched

TROUBLED, WELL = timedelta(seconds=10), timedelta(seconds=30)
"""How soon to look again at an objective while its shortest window has bad events, and while its data may go stale."""
MOST_LOOKS = 100
"""Looks a second at all those that have bad events, or at all: where there are more, each is looked at less often."""
_ALMOST = 1 - 1e-9


def watched(
    spec: ServiceLevelObjectiveSpec, now: datetime, interval: timedelta = timedelta(minutes=1)
) -> Watched | None:
    """Give what to look at; None for an objective that no survey can follow, which is decided often instead.

    `interval` is how often results come. A total outage is a pair, too: ten minutes in which all is bad.
    """
    if spec.indicator.composite is not None or calendar.problem(spec.window):
        return None
    period = calendar.period_at(spec.window, now).length
    bad_share, outage = float((100 - spec.objective) / 100), int(OUTAGE_WINDOW.total_seconds())
    limits = (
        (int(pair.long.total_seconds()), int(pair.short.total_seconds()), float(factor(pair.budget, period, pair.long)))
        for pair in pairs(spec.alerting.burn_rates, period)
    )
    all_bad = (outage, outage, _ALMOST / bad_share)
    return Watched(bad_share, int(period.total_seconds()), (*limits, all_bad), interval.total_seconds())


def is_troubled(status: ServiceLevelObjectiveStatus) -> bool:
    """Whether the shortest window that is shown has bad events."""
    return any(entry.rate > 0 for entry in status.burn_rates[:1])


def look_again_in(count: int, soonest: timedelta = TROUBLED) -> timedelta:
    """Say how soon to look again at each of so many objectives.

    Alerts do not wait for it: a survey tells when one may begin. Figures do, that data went stale does, and what no
    survey sees: `minBadEvents`.
    """
    return max(soonest, timedelta(seconds=count / MOST_LOOKS))
