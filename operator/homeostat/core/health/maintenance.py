"""Until when a check rests because its target is worked on."""

from collections.abc import Iterable
from datetime import datetime


def rests_until(windows: Iterable[tuple[datetime, datetime]], now: datetime) -> datetime | None:
    """Say when the maintenance that holds at `now` is over, windows that meet or overlap taken as one; None: none."""
    until = now
    for start, end in sorted(windows):
        if start <= until < end:
            until = end
    return until if until > now else None
