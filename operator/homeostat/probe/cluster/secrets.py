"""Puts the values of Secrets into requests (H9): read by name, kept for a moment, never shown.

A Secret is read again after 30 s, so a rotated one is in use within that time. While the API server does not
answer, the values last read go on being used, for ten minutes at most. The rights to read may be taken back, and a
Secret may be deleted, at any time: then its values are forgotten with the next read.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from homeostat.core.cluster import Secret
from homeostat.core.probing.request import (
    GrpcRequest,
    HttpRequest,
    Request,
    SecretKey,
    StepRequest,
    StepsRequest,
    Tls,
    TlsRequest,
)
from homeostat.core.probing.result import Reason
from homeostat.ports import Forbidden, Secrets, Unavailable

_FRESH_SECONDS = 30.0
_OLDEST_SECONDS = 600.0
_REFUSED_SECONDS = 3.0
"""How long it is remembered that a Secret is missing or must not be read."""
_UNANSWERED_SECONDS = 5.0
"""How long the API server is not asked again for what it did not give, while older values are at hand."""
_REFRESH_SECONDS = 1.0
"""How long a probe that has older values at hand waits for new ones."""
_MOST_SECRETS = 1024
_MOST_BYTES = 8 << 20
_LONGEST_VALUE = 64 << 10

_TLS_TYPE = "kubernetes.io/tls"
_HEADER_VALUE = re.compile(r"[!-~\xa0-\xff]([\t -~\xa0-\xff]*[!-~\xa0-\xff])?")
"""Neither control characters nor blanks at the ends (RFC 9110, section 5.5)."""

Place = tuple[str, str]
"""Namespace and name of a Secret."""
Found = Secret | Reason
"""A Secret, or why there is none to use."""


class _Known(NamedTuple):
    found: Found
    read_at: float
    until: float  # when it is to be read again

    @property
    def size(self) -> int:
        return sum(map(len, self.found.data.values())) if isinstance(self.found, Secret) else 0


@dataclass(frozen=True, slots=True)
class _Flight:
    task: "asyncio.Task[Found]"
    started: float


class SecretReader:
    """Fills requests with the values of the Secrets they name. Call `close` once at the end."""

    def __init__(self, secrets: Secrets, monotonic: Callable[[], float]) -> None:
        self._secrets = secrets
        self._monotonic = monotonic
        self._known: OrderedDict[Place, _Known] = OrderedDict()
        self._bytes = 0
        self._flights: dict[Place, _Flight] = {}

    async def fill(self, request: Request, deadline: float) -> Request | Reason:
        """Give the request with its secret fields filled, the very same when it names no Secret; or why it cannot be.

        What is not read by `deadline` (monotonic seconds) counts as an API that does not answer.
        """
        if isinstance(request, HttpRequest):
            return await self._http(request, deadline)
        if isinstance(request, StepsRequest):
            return await self._steps(request, deadline)
        if isinstance(request, GrpcRequest | TlsRequest) and request.tls is not None:
            tls = await self._tls(request.tls, deadline)
            if isinstance(tls, Reason):
                return tls
            return request if tls is request.tls else replace(request, tls=tls)
        return request

    def close(self) -> None:
        """Give up what is being read."""
        for flight in tuple(self._flights.values()):
            flight.task.cancel()

    # --- requests -------------------------------------------------------------------------------------------

    async def _steps(self, request: StepsRequest, deadline: float) -> StepsRequest | Reason:
        steps: list[StepRequest] = []
        for step in request.steps:
            filled = await self._http(step.request, deadline)
            if isinstance(filled, Reason):
                return filled
            steps.append(step if filled is step.request else replace(step, request=filled))
        is_same = all(new is old for new, old in zip(steps, request.steps, strict=True))
        return request if is_same else StepsRequest(tuple(steps))

    async def _http(self, request: HttpRequest, deadline: float) -> HttpRequest | Reason:
        if not request.headers_from and request.body_from is None and not _names_secret(request.tls):
            return request
        headers = await self._headers(request.headers_from, deadline)
        if isinstance(headers, Reason):
            return headers
        body = b"" if request.body_from is None else await self._value(request.body_from, deadline)
        if isinstance(body, Reason):
            return body
        tls = None if request.tls is None else await self._tls(request.tls, deadline)
        if isinstance(tls, Reason):
            return tls
        return replace(request, secret_headers=headers, secret_body=body, tls=tls)

    async def _headers(
        self, wanted: tuple[tuple[str, SecretKey], ...], deadline: float
    ) -> tuple[tuple[str, str], ...] | Reason:
        headers: list[tuple[str, str]] = []
        for name, key in wanted:
            value = await self._value(key, deadline)
            text = value if isinstance(value, Reason) else _header_value(value)
            if isinstance(text, Reason):
                return text
            headers.append((name, text))
        return tuple(headers)

    async def _tls(self, tls: Tls, deadline: float) -> Tls | Reason:
        if not _names_secret(tls):
            return tls
        authorities = b"" if tls.ca_from is None else await self._value(tls.ca_from, deadline)
        if isinstance(authorities, Reason):
            return authorities
        if tls.certificate_from is None:
            return replace(tls, ca=authorities)
        pair = await self._pair(tls.certificate_from, deadline)
        if isinstance(pair, Reason):
            return pair
        return replace(tls, ca=authorities, certificate=pair[0], private_key=pair[1])

    async def _pair(self, key: SecretKey, deadline: float) -> tuple[bytes, bytes] | Reason:
        """Give the certificate and the private key of a Secret that is made for them."""
        secret = await self._secret((key.namespace, key.name), deadline)
        if isinstance(secret, Reason):
            return secret
        certificate, private_key = _usable(secret, "tls.crt"), _usable(secret, "tls.key")
        if secret.type != _TLS_TYPE or isinstance(certificate, Reason) or isinstance(private_key, Reason):
            return Reason.SECRET_UNUSABLE
        return certificate, private_key

    async def _value(self, key: SecretKey, deadline: float) -> bytes | Reason:
        secret = await self._secret((key.namespace, key.name), deadline)
        return secret if isinstance(secret, Reason) else _usable(secret, key.key)

    # --- Secrets --------------------------------------------------------------------------------------------

    async def _secret(self, place: Place, deadline: float) -> Found:
        """Give a Secret as it was within the last 30 s; an older one when the API server does not answer in time."""
        now = self._monotonic()
        known = self._known.get(place)
        if known is not None and now < known.until:
            self._known.move_to_end(place)
            return known.found
        flight = self._flights.get(place)
        if flight is None:
            if len(self._flights) >= _MOST_SECRETS:
                return Reason.OUT_OF_RESOURCES
            flight = self._start(place, now)
        older = _still_good(known, now)
        patience = deadline - now
        if older is not None:
            patience = min(patience / 2, flight.started + _REFRESH_SECONDS - now)
        await asyncio.wait((flight.task,), timeout=max(patience, 0.0))
        if flight.task.done() and not flight.task.cancelled():
            return flight.task.result()
        return older or Reason.API_UNAVAILABLE

    def _start(self, place: Place, now: float) -> _Flight:
        """Begin to read: in a task of its own, so that one impatient probe does not end what others wait for."""
        task = asyncio.create_task(self._read(place))  # noqa: TID251 - ended by the client's patience, or by `close`
        task.add_done_callback(lambda landed: self._land(place, landed))
        flight = self._flights[place] = _Flight(task, now)
        return flight

    def _land(self, place: Place, landed: "asyncio.Task[Found]") -> None:
        del self._flights[place]
        if not landed.cancelled():
            landed.exception()  # a bug is told to whoever waits, and by nobody else

    async def _read(self, place: Place) -> Found:
        try:
            secret = await self._secrets.read(*place)
        except Unavailable:
            return self._without(place)
        except Forbidden:
            return self._keep(place, Reason.NOT_PERMITTED, _REFUSED_SECONDS)
        if secret is None:
            return self._keep(place, Reason.SECRET_NOT_FOUND, _REFUSED_SECONDS)
        if not secret.may_be_used:
            return self._keep(place, Reason.SECRET_UNUSABLE, _FRESH_SECONDS)
        return self._keep(place, _shortened(secret), _FRESH_SECONDS)

    def _without(self, place: Place) -> Found:
        """Go on with what is known, if that is not too old, and do not ask again for a while."""
        now = self._monotonic()
        known = self._known.get(place)
        if known is None or _still_good(known, now) is None:
            return Reason.API_UNAVAILABLE
        self._known[place] = known._replace(until=now + _UNANSWERED_SECONDS)
        return known.found

    def _keep(self, place: Place, found: Found, seconds: float) -> Found:
        now = self._monotonic()
        self._forget(place)
        known = self._known[place] = _Known(found, now, now + seconds)
        self._bytes += known.size
        while len(self._known) > _MOST_SECRETS or self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._known)))
        return found

    def _forget(self, place: Place) -> None:
        known = self._known.pop(place, None)
        self._bytes -= known.size if known else 0


def _names_secret(tls: Tls | None) -> bool:
    return tls is not None and (tls.ca_from is not None or tls.certificate_from is not None)


def _still_good(known: _Known | None, now: float) -> Secret | None:
    if known is None or now - known.read_at > _OLDEST_SECONDS:
        return None
    return known.found if isinstance(known.found, Secret) else None


def _shortened(secret: Secret) -> Secret:
    """Keep of a value that is too long only enough to know that it is."""
    return replace(secret, data={key: value[: _LONGEST_VALUE + 1] for key, value in secret.data.items()})


def _usable(secret: Secret, key: str) -> bytes | Reason:
    value = secret.data.get(key, b"")
    return value if 0 < len(value) <= _LONGEST_VALUE else Reason.SECRET_UNUSABLE


def _header_value(value: bytes) -> str | Reason:
    """Decode what is sent in a header; Secrets made with `echo` end in a line break, which is not meant."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return Reason.SECRET_UNUSABLE
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    return text if _HEADER_VALUE.fullmatch(text) else Reason.SECRET_UNUSABLE
