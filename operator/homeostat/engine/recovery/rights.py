"""Whether the operator may do what policies ask of it: asked when a policy is new or edited, and every few minutes.

Never while a decision is made: what is known then is what was last asked. A right that is missing is thereby seen on
the day it goes missing, and not in the night in which it is needed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.core.cluster import Right
from homeostat.core.recovery import rights
from homeostat.engine.objects import Key
from homeostat.ports import Clock, Rights, Unavailable

log = structlog.get_logger("homeostat.rights")

ROUND = 300.0
"""Seconds until what a policy needs is asked for again."""
SOON = 15.0
"""Seconds until it is, after the API server did not say, or while something is missing: somebody may be granting it."""


@dataclass(slots=True)
class _Followed:
    """What one policy needs, what of it is missing as far as known, and when to ask again (monotonic s)."""

    wanted: tuple[Right, ...]
    missing: tuple[Right, ...] | None = None
    due: float = 0.0


class RightsWatch:
    """Knows of each policy which rights the operator lacks; `wake` has a policy looked at when that changed."""

    def __init__(self, port: Rights, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._port = port
        self._clock = clock
        self._wake = wake
        self._followed: dict[Key, _Followed] = {}
        self._news = asyncio.Event()

    def open(self, key: Key, spec: RecoveryPolicySpec) -> None:
        """Follow a policy, new or edited."""
        wanted = rights.needed(spec, key.namespace)
        known = self._followed.get(key)
        if known is None or known.wanted != wanted:
            self._followed[key] = _Followed(wanted)
            self._news.set()

    def close(self, key: Key) -> None:
        """Follow it no longer."""
        self._followed.pop(key, None)

    def missing(self, key: Key) -> tuple[Right, ...] | None:
        """Give what the operator lacks for a policy; None while that is not known."""
        known = self._followed.get(key)
        return known.missing if known else None

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            self._news.clear()
            await self.look()
            due = min((one.due for one in self._followed.values()), default=self._clock.monotonic() + ROUND)
            try:
                async with asyncio.timeout(max(0.0, due - self._clock.monotonic())):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Ask for all policies whose turn it is, one after another."""
        for key, one in list(self._followed.items()):
            if one.due <= self._clock.monotonic():
                await self._ask(key, one)

    async def _ask(self, key: Key, one: _Followed) -> None:
        try:
            missing = await self._port.missing(one.wanted)
        except Unavailable:
            one.due = self._clock.monotonic() + SOON
            log.debug("rights not known", kind=key.kind, namespace=key.namespace, name=key.name)
            return
        one.due = self._clock.monotonic() + (SOON if missing else ROUND)
        if missing != one.missing:
            one.missing = missing
            self._wake(key)
