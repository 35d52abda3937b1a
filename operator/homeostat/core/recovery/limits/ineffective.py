"""R9: a target that always falls back is not healed by healing it once more.

A return is a recovery that did not last, or a change of ours that another writer took back: its time stands in
`status.returns`. With as many of them in the window as the limit says, nothing is done while the trigger fires, until
so many of them have left the window that fewer are left.
"""

from collections.abc import Sequence
from datetime import datetime

from homeostat.api.recovery_limits import MOST_RETURNS, IneffectiveLimit

Returns = tuple[datetime, ...]


def with_return(returns: Returns, limit: IneffectiveLimit, now: datetime) -> Returns:
    """Remember one more return, and forget those that have left the window."""
    return (*_recent(returns, limit, now), now)[-MOST_RETURNS:]


def held_until(returns: Sequence[datetime], limit: IneffectiveLimit, now: datetime) -> datetime | None:
    """Say until when the chain counts as ineffective; None when it does not."""
    recent = _recent(returns, limit, now)
    return recent[-limit.count] + limit.window if len(recent) >= limit.count else None


def _recent(returns: Sequence[datetime], limit: IneffectiveLimit, now: datetime) -> Returns:
    """Give the returns within the window, oldest first; one that lies ahead, as the clock was set back, is of now."""
    return tuple(sorted(min(at, now) for at in returns if now - at < limit.window))
