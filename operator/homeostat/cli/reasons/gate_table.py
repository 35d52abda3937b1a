"""How `homeostat explain` writes gates, of policies and of experiments alike: a line each, and when one opens. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from homeostat.api.meta import format_duration, format_time

PASSED, REFUSED, NOT_KNOWN = "passed", "REFUSED", "not known"
_SECOND = timedelta(seconds=1)


def table(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Write a line for each gate: its name, what it says, and why."""
    width = max(len(name) for name, _, _ in rows)
    yield f"{'GATE':{width}}  SAYS       WHY"
    for name, says, why in rows:
        yield f"{name:{width}}  {says:9}  {why}".rstrip()


def until_then(until: datetime | None, now: datetime) -> str:
    """Say when a gate opens by itself; "" when that is not known, or past."""
    if until is None or until <= now:
        return ""
    return f" (until {format_time(until)}, in {whole(until - now)})"


def whole(time: timedelta) -> str:
    """Write a length of time in whole seconds."""
    return format_duration(time - time % _SECOND)
