"""Request bodies, read with bounds: so many bytes, so many seconds, and JSON that means one thing only."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, Never

from aiohttp import web

from homeostat.rest.answers import SOON, Trouble

MOST_BYTES, MOST_UNDER_WAY = 1 << 20, 32 << 20
"""Bytes of one body, and of all that are being read: who sends many slowly must not take all our memory."""
PATIENCE = 10.0  # seconds


async def read_json(request: web.Request) -> object:
    """Read the body of a request; raises Trouble when it is too large, too slow, or no JSON."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Trouble(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Encoded", "The body must not be compressed.")
    raw = await _read(request)
    try:
        return json.loads(raw, parse_constant=_refuse, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidJson", "The body must be JSON.") from None


class Bodies:
    """The bytes of all bodies that are being read."""

    def __init__(self) -> None:
        self._bytes = 0

    def take(self, count: int) -> None:
        """Make room for bytes that came. Raises Trouble when there is none."""
        if self._bytes + count > MOST_UNDER_WAY:
            headers = _CLOSE | {"Retry-After": SOON}
            told = "Too many large bodies at the same time."
            raise Trouble(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", told, headers=headers)
        self._bytes += count

    def give_back(self, count: int) -> None:
        """Take note that they are read."""
        self._bytes -= count


BODIES = web.AppKey("BODIES", Bodies)


async def _read(request: web.Request) -> bytes:
    """Read the body. What is declared too large is not read at all; a client that asks first is told to go on."""
    if (request.content_length or 0) > MOST_BYTES:
        raise _too_large()
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    raw, bodies = bytearray(), request.app[BODIES]
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.content.iter_any():
                bodies.take(len(chunk))
                raw += chunk
                if len(raw) > MOST_BYTES:
                    raise _too_large()
    except TimeoutError:
        told = f"The body did not arrive within {PATIENCE:.0f} s."
        raise Trouble(HTTPStatus.REQUEST_TIMEOUT, "BodyTooSlow", told, headers=_CLOSE) from None
    except (web.RequestPayloadError, ConnectionError):
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidBody", "The body is not whole.", headers=_CLOSE) from None
    finally:
        bodies.give_back(len(raw))
    return bytes(raw)


_CLOSE = {"Connection": "close"}


def _too_large() -> Trouble:
    told = f"A body has {MOST_BYTES} bytes at most: send smaller batches."
    return Trouble(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BodyTooLarge", told, headers=_CLOSE)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; refuse one with a name that is given twice: which of them is meant nobody knows."""
    made = dict(members)
    if len(made) != len(members):
        raise ValueError("a name is given twice")
    return made


def _refuse(constant: str) -> Never:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError(constant)
