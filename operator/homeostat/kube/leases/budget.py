"""The action budget of the whole cluster (R3): at most `of` actions in any `per`, counted in the API server.

The tokens taken stand in an annotation of one Lease, each with its second and its action: compare-and-swap makes
any number of writers agree, a restart forgets nothing, and an action asked for twice takes one token. When the
Lease is missing or cannot be read as written, nobody may act: only `ensure`, at start, creates it.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from math import ceil

from homeostat.core.action import Outcome, Verb
from homeostat.core.cluster import TokenBudget
from homeostat.kube.apiserver.client import ApiClient, Timing
from homeostat.kube.leases.lease import LeaseObject, Leases, annotation
from homeostat.ports import Conflict, Unavailable

NAME = "homeostat-action-budget"
_TOKENS = annotation("tokens")
_ATTEMPTS = 40
_LONGEST_PAUSE = 0.25  # seconds

Token = tuple[int, str]
"""When (epoch seconds, rounded up) and for what (short hash of the action's id)."""


class BudgetUnreadable(Unavailable):
    """The budget is missing or not as we write it: nothing may be done on its account."""


class ActionBudget:
    """`of` actions per `per`, shared by everyone who uses the same `namespace`."""

    def __init__(
        self, client: ApiClient, namespace: str, *, of: int, per: timedelta, timing: Timing | None = None
    ) -> None:
        self._leases = Leases(client)
        self._namespace = namespace
        self._of = of
        self._per = per
        self._timing = timing or Timing()

    async def ensure(self) -> None:
        """Create the record if there is none; one that is there stays as it is, also when it cannot be read."""
        if await self._leases.read(self._namespace, NAME) is not None:
            return
        try:
            await self._leases.create(self._namespace, NAME, {}, {"annotations": {_TOKENS: ""}})
        except Conflict:
            return  # another replica was faster

    async def read(self, now: datetime) -> TokenBudget:
        """Give what is used and when the next token comes back. Raises Unavailable (BudgetUnreadable) or Forbidden."""
        _, tokens = await self._load(now)
        resets_at = datetime.fromtimestamp(tokens[0][0], UTC) + self._per if tokens else None
        return TokenBudget(used=len(tokens), of=self._of, resets_at=resets_at)

    async def take(self, action: str, now: datetime) -> Outcome:
        """Take one token for an action id; Refused(BudgetExhausted) when none is left in the period before `now`."""
        token = (ceil(now.timestamp()), hashlib.sha256(action.encode()).hexdigest()[:10])
        for _ in range(_ATTEMPTS):
            lease, tokens = await self._load(now)
            if any(taken == token[1] for _, taken in tokens):
                return Outcome(Verb.DONE)
            if len(tokens) >= self._of:
                return Outcome(Verb.REFUSED, "BudgetExhausted", f"{self._of} actions within {self._per} are spent")
            try:
                await self._leases.change(lease, {}, {"annotations": {_TOKENS: _encode([*tokens, token])}})
            except Conflict:
                await self._timing.sleep(self._timing.jitter() * _LONGEST_PAUSE)
                continue
            return Outcome(Verb.DONE)
        return Outcome(Verb.REFUSED, "Conflict", "too many others take from the action budget")

    async def _load(self, now: datetime) -> tuple[LeaseObject, list[Token]]:
        """Read the tokens that still count at `now`, oldest first. Those from the future count: clocks differ."""
        lease = await self._leases.read(self._namespace, NAME)
        if lease is None:
            raise BudgetUnreadable("the action budget is missing")
        since = now.timestamp() - self._per.total_seconds()
        tokens = _decode(lease.annotations.get(_TOKENS))
        return lease, sorted(token for token in tokens if token[0] > since)


def _encode(tokens: list[Token]) -> str:
    return " ".join(f"{at}:{action}" for at, action in tokens)


def _decode(text: str | None) -> list[Token]:
    if text is None:
        raise BudgetUnreadable("the action budget has no record of its tokens")
    try:
        return [(int(at), action) for at, action in (part.split(":") for part in text.split())]
    except ValueError as error:
        raise BudgetUnreadable("the record of the action budget cannot be read") from error
