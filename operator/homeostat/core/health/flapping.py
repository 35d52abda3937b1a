"""Whether a check turns to and fro: so many turns between Unhealthy and not, within a window.

    steady ──`transitions` turns within `window`──▶ flapping ──a whole `window` without a turn──▶ steady

Turns are wall times, oldest first, and kept in status (H6). Those that lie ahead do not count: the clock was set back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from homeostat.api.health_check import Flapping

MOST_KEPT = 20
"""Turns that are remembered: as many as `transitions` may ask for."""

Turns = tuple[datetime, ...]


def with_turn(turns: Turns, now: datetime) -> Turns:
    """Remember one more turn, and forget what is too old or lies ahead."""
    return (*(turn for turn in turns if turn <= now), now)[-MOST_KEPT:]


def is_flapping(rule: Flapping, turns: Sequence[datetime], now: datetime, *, was: bool) -> bool:
    """Say whether it flaps now; `was`: whether it did before."""
    recent = sum(timedelta(0) <= now - turn < rule.window for turn in turns)
    return recent > 0 if was else recent >= rule.transitions


def steady_at(rule: Flapping, turns: Sequence[datetime], now: datetime) -> datetime | None:
    """Say when flapping ends if no turn follows; None when it has."""
    last = max((turn for turn in turns if turn <= now), default=None)
    return None if last is None or last + rule.window <= now else last + rule.window
