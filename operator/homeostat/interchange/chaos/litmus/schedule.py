"""ChaosSchedule: when its engine runs again, as a line of cron."""

import re
from datetime import timedelta
from typing import Any

from homeostat.interchange.chaos import cron, strict, units
from homeostat.interchange.reading import Source, Unusable

_FIELD = re.compile(r"[A-Za-z0-9,-]{1,64}")
_MOST_MINUTE, _MOST_HOUR = 59, 23


def schedule(source: Source) -> dict[str, Any]:
    """Give the members of our spec that say when; {} for now. Raises Unusable."""
    if "once" in source:
        raise Unusable(source.at("once"), "a single time in the future has no counterpart: apply it then")
    if "repeat" not in source:
        source.raw("now")
        return {}
    repeat = source.part("repeat")
    properties = repeat.part("properties")
    if properties.flag("random"):
        properties.notes.warn(properties.at("random"), "at fixed times, not at random ones")
    repeat.lose("there is no first and last day here: set suspend when it is to end", "timeRange")
    minute, hour = _interval(properties)
    hours = _field(repeat.part("workHours"), "includedHours")
    days = _field(repeat.part("workDays"), "includedDays")
    if hours != "*":
        hour = hour.replace("*", hours, 1)
    return {"schedule": {"cron": f"{minute} {hour} * * {days}"}}


def _interval(properties: Source) -> tuple[str, str]:
    """Give the fields of minutes and hours of `minChaosInterval`, which older versions wrote as a text."""
    name = "minChaosInterval"
    if isinstance(properties.raw(name), str):
        fields = strict.read(properties, name, lambda text: cron.every(units.duration(text))).split()
        return fields[0], fields[1]
    interval = properties.part(name)
    if "hour" in interval:
        part = interval.part("hour")
        hours = strict.figure(part, "everyNthHour", strict.whole(1, _MOST_HOUR + 1))
        minute = (
            strict.figure(part, "minuteOfTheHour", strict.whole(0, _MOST_MINUTE)) if "minuteOfTheHour" in part else 0
        )
        return str(minute), _every(part, timedelta(hours=hours)).split()[1]
    part = interval.part("minute")
    minutes = strict.figure(part, "everyNthMinute", strict.whole(1, _MOST_MINUTE + 1))
    fields = _every(part, timedelta(minutes=minutes)).split()
    return fields[0], fields[1]


def _every(part: Source, interval: timedelta) -> str:
    try:
        return cron.every(interval)
    except ValueError as error:
        raise Unusable(part.path, str(error)) from error


def _field(part: Source, name: str) -> str:
    text = part.text(name).replace(" ", "")
    if text and not _FIELD.fullmatch(text):
        raise Unusable(part.at(name), f'neither hours nor days: "{text}"')
    return text or "*"
