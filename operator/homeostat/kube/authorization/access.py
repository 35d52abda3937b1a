"""Who somebody is and what they may do (`ports.Access`): TokenReview, then SubjectAccessReview, remembered for a while.

A token is known here by its hash only; the token itself goes to the API server and is forgotten. When the API server
does not say, the answer is Undecided: nobody is ever let in by default. Strangers who try tokens cost the API server
no more than `REVIEWS_PER_SECOND`, and whoever was let in before has as many for themselves: no flood of guesses keeps
them out.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import structlog

from homeostat.api.meta import GROUP
from homeostat.core.pace import TokenBucket
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW, Resource
from homeostat.ports import Attributes, Conflict, Forbidden, Gone, Refusal, Rejected, Unavailable

log = structlog.get_logger("homeostat.access")

ALLOW_FOR, DENY_FOR = 60.0, 10.0  # seconds
GUEST_FOR = 3600.0
"""Seconds that who was let in is no stranger."""
MOST_REMEMBERED = 4096
REVIEWS_PER_SECOND, REVIEWS_AT_ONCE = 100.0, 16
PATIENCE = 5.0  # seconds, for both reviews
_TOKEN = re.compile(r"[!-~]{1,16384}")

V = TypeVar("V")


class _Memory(Generic[V]):
    """What was found, each for a while; the least recently used is forgotten first."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()

    def get(self, key: Hashable, now: float) -> tuple[float, V] | None:
        """Give until when (monotonic s) and what."""
        known = self._found.get(key)
        if known is None or known[0] <= now:
            self._found.pop(key, None)
            return None
        self._found.move_to_end(key)
        return known

    def put(self, key: Hashable, until: float, value: V) -> None:
        """Remember until a time (monotonic s)."""
        self._found[key] = until, value
        self._found.move_to_end(key)
        while len(self._found) > self._most:
            self._found.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _User:
    """Whom a token stands for, as the API server says it, in the words of a SubjectAccessReview."""

    spec: Mapping[str, Any]


class ApiAccess:
    """`ports.Access` on the API server."""

    def __init__(self, client: ApiClient, now: Callable[[], float] = monotonic) -> None:
        self._client = client
        self._now = now
        self._users = _Memory[_User | None]()
        self._verdicts = _Memory[Refusal | None]()
        self._turns = WeakValueDictionary[Hashable, asyncio.Lock]()
        self._places = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._guests = _Memory[bool]()
        self._is_able = True
        self._paces = {
            is_guest: TokenBucket(REVIEWS_PER_SECOND, burst=REVIEWS_PER_SECOND) for is_guest in (True, False)
        }

    async def check(self, token: str, attributes: Attributes) -> Refusal | None:
        """Say why the bearer of a token may not; None when they may."""
        if not _TOKEN.fullmatch(token):
            return Refusal.UNKNOWN
        holder = sha256(token.encode()).digest()
        known = self._verdicts.get((holder, attributes), self._now())
        if known is not None:
            return known[1]
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(holder, token, attributes)
        except (Unavailable, TimeoutError, Gone, Conflict):
            return Refusal.UNDECIDED
        except Rejected:
            return Refusal.UNDECIDED
        except Forbidden:
            self._tell(is_able=False)
            return Refusal.UNABLE

    def _tell(self, *, is_able: bool) -> None:
        """Say it once that we may not ask, however many want in."""
        if self._is_able and not is_able:
            log.error("nobody is let in", reason="Forbidden", remedy="create tokenreviews and subjectaccessreviews")
        self._is_able = is_able

    async def _ask(self, holder: bytes, token: str, attributes: Attributes) -> Refusal | None:
        """Find out, one at a time for each token: who comes at the same time waits and finds it known."""
        async with self._turn(holder):
            known = self._verdicts.get((holder, attributes), self._now())
            if known is not None:
                return known[1]
            until, user = await self._user(holder, token)
            refusal = Refusal.UNKNOWN if user is None else await self._refusal(holder, user, attributes)
            if refusal is not None:
                until = min(until, self._now() + DENY_FOR)
            else:
                self._guests.put(holder, self._now() + GUEST_FOR, value=True)
            self._verdicts.put((holder, attributes), until, refusal)
            return refusal

    def _turn(self, holder: bytes) -> asyncio.Lock:
        return self._turns.setdefault(holder, asyncio.Lock())

    async def _user(self, holder: bytes, token: str) -> tuple[float, _User | None]:
        """Give whom a token stands for, if anybody, and until when that is taken for true."""
        known = self._users.get(holder, self._now())
        if known is not None:
            return known
        status = await self._review(holder, TOKEN_REVIEW, {"token": token})
        user = _user_of(status)
        until = self._now() + (DENY_FOR if user is None else ALLOW_FOR)
        self._users.put(holder, until, user)
        return until, user

    async def _refusal(self, holder: bytes, user: _User, attributes: Attributes) -> Refusal | None:
        asked = {
            "group": GROUP,
            "verb": attributes.verb,
            "resource": attributes.resource,
            "subresource": attributes.subresource,
            "namespace": attributes.namespace,
            "name": attributes.name,
        }
        present = {name: value for name, value in asked.items() if value}
        status = await self._review(holder, SUBJECT_ACCESS_REVIEW, {**user.spec, "resourceAttributes": present})
        return None if status.get("allowed") is True and status.get("denied") is not True else Refusal.FORBIDDEN

    async def _review(self, holder: bytes, resource: Resource, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Have the API server review something; give the status it answers with."""
        now = self._now()
        if not self._paces[self._guests.get(holder, now) is not None].take_if_there(now):
            raise Unavailable("too many reviews")
        body = {"apiVersion": resource.api_version, "kind": _KINDS[resource.plural], "spec": spec}
        async with self._places:
            answer = await self._client.request("POST", resource.path(), body=body, urgency=Urgency.ACTION)
        self._tell(is_able=True)
        status = answer.get("status")
        if not isinstance(status, dict):
            raise Unavailable("a review without a status")
        return status


_KINDS = {TOKEN_REVIEW.plural: "TokenReview", SUBJECT_ACCESS_REVIEW.plural: "SubjectAccessReview"}


def _user_of(status: Mapping[str, Any]) -> _User | None:
    user = status.get("user")
    if status.get("authenticated") is not True or not isinstance(user, dict) or not user.get("username"):
        return None
    spec = {
        "user": user["username"],
        "groups": user.get("groups") or [],
        "uid": user.get("uid") or "",
        "extra": user.get("extra") or {},
    }
    return _User(spec)
