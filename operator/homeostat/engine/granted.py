"""Whether the operator holds the rights that its installation should give it: asked at start, and every few minutes.

What a policy needs is asked for beside this (`engine/recovery/rights.py`), and said on the policy. Here it is about all
that is granted: what is missing is logged once, counted as a metric, and, if nothing can be done without it, said by
/readyz. A replica that stands by asks too: it may lead the next moment.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from homeostat.core.rights import OPERATOR, Grant, Missing, Scope, lacking, rights_of, told_by_role
from homeostat.ports import Clock, Rights, Unavailable

log = structlog.get_logger("homeostat.rights")

ROUND = 300.0
"""Seconds until all is asked for again."""
SOON = 15.0
"""Seconds until what is missing is asked for again, or all of it where the API server did not say."""

Show = Callable[[Sequence[Missing]], None]
"""Shows what is missing as a metric."""


class GrantsWatch:
    """Knows which granted rights are missing. `grants` are those of a good installation."""

    def __init__(  # noqa: PLR0913 - what is asked for, where, and who is told
        self,
        port: Rights,
        clock: Clock,
        show: Show,
        grants: Sequence[Grant],
        *,
        scope: Scope,
        watched: Sequence[str],
        own: str,
    ) -> None:
        ours = (grant for grant in grants if grant.account == OPERATOR)
        self._port = port
        self._clock = clock
        self._show = show
        self._wanted = tuple((grant, rights_of(grant, scope, watched, own)) for grant in ours)
        self._missing: tuple[Missing, ...] | None = None
        self._all_again_at = 0.0  # monotonic s
        self._was_asked, self._may_work = asyncio.Event(), asyncio.Event()

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Give what is missing as far as known; what was known stands while the API server does not say."""
        return self._missing or ()

    def vital(self) -> tuple[str, ...]:
        """Name the missing rights without which nothing can be done."""
        return tuple(dict.fromkeys(one.words for one in self.missing if one.is_vital))

    async def until_vital(self) -> None:
        """Wait until no right is known to be missing without which nothing can be done."""
        await self._was_asked.wait()
        await self._may_work.wait()

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                is_told = await self.look()
            except Exception:  # a bug here must end neither the process nor the watch
                log.exception("bug")
                is_told = False
            self._set_doors()
            await asyncio.sleep(SOON if self.missing or not is_told else ROUND)

    async def look(self) -> bool:
        """Ask for everything, or between rounds for what was missing alone; give whether the API server said.

        There are hundreds of rights, in each of many namespaces: to ask for all of them every few seconds, for want of
        one, would be a load of its own.
        """
        is_round = self._missing is None or self._clock.monotonic() >= self._all_again_at
        rights = (right for _, rights in self._wanted for right in rights)
        wanted = tuple(dict.fromkeys(rights if is_round else (one.right for one in self.missing)))
        try:
            missing = lacking(self._wanted, await self._port.missing(wanted))
        except Unavailable:
            log.debug("rights not known")
            return False
        if is_round:
            self._all_again_at = self._clock.monotonic() + ROUND
        if missing != self._missing:
            self._tell(missing)
        return True

    def _tell(self, missing: tuple[Missing, ...]) -> None:
        """Say what changed: one line a role, and no more until it changes again."""
        before, now = told_by_role(self.missing), told_by_role(missing)
        self._missing = missing
        for role, rights in now.items():
            if before.get(role) != rights:
                needed_for = sorted({one.grant.needed_for for one in missing if one.grant.role == role})
                log.error("rights missing", role=role, rights=list(rights), needed_for=needed_for)
        for role in before.keys() - now.keys():
            log.info("rights held again", role=role)
        self._show(missing)

    def _set_doors(self) -> None:
        """Let those go on who wait for rights; where nobody can say what we may, only trying shows it."""
        self._was_asked.set()
        if self.vital():
            self._may_work.clear()
        else:
            self._may_work.set()
