"""How many pods of the cluster are ready: a listing of all of them, so it is remembered for a while."""

from typing import Final

import structlog

from homeostat.ports import Clock, Cluster, Forbidden

log = structlog.get_logger("homeostat.chaos")

LASTS: Final = 30.0
"""Seconds for which a count is as good as a new one: it bounds what all experiments take from the cluster together."""


class Crowd:
    """Counts the ready pods of the cluster."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._count: int | None = None
        self._until = 0.0

    async def count(self) -> int | None:
        """Count them; None where we may not look. Raises Unavailable or Rejected."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._count = await self._look()
            self._until = now + LASTS
        return self._count

    async def _look(self) -> int | None:
        try:
            return await self._cluster.ready_pods()
        except Forbidden:
            log.warning("pods of the cluster not counted", reason="Forbidden", effect="no bound by all of them")
            return None
