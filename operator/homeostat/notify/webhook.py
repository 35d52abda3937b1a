"""Webhooks of policies: one signed POST each, through the guard of probes (H9). Not a byte of the answer is kept.

Only a status code or a word of `core.probing.result.Reason` is ever said of a webhook: what a server answers is text
of the outside. What got no answer, or a 5xx, may be asked again under the same Idempotency-Key; a 4xx is final.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from homeostat.core.action import CallWebhook, Outcome, Verb
from homeostat.core.probing.request import HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.ports import Forbidden, Secrets, Unavailable

SECONDS: Final = 10.0
"""How long a call may take in all: the Secret, the name, the connection and the answer."""
TIMESTAMP, SIGNATURE, KEY = "X-Homeostat-Timestamp", "X-Homeostat-Signature", "Idempotency-Key"

_PORTS: Final = {"http": 80, "https": 443}
_SHORTEST_KEY: Final = 16
"""Bytes: a signature with a shorter key says little."""
_AGAIN: Final = frozenset({408, 425, 429})
"""The 4xx that say: not now."""


class Ended(Protocol):
    """How a request ended."""

    @property
    def reason(self) -> Reason:
        """OK, or why it did not go as it should."""
        ...

    @property
    def code(self) -> int:
        """The status code; 0 when none came."""
        ...


class Send(Protocol):
    """Sends a request before a deadline (monotonic seconds), and keeps nothing of the answer."""

    def __call__(self, request: HttpRequest, deadline: float, /) -> Awaitable[Ended]:
        """Send it. Never raises, except for cancellation."""
        ...


class Webhooks:
    """Calls webhooks (`ports.Caller`). `send` stands behind the guard and follows no redirect."""

    def __init__(self, send: Send, secrets: Secrets, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._secrets = secrets
        self._monotonic = monotonic

    async def call(self, action: CallWebhook, now: datetime) -> Outcome:
        """POST once; never raises for what may come back."""
        deadline = self._monotonic() + SECONDS
        key = await self._key(action)
        if isinstance(key, Outcome):
            return key
        request = _request(action, key, now)
        if request is None:
            return Outcome(Verb.REFUSED, "WebhookRefused", "the URL cannot be called as it is written")
        return _meaning(await self._send(request, deadline))

    async def _key(self, action: CallWebhook) -> bytes | Outcome | None:
        """Give the key to sign with, None without a Secret, or why there is none."""
        if action.secret is None:
            return None
        name, key = action.secret
        try:
            async with asyncio.timeout(SECONDS / 2):
                secret = await self._secrets.read(action.owner.namespace, name)
        except Forbidden:
            return Outcome(Verb.REFUSED, "Forbidden", f"the operator may not read the Secret {name}")
        except (Unavailable, TimeoutError):
            return Outcome(Verb.FAILED, "ApiUnavailable", "the API server did not give the Secret")
        value = secret.data.get(key, b"") if secret else b""
        if secret is None or not secret.may_be_used or len(value) < _SHORTEST_KEY:
            return Outcome(Verb.REFUSED, "SecretUnusable", f"the Secret {name} holds no key of use under {key}")
        return value


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """Sign a body as of a time: receivers compute the same, and take nothing that is old."""
    return "sha256=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _request(action: CallWebhook, key: bytes | None, now: datetime) -> HttpRequest | None:
    try:
        parts = urlsplit(action.url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.username is not None:
        return None
    body, timestamp = json.dumps(action.body, sort_keys=True).encode(), str(int(now.timestamp()))
    query = f"?{parts.query}" if parts.query else ""
    return HttpRequest(
        host=parts.hostname,
        port=port,
        is_tls=parts.scheme == "https",
        target=f"{parts.path or '/'}{query}",
        method="POST",
        headers=(("Content-Type", "application/json"), (KEY, action.id), (TIMESTAMP, timestamp)),
        secret_headers=() if key is None else ((SIGNATURE, signature(key, timestamp, body)),),
        body=body,
    )


def _meaning(ending: Ended) -> Outcome:
    """Say what became of a call; a code that came counts, whatever became of the rest of the answer."""
    code = ending.code
    if ending.reason is Reason.ADDRESS_NOT_ALLOWED:
        return Outcome(Verb.REFUSED, "AddressDenied", "the address of the webhook may not be reached")
    if ending.reason is Reason.INVALID_REQUEST:
        return Outcome(Verb.REFUSED, "WebhookRefused", "the URL cannot be called as it is written")
    if ending.reason is Reason.OK:
        return Outcome(Verb.DONE)
    if 300 <= code < 500 and code not in _AGAIN:  # noqa: PLR2004 - 3xx and 4xx
        return Outcome(Verb.REFUSED, "WebhookRefused", f"the webhook answered {code}")
    said = f"the webhook answered {code}" if code else f"the webhook gave no answer: {ending.reason.value}"
    return Outcome(Verb.FAILED, "WebhookUnanswered", said)
