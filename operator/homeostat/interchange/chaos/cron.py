"""When others run again: lines of cron with their extensions, and intervals, as our spec.schedule."""

import re
from datetime import timedelta
from typing import Final

from homeostat.interchange.chaos.units import duration

_NAMED: Final = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)")
_FIELDS, _WITH_SECONDS = 5, 6
_HOUR, _DAY = 60, 24  # in minutes, in hours


def schedule(text: str) -> dict[str, str]:
    """Give spec.schedule of a cron line; raises ValueError for a line that says what ours cannot."""
    zone = _ZONE.fullmatch(text)
    line = _NAMED.get(zone[2] if zone else text) or _plain(zone[2] if zone else text)
    return {"cron": line} | ({"timeZone": zone[1]} if zone else {})


def _plain(text: str) -> str:
    if text.startswith("@every "):
        return every(duration(text.removeprefix("@every ").strip()))
    fields = text.replace("?", "*").split()
    if len(fields) == _WITH_SECONDS and fields[0] in {"0", "00"}:
        fields = fields[1:]
    if len(fields) != _FIELDS:
        raise ValueError(f'a schedule has five fields, minute to day of week, here: "{text}"')
    return " ".join(fields)


def every(interval: timedelta) -> str:
    """Give the cron line of an interval that divides an hour or a day; raises ValueError for others."""
    minutes, rest = divmod(interval, timedelta(minutes=1))
    hours, odd_minutes = divmod(minutes, _HOUR)
    if not rest and 0 < minutes < _HOUR and _HOUR % minutes == 0:
        return f"*/{minutes} * * * *"
    if not rest and not odd_minutes and 0 < hours < _DAY and _DAY % hours == 0:
        return f"0 */{hours} * * *"
    if interval == timedelta(days=1):
        return "0 0 * * *"
    raise ValueError("an interval that divides neither an hour nor a day has no line of cron; the shortest is 1m")
