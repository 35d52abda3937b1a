"""When an undo Pod restores by itself: nobody renewed its Lease, its time is over, or it was told to end (C3, C18).

Only the Pod's own monotonic clock counts, in seconds: clocks of two machines need not agree. What is left until the
deadline is told by whoever renews, as the distance between two times of its own.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Cause(StrEnum):
    """Why a guard restored."""

    LEASE = "Lease"  # nobody renewed
    DEADLINE = "Deadline"  # the fault's own time is over
    GONE = "Gone"  # the Lease is no longer there
    ENDED = "Ended"  # the Pod was told to end


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

    def cause(self, at: float) -> Cause | None:
        """Say why it restores now; None while it need not."""
        if at >= self.ends_at:
            return Cause.DEADLINE
        return Cause.LEASE if at >= self.seen_at + self.sight.seconds else None


def watch(known: Watch | None, sight: Sight, at: float) -> Watch:
    """Take in what the Lease says: a renewal that was not known begins everything anew."""
    if known is None or sight.renewal != known.sight.renewal:
        return Watch(sight, at, at + sight.left)
    return replace(known, sight=sight)
