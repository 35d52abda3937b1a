"""What a survey of all objectives looks at for one: its pairs of an alert, and the pace of its budget."""

from datetime import datetime

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core import calendar
from homeostat.core.burn import factor, pairs
from homeostat.core.survey import Watched


def watched(spec: ServiceLevelObjectiveSpec, now: datetime) -> Watched | None:
    """Give what to look at; None for an objective that no survey can follow, which is decided often instead."""
    if spec.indicator.composite is not None or calendar.problem(spec.window):
        return None
    period = calendar.period_at(spec.window, now).length
    limits = (
        (int(pair.long.total_seconds()), int(pair.short.total_seconds()), float(factor(pair.budget, period, pair.long)))
        for pair in pairs(spec.alerting.burn_rates, period)
    )
    return Watched(float((100 - spec.objective) / 100), int(period.total_seconds()), tuple(limits))
