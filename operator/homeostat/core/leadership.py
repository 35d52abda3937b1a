"""Who leads, decided without trusting anybody's clock: only our own monotonic seconds are compared.

The times written in a Lease are for humans. Another's leadership has ended when its record has not changed for its
whole duration while we watched; ours has ended when we have not renewed it within the deadline, counted from before
the renewal was sent. With deadline < duration, the old leader stops before the new one starts, whatever the skew.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Terms:
    """The seconds of an election: `deadline` to renew, every `renew_every`; others wait for `duration`."""

    duration: float = 15.0
    deadline: float = 10.0
    renew_every: float = 2.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """The record of leadership as we last saw it change.

    `version` is opaque and changes with each write; `since` is our monotonic time when we first saw that version;
    `seconds` is the duration that its holder asked for.
    """

    holder: str
    version: str
    seconds: float
    since: float


class Step(StrEnum):
    """What a candidate does next."""

    CREATE = "Create"  # there is no record
    TAKE = "Take"  # nobody holds it, or the holder has been silent for too long
    RENEW = "Renew"  # it is ours
    WAIT = "Wait"  # somebody else leads


def sighted(last: Sighting | None, holder: str, version: str, seconds: float, now: float) -> Sighting:
    """Update what we know with a record read at `now`: an unchanged one keeps its `since`."""
    if last is not None and last.version == version:
        return last
    return Sighting(holder, version, seconds, now)


def next_step(me: str, seen: Sighting | None, terms: Terms, now: float) -> Step:
    """Decide what candidate `me` does, having seen the record (None: there is none)."""
    if seen is None:
        return Step.CREATE
    if seen.holder == me:
        return Step.RENEW
    if not seen.holder or now - seen.since >= max(seen.seconds, terms.duration):
        return Step.TAKE
    return Step.WAIT


def seconds_left(renewed_at: float, terms: Terms, now: float) -> float:
    """Give how long a leader may still act, having sent its last good renewal at `renewed_at`; ≤ 0 means it may not."""
    return renewed_at + terms.deadline - now
