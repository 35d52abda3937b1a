"""Leader election: one replica acts, the others wait (`Leadership`). The decisions are in `core.leadership`.

Whoever finds `hold` returning must stop at once (the operator exits): from then on another may lead.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from homeostat.core.leadership import Sighting, Step, Terms, next_step, seconds_left, sighted
from homeostat.kube.apiserver.client import ApiClient, Timing
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.leases.lease import LeaseObject, Leases, held
from homeostat.ports import Clock, Conflict, Forbidden, Gone, Rejected, Unavailable

NAME = "homeostat-leader"
_SOON = 1.0  # seconds between attempts while somebody else leads, or something is wrong
_PATIENCE = 3.0  # seconds for one attempt, or half of what is left: a dead connection leaves time for another

_log = logging.getLogger(__name__)
_NO_LUCK = (Conflict, Gone, Unavailable, Forbidden, Rejected, TimeoutError)


class Leadership:
    """One candidate for the Lease `homeostat-leader` of a namespace: `identity` (such as the pod's name), made unique.

    Use: `await acquire()`, then `await hold()` beside the work; on a graceful stop `await settled()`, cancel, and
    `await release()`.
    `is_held()` is true exactly while this process may act; it may be asked from any thread. While `may_renew` says no
    the Lease is not renewed, and is lost at the deadline.
    """

    def __init__(  # noqa: PLR0913 - who stands for what, by which clock, on which terms
        self,
        client: ApiClient,
        namespace: str,
        identity: str,
        clock: Clock,
        *,
        terms: Terms | None = None,
        timing: Timing | None = None,
        may_renew: Callable[[], bool] = lambda: True,
    ) -> None:
        self._leases = Leases(client, Urgency.LEASE)
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._terms = terms or Terms()
        self._sleep: Callable[[float], Any] = (timing or Timing()).sleep
        self._may_renew = may_renew
        self._lease: LeaseObject | None = None
        self._seen: Sighting | None = None
        self._renewed_at: float | None = None
        self._failed_at = -math.inf
        self._turn = asyncio.Lock()  # of the one request that is under way
        self._untouched: LeaseObject | None = None
        """The record as we wrote it last, while nothing else is known of it: it need not be read to be renewed."""

    def is_held(self) -> bool:
        """Whether this process leads now, by its own monotonic clock."""
        return self._seconds_left() > 0

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not await self._attempt(_PATIENCE):
            await self._sleep(_SOON)
        _log.info("leading as %s", self._identity)

    async def hold(self) -> None:
        """Renew for as long as that succeeds; return when leadership is lost, at the deadline at the latest."""
        while (left := self._seconds_left()) > 0:
            await self._sleep(min(left, self._pause()))
            tried_at, left = self._clock.monotonic(), self._seconds_left()
            patience = min(left, max(_PATIENCE, left / 2))
            is_renewed = left > 0 and self._may_renew() and await self._attempt(patience)
            self._failed_at = -math.inf if is_renewed else tried_at
            if not is_renewed and self._is_taken():
                break
        self._renewed_at = None
        _log.error("leadership of %s is lost", self._identity)

    async def settled(self) -> None:
        """Wait until no write is under way, for a while at most.

        One that is dropped may be carried out all the same, and what was known of the Lease is old then: it could not
        be given up, and the next one had to wait for its end.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE), self._turn:
                pass

    async def release(self) -> None:
        """Give leadership up, so that the next one need not wait. Best effort: it ends by itself anyway."""
        if self._lease is None or not self.is_held():
            return
        self._renewed_at = None
        spec = held(self._identity, 1, self._clock.now()) | {"holderIdentity": ""}
        try:
            async with asyncio.timeout(self._terms.deadline):
                await self._leases.change(self._lease, spec)
        except _NO_LUCK as error:
            _log.warning("leadership could not be released: %s", type(error).__name__)

    async def _attempt(self, seconds: float) -> bool:
        """Look once and do what follows, within `seconds`; whether we lead by the write that was sent now."""
        try:
            async with self._turn, asyncio.timeout(seconds):
                return await self._renew_untouched() or await self._look_and_write()
        except _NO_LUCK as error:
            _log.warning("leadership: %s", type(error).__name__)
            return False

    async def _renew_untouched(self) -> bool:
        """Renew without reading; False when we have nothing to renew, or somebody wrote since."""
        lease, self._untouched = self._untouched, None
        now = self._clock.monotonic()
        if lease is None:
            return False
        try:
            self._led(await self._write(Step.RENEW, lease), now)
        except Conflict:
            return False
        return True

    async def _look_and_write(self) -> bool:
        lease = await self._leases.read(self._namespace, NAME)
        now = self._clock.monotonic()
        self._lease, self._seen = lease, self._sighting(lease, now)
        step = next_step(self._identity, self._seen, self._terms, now)
        if step is Step.WAIT:
            return False
        self._led(await self._write(step, lease), now)
        return True

    def _led(self, lease: LeaseObject, now: float) -> None:
        """Take note that we lead by what was written after `now`: the others count from after it was done."""
        self._lease = self._untouched = lease
        self._seen = self._sighting(lease, now)
        self._renewed_at = now

    async def _write(self, step: Step, lease: LeaseObject | None) -> LeaseObject:
        now, seconds = self._clock.now(), int(self._terms.duration)
        if lease is None:
            spec = held(self._identity, seconds, now, since=now)
            return await self._leases.create(self._namespace, NAME, spec)
        if step is Step.RENEW:
            return await self._leases.change(lease, held(self._identity, seconds, now))
        taken = held(self._identity, seconds, now, since=now) | {"leaseTransitions": lease.transitions + 1}
        return await self._leases.change(lease, taken)

    def _sighting(self, lease: LeaseObject | None, now: float) -> Sighting | None:
        if lease is None:
            return None
        version = f"{lease.uid}/{lease.resource_version}"
        return sighted(self._seen, lease.holder, version, float(lease.seconds), now)

    def _is_taken(self) -> bool:
        """Whether the record that we saw last names another leader."""
        return self._seen is not None and self._seen.holder != self._identity

    def _pause(self) -> float:
        """Give the seconds until the Lease is to be renewed, or that is tried again."""
        due = (self._renewed_at or 0.0) + self._terms.renew_every
        return max(0.0, max(due, self._failed_at + _SOON) - self._clock.monotonic())

    def _seconds_left(self) -> float:
        renewed_at = self._renewed_at
        if renewed_at is None:
            return 0.0
        return seconds_left(renewed_at, self._terms, self._clock.monotonic())
