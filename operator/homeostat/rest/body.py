"""Request bodies, read with bounds: so many bytes, so many seconds, and JSON that means one thing only."""

import asyncio
import json
from http import HTTPStatus
from typing import Never

from aiohttp import web

from homeostat.rest.answers import Trouble

MOST_BYTES = 1 << 20
PATIENCE = 10.0  # seconds


async def read_json(request: web.Request) -> object:
    """Read the body of a request; raises Trouble when it is too large, too slow, or no JSON."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Trouble(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Encoded", "The body must not be compressed.")
    raw = await _read(request)
    try:
        return json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidJson", "The body must be JSON.") from None


async def _read(request: web.Request) -> bytes:
    """Read the body. What is declared too large is not read at all; a client that asks first is told to go on."""
    if (request.content_length or 0) > MOST_BYTES:
        raise _too_large()
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    raw = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > MOST_BYTES:
                    raise _too_large()
    except TimeoutError:
        told = f"The body did not arrive within {PATIENCE:.0f} s."
        raise Trouble(HTTPStatus.REQUEST_TIMEOUT, "BodyTooSlow", told, headers=_CLOSE) from None
    except (web.RequestPayloadError, ConnectionError):
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidBody", "The body is not whole.", headers=_CLOSE) from None
    return bytes(raw)


_CLOSE = {"Connection": "close"}


def _too_large() -> Trouble:
    told = f"A body has {MOST_BYTES} bytes at most: send smaller batches."
    return Trouble(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BodyTooLarge", told, headers=_CLOSE)


def _refuse(constant: str) -> Never:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError(constant)
