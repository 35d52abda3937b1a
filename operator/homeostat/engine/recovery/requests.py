"""What humans ask of a policy, from its annotations, and whether the name that stands there can be believed (R13).

It can while our admission policy is in force, which lets nobody write another name than their own. It is looked for
once in a while, and only while somebody asks something. When nobody knows, the name is not believed.
"""

import structlog

from homeostat.core.recovery.seen import Requests
from homeostat.core.rights import CONSENT_POLICY
from homeostat.engine.objects import Asks
from homeostat.ports import Admission, Clock, Conflict, Forbidden, Gone, Rejected, Unavailable

log = structlog.get_logger("homeostat.recovery")

LOOK_AGAIN = 120.0  # seconds
LOOK_SOON = 10.0  # seconds, after no answer


class Consents:
    """Reads requests, and knows whether names in them are guarded."""

    def __init__(self, admission: Admission | None) -> None:
        self._admission = admission
        self._is_guarded = False
        self._until = 0.0

    async def read(self, asks: Asks | None, clock: Clock) -> Requests:
        """Give what is asked of a policy."""
        if asks is None:
            return Requests()
        return Requests(
            approve=asks.approve,
            reject=asks.reject,
            run=asks.run,
            pause=asks.pause,
            by=asks.by,
            is_verified=bool(asks.by) and await self._guarded(clock.monotonic()),
            manager=asks.manager,
        )

    async def _guarded(self, now: float) -> bool:
        if self._admission is not None and now >= self._until:
            self._is_guarded, answered = await self._look(self._admission)
            self._until = now + (LOOK_AGAIN if answered else LOOK_SOON)
        return self._is_guarded

    async def _look(self, admission: Admission) -> tuple[bool, bool]:
        """Say whether the policy is in force, and whether that was answered at all."""
        try:
            return await admission.is_in_force(CONSENT_POLICY), True
        except Forbidden:  # as if there were none; what rights are missing is told elsewhere
            return False, True
        except (Unavailable, Rejected, Gone, Conflict) as error:
            log.warning("who approves is not known", error=type(error).__name__, policy=CONSENT_POLICY)
            return False, False
