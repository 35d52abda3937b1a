"""How many pods of the cluster are ready: a listing of all of them, so it is remembered for a while."""

import math
from typing import Final

import structlog

from homeostat.ports import Clock, Cluster, Forbidden

log = structlog.get_logger("homeostat.chaos")

LASTS: Final = 30.0
"""Seconds for which a count is as good as a new one: it bounds what all experiments take from the cluster together."""
LASTS_AT_START: Final = 2.0
"""The same where a run is about to begin: what refuses it then ends it."""


class Crowd:
    """Counts the ready pods of the cluster."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._count: int | None = None
        self._looked_at = -math.inf

    async def count(self, at_least: int, lasts: float = LASTS) -> int | None:
        """Count them; None where we may not look. Raises Unavailable or Rejected.

        `at_least`: so many have just been seen, so that a count of fewer is outdated, whatever its age.
        """
        now = self._clock.monotonic()
        is_outdated = self._count is not None and self._count < at_least
        if is_outdated or now - self._looked_at >= lasts:
            self._count = await self._look()
            self._looked_at = now
        return None if self._count is None else max(self._count, at_least)

    async def _look(self) -> int | None:
        try:
            return await self._cluster.ready_pods()
        except Forbidden:
            log.warning("pods of the cluster not counted", reason="Forbidden", effect="no bound by all of them")
            return None
