"""When a schedule is due: cron in a zone's own time, each time once, and what was missed is never made up for.

Over a change to summer time a fixed time that does not exist is due when the clock goes on (02:30 at 03:00); over a
change back one that exists twice is due the first time. Where minute or hour begin with `*` real time counts: every 15
minutes is every 15 minutes, also in the hour that is repeated.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from homeostat.api.chaos import Schedule
from homeostat.core.chaos.reasons import ChaosReason

LATEST_START = timedelta(seconds=30)
"""A time that is this long past was missed: the operator was away, or something stood against a run."""
FIELDS = 5  # a sixth would be seconds
_SECOND = timedelta(seconds=1)


def schedule_problem(schedule: Schedule | None, now: datetime) -> tuple[str, str] | None:
    """Say what is wrong with a schedule, as (reason, message); None when nothing is."""
    if schedule is None or next_after(schedule, now) is not None:
        return None
    if _zone(schedule.time_zone) is None:
        what = f'spec.schedule.timeZone is no IANA time zone that is known here: "{schedule.time_zone}"'
        return ChaosReason.INVALID_SCHEDULE, what
    if len(schedule.cron.split()) != FIELDS:
        return ChaosReason.INVALID_SCHEDULE, "spec.schedule.cron has not five fields"
    try:
        CronSim(schedule.cron, now)
    except CronSimError as error:
        return ChaosReason.INVALID_SCHEDULE, f"spec.schedule.cron cannot be read: {error}"
    return ChaosReason.INVALID_SCHEDULE, "spec.schedule.cron is never due"


def next_after(schedule: Schedule, moment: datetime) -> datetime | None:
    """Give the first time after `moment`, in UTC; None when there is none, or the schedule cannot be read."""
    zone = _zone(schedule.time_zone)
    if zone is None or len(schedule.cron.split()) != FIELDS:
        return None
    try:
        for due in CronSim(schedule.cron, moment.astimezone(UTC if schedule.time_zone == "UTC" else zone)):
            if due.astimezone(UTC) > moment:  # within a repeated hour it begins with the first of the two
                return due.astimezone(UTC)
    except (CronSimError, OverflowError):  # it cannot be read; there is no year 10000
        return None
    return None


def is_due_time(schedule: Schedule, moment: datetime) -> bool:
    """Whether the schedule as it is now names this very moment: an edited one may not."""
    return next_after(schedule, moment - _SECOND) == moment


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; no name at all; the name of a region, which is a directory
        return None
