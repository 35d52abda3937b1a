"""The brake before the API server: a token bucket for all writes, and a small one for mere refreshes.

One status write costs the API server as much CPU as 27 probes cost us. Changes wait their turn; refreshes of
figures happen only when there is room, so that 10,000 checks in steady state write next to nothing.
"""

import asyncio

from homeostat.core.pace import TokenBucket
from homeostat.kube.apiserver.gate import Urgency
from homeostat.ports import Clock

REFRESH_AFTER = 60.0  # seconds: figures in status are never refreshed more often


class PacedGate:
    """Lets writes through at `rate` a second (`kube.apiserver.gate.WriteGate`), and refreshes at `refresh_rate`."""

    def __init__(self, clock: Clock, *, rate: float, refresh_rate: float) -> None:
        self._clock = clock
        self._writes = TokenBucket(rate, burst=2 * rate)
        self._refreshes = TokenBucket(refresh_rate, burst=max(1.0, 10 * refresh_rate))
        self._refresh_rate = refresh_rate

    async def pass_(self, urgency: Urgency) -> None:
        """Wait until one more write may go. Acts and leases are counted but never wait behind figures."""
        wait = self._writes.take(self._clock.monotonic())
        if wait > 0 and urgency < Urgency.ACTION:
            await asyncio.sleep(wait)

    def may_refresh(self) -> bool:
        """Whether one more refresh fits in now; if so it is taken."""
        return self._refreshes.take_if_there(self._clock.monotonic())

    def refresh_every(self, objects: int) -> float:
        """Give the seconds between two refreshes of one object, when `objects` share the allowance."""
        return max(REFRESH_AFTER, objects / self._refresh_rate)
