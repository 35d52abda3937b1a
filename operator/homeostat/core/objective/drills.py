"""Alerts that experiments account for: who expects one, from when on, and until when (C13).

    fault on ───────── run over ───────────── short window and SLACK later
       │ alerts that begin here are expected │ those still are, if the run passed

An alert from before the fault is not due to it. One that still fires when the run is over is nobody's plan any more,
with one exception: an alert looks back over its short window, so after a run that passed it is given that long to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.api.objective_status import Alert

LONGEST_ECHO = timedelta(minutes=30)
"""How far back the slowest page looks by default: no alert is given longer to end after the run."""
SLACK = timedelta(minutes=2)
"""The minute that an alert ends with is counted whole, and looked at some time later."""


@dataclass(frozen=True, slots=True)
class Drill:
    """An experiment that expects alerts of an objective: those that began `since`.

    `over_at`: when its run was over, and had passed; None while it is under way.
    """

    experiment: str
    since: datetime
    over_at: datetime | None = None


def expected_by(alert: Alert, drills: Sequence[Drill], now: datetime) -> str | None:
    """Name the experiment that accounts for an alert; None when it must go to whoever is on call."""
    accounts = (one.experiment for one in drills if _accounts_for(one, alert, now))
    return next(accounts, None)


def _accounts_for(drill: Drill, alert: Alert, now: datetime) -> bool:
    if alert.since < drill.since:
        return False
    if drill.over_at is None:
        return True
    echo = min(alert.short or timedelta(0), LONGEST_ECHO) + SLACK
    return alert.expected_by == drill.experiment and alert.since <= drill.over_at and now < drill.over_at + echo
