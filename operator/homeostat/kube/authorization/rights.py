"""What the operator itself may do (`ports.Rights`): one SelfSubjectAccessReview a right, remembered for a while."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from homeostat.core.cluster import Right
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import ACCESS_REVIEW
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable
from homeostat.side_by_side import side_by_side

REMEMBER_FOR, DOUBT_FOR = 60.0, 10.0
"""Seconds that a yes, and a no, is taken for true."""
REVIEWS_AT_ONCE = 4
MOST_REMEMBERED = 16_384
TROUBLES = (Unavailable, Forbidden, Rejected, Gone, Conflict)


class ApiRights:
    """`ports.Rights` on the API server."""

    def __init__(self, client: ApiClient, now: Callable[[], float] = monotonic) -> None:
        self._client = client
        self._now = now
        self._places = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._known: dict[Right, tuple[float, bool]] = {}

    async def missing(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        """Give what of it the operator may not; raises Unavailable when that cannot be told."""
        asked = dict.fromkeys(replace(right, why="") for right in wanted)
        try:
            async with side_by_side() as reviews:
                answers = {right: reviews.start(self._may(right)) for right in asked}
        except TROUBLES as error:
            raise Unavailable("the API server does not say what the operator may do") from error
        return tuple(right for right in wanted if not answers[replace(right, why="")].result())

    async def _may(self, right: Right) -> bool:
        known = self._known.get(right)
        if known is not None and known[0] > self._now():
            return known[1]
        async with self._places:
            may = await self._review(right)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[right] = self._now() + (REMEMBER_FOR if may else DOUBT_FOR), may
        return may

    async def _review(self, right: Right) -> bool:
        body = {
            "apiVersion": ACCESS_REVIEW.api_version,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes_of(right)},
        }
        answer = await self._client.request("POST", ACCESS_REVIEW.path(), body=body)
        status = answer.get("status")
        if not isinstance(status, dict) or "allowed" not in status:
            raise Unavailable("a review without a status")
        return status["allowed"] is True and status.get("denied") is not True


def attributes_of(right: Right) -> dict[str, str]:
    """Give a right in the words of an access review."""
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": right.namespace,
        "name": right.name,
    }
    return {name: value for name, value in attributes.items() if value}
