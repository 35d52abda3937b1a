"""Guards: how one is seen, and when its undo Pod restores by itself (C3, C18).

It does when nobody renewed its Lease, when its time is over, or when it was told to end.

Only the Pod's own monotonic clock counts, in seconds: clocks of two machines need not agree. What is left until the
deadline is told by whoever renews, as the distance between two times of its own.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Cause(StrEnum):
    """Why a guard restored."""

    LEASE = "Lease"  # nobody renewed
    DEADLINE = "Deadline"  # the fault's own time is over
    GONE = "Gone"  # the Lease is no longer there
    ENDED = "Ended"  # the Pod was told to end


@dataclass(frozen=True, slots=True)
class GuardSeen:
    """The guard of the run. `ready_for`: the text of the records that its Pod has read and could restore; "" before.

    `has_fired`: it restored by itself. `trouble`: why its Pod does not start.
    """

    ready_for: str = ""
    has_fired: bool = False
    trouble: str = ""
    renewed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What a guard's Lease says: which renewal is the last, for how long it is good, and what is left from then on."""

    renewal: str
    seconds: float
    left: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What a guard knows: the last renewal, when it saw it first, and when it restores in any case."""

    sight: Sight
    seen_at: float
    ends_at: float

    def cause(self, now: float, looked_at: float) -> Cause | None:
        """Say why it restores now; None while it need not.

        Of the Lease no more is known than stood there when it was looked at: what has passed since, a slow answer or
        a process that stood still, is nothing that whoever renews failed to do.
        """
        if now >= self.ends_at:
            return Cause.DEADLINE
        return Cause.LEASE if looked_at >= self.seen_at + self.sight.seconds else None


def watch(known: Watch | None, sight: Sight, at: float) -> Watch:
    """Take in what the Lease says. A new renewal makes it good anew; it may bring the end nearer, but not put it off.

    No run lasts longer than was said when it began: only a clock that was set back, or is another machine's, says so.
    """
    if known is None:
        return Watch(sight, at, at + sight.left)
    if sight.renewal != known.sight.renewal:
        return Watch(sight, at, min(known.ends_at, at + sight.left))
    return replace(known, sight=sight)
