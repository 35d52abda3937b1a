"""What our API answers: always JSON, an error always in the same form."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from homeostat.api.meta import GROUP
from homeostat.core.objective.pushing import PushReason, Refused
from homeostat.ports import Attributes, Refusal

JSON = "application/json"
SOON, LATER = "1", "5"
"""Seconds after which to try again: what is full now, and what is away."""

_encode = json.JSONEncoder(separators=(",", ":")).encode

_STATUS: Mapping[PushReason, HTTPStatus] = {
    PushReason.INVALID_BODY: HTTPStatus.BAD_REQUEST,
    PushReason.INVALID_KEY: HTTPStatus.BAD_REQUEST,
    PushReason.NOT_FOUND: HTTPStatus.NOT_FOUND,
    PushReason.NOT_PUSHED_TO: HTTPStatus.CONFLICT,
    PushReason.NOT_ACCEPTED: HTTPStatus.CONFLICT,
    PushReason.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    PushReason.STORE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""All others are 422: the request can be read, and an entry of it cannot be counted."""


class Trouble(Exception):
    """A request that is answered with an error. The message is safe to show."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        message: str,
        *,
        index: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        error: dict[str, Any] = {"reason": reason, "message": message}
        self.status = status
        self.error = error if index is None else error | {"index": index}
        self.headers = headers or {}


def answer(body: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON. Nothing of it is to be kept by anybody, and no browser is to guess what it is."""
    return web.Response(
        text=_encode(body),
        status=status,
        content_type=JSON,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def trouble_answer(trouble: Trouble) -> web.Response:
    """Answer with an error, the last on its connection if it says so."""
    response = answer({"error": trouble.error}, trouble.status, trouble.headers)
    if trouble.headers.get("Connection") == "close":
        response.force_close()
    return response


def away(reason: str, message: str) -> Trouble:
    """Make the error of what is away for now."""
    return Trouble(HTTPStatus.SERVICE_UNAVAILABLE, reason, message, headers={"Retry-After": LATER})


def trouble_of(refused: Refused) -> Trouble:
    """Make the error of pushed events that are not counted."""
    status = _STATUS.get(refused.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
    headers = {"Retry-After": LATER} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Trouble(status, refused.reason, refused.message, index=refused.index, headers=headers)


def trouble_of_access(refusal: Refusal, asked: Attributes) -> Trouble:
    """Make the error of somebody who may not, or of whom that is not known; what they asked for names the right."""
    if refusal is Refusal.UNDECIDED:
        return away(refusal, "The cluster does not say now who you are and what you may do.")
    if refusal is Refusal.UNABLE:
        return away(refusal, _UNABLE)
    if refusal is Refusal.FORBIDDEN:
        return Trouble(HTTPStatus.FORBIDDEN, refusal, _missing_right(asked))
    told = "A bearer token of an account of the cluster is needed."
    return Trouble(HTTPStatus.UNAUTHORIZED, refusal, told, headers={"WWW-Authenticate": "Bearer"})


_UNABLE = (
    "The operator lacks the right to ask the cluster who you are and what you may do: create tokenreviews and "
    "subjectaccessreviews. Nobody is let in."
)


def _missing_right(asked: Attributes) -> str:
    resource = f"{asked.resource}.{GROUP}" + (f"/{asked.subresource}" if asked.subresource else "")
    where = f"in the namespace {asked.namespace}" if asked.namespace else "in the whole cluster"
    return f'Your account lacks the right "{asked.verb}" on {resource} {where}.'
