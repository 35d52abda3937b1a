"""How long a fault may be up: until beats are missing, and never longer than the order says. No clock in here.

Times are seconds of one monotonic clock that goes on while the machine sleeps.
"""

from homeostat.core.orders import OffReason, Order

FIRST_BEAT_SECONDS = 75.0
"""How long an agent that is ready waits for the go, and touches nothing: longer than its run waits for the others."""


class Lease:
    """The lease of one fault, from its first beat on."""

    def __init__(self, order: Order, now: float) -> None:
        self.length = order.misses * order.beat_seconds
        """Seconds without a beat after which the fault goes."""
        self._deadline = now + order.seconds
        self._renewed = now

    def renew(self, now: float) -> None:
        """Take a beat that came at `now`."""
        self._renewed = now

    def left(self, now: float) -> float:
        """Give the seconds for which the fault may stay if no other beat comes; 0 or less when it has to go."""
        return min(self._renewed + self.length, self._deadline) - now

    def reason(self, now: float) -> OffReason | None:
        """Say why the fault has to go at `now`, if it has to."""
        if now >= self._deadline:
            return OffReason.DEADLINE
        return OffReason.LEASE if now >= self._renewed + self.length else None
