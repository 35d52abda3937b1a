"""Whether we ourselves have a network, asked when a failure may only show that we have none (H8).

Nothing is asked while anything answers anywhere. When everything is silent one canary at a time is sent, and what it
finds holds for all for a second: ten thousand checks against a dead network ask once a second and no more.
"""

import asyncio
import math
from dataclasses import replace

import structlog

from homeostat.core.probing.connectivity import is_doubtful, is_sign_of_life
from homeostat.core.probing.request import Request
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.ports import Clock
from homeostat.probe.canary import Canary

log = structlog.get_logger("homeostat.connectivity")

CANARY_LIMIT = 1.0  # seconds
HOLDS_FOR = 1.0  # seconds that a canary's answer is good for


class Connectivity:
    """Takes a failure for what it is only if we have a network."""

    def __init__(self, canary: Canary, clock: Clock) -> None:
        self._canary = canary
        self._clock = clock
        self._alive_at = -math.inf  # monotonic: when something last answered
        self._asked_at = -math.inf  # monotonic: when the canary last answered
        self._has_network = True
        self._turn = asyncio.Lock()

    async def judge(self, request: Request, result: Result, began: float) -> Result:
        """Give the result of a probe that began at `began` (monotonic); without a network nothing was learnt."""
        if is_doubtful(request, result):
            return result if await self._is_believable(began) else _unknown(result)
        if is_sign_of_life(request, result):
            self._alive_at = self._clock.monotonic()
        return result

    async def _is_believable(self, began: float) -> bool:
        if self._alive_at > began:
            return True
        async with self._turn:
            if self._alive_at > began:
                return True
            if self._clock.monotonic() - self._asked_at >= HOLDS_FOR:
                self._note(has_network=await self._ask())
            return self._has_network or self._alive_at > began

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(CANARY_LIMIT):
                return await self._canary(CANARY_LIMIT)
        except OSError:  # also what is too late
            return False
        except Exception:  # a bug of ours must not hide what is wrong with targets
            log.exception("bug in the canary")
            return True

    def _note(self, *, has_network: bool) -> None:
        if has_network is not self._has_network:
            tell = log.info if has_network else log.error
            tell("network back" if has_network else "no network", effect="" if has_network else "results are Unknown")
        self._has_network = has_network
        self._asked_at = self._clock.monotonic()


def _unknown(result: Result) -> Result:
    return replace(result, verdict=Verdict.UNKNOWN, reason=Reason.NO_CONNECTIVITY)
