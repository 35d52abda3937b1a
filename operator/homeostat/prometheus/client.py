"""Asks Prometheus, over whatever sends HTTP requests (implements `ports.Prometheus`).

The operator's own Prometheus is the administrator's word: no guard of networks stands before it, and it alone is shown
the operator's token. Any other URL comes from a user's spec: it goes through the guard, without a token. Nothing of
what comes over the wire leaves this room but numbers, labels and the names of rules.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

from homeostat.core.probing.request import HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.core.prometheus.answer import Failure, LoadedGroup, Matrix, Trouble, Vector
from homeostat.prometheus.answers import groups_of, matrix_of, vector_of

MOST_BODY: Final = 8 * 1024 * 1024
"""Bytes that an answer may have."""
QUERY_SECONDS: Final = 10.0
RANGE_SECONDS: Final = 30.0

_MARGIN: Final = 0.5  # seconds by which Prometheus gives up before we do, so that it can say so
_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
_ANY_STATUS: Final = ("2xx", "3xx", "4xx", "5xx")
_TROUBLES: Final = {
    Reason.TIMEOUT: Trouble.TIMEOUT,
    Reason.BODY_TOO_LARGE: Trouble.TOO_LARGE,
    Reason.HEADERS_TOO_LARGE: Trouble.UNAVAILABLE,
    Reason.PROTOCOL_ERROR: Trouble.UNAVAILABLE,
    Reason.UNEXPECTED_ENCODING: Trouble.UNAVAILABLE,
}


class Ended(Protocol):
    """How a request ended."""

    @property
    def reason(self) -> Reason:
        """OK, or why there is no answer."""
        ...


class Answered(Protocol):
    """What a server answered."""

    @property
    def status(self) -> int:
        """Status code."""
        ...

    @property
    def body(self) -> bytes:
        """All of it."""
        ...


class Fetch(Protocol):
    """Sends a request before a deadline (monotonic seconds) and gives how that ended; the answer if all of it came."""

    def __call__(self, request: HttpRequest, deadline: float, /) -> Awaitable[tuple[Ended, Answered | None]]:
        """Send it. Never raises, except for cancellation."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """How the operator's own Prometheus is asked: its URL ("" for none), by what, and with which token ("" for none).

    `token` is asked for with each query, so that one that was rotated is used at once.
    """

    url: str
    fetch: Fetch
    token: Callable[[], str] = str


class PrometheusClient:
    """Asks the operator's own Prometheus (URL "") and those of users, which `guarded` reaches.

    Raises ValueError when the operator's own URL is not http(s)://HOST[:PORT][/PATH].
    """

    def __init__(self, own: Access | None, guarded: Fetch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._own = own if own is not None and own.url else None
        self._guarded = guarded
        self._monotonic = monotonic
        if self._own is not None:
            endpoint(self._own.url, "")

    async def query(self, url: str, query: str, at: float) -> Vector | Failure:
        """Ask for an instant vector as of `at` (epoch s)."""
        answer = await self._ask(url, "query", {"query": query, "time": _seconds(at)}, QUERY_SECONDS)
        return answer if isinstance(answer, Failure) else vector_of(answer.status, answer.body)

    async def query_range(self, url: str, query: str, start: float, end: float, step: float) -> Matrix | Failure:
        """Ask for a range vector, ends included."""
        form = {"query": query, "start": _seconds(start), "end": _seconds(end), "step": _seconds(step)}
        answer = await self._ask(url, "query_range", form, RANGE_SECONDS)
        return answer if isinstance(answer, Failure) else matrix_of(answer.status, answer.body)

    async def groups(self, url: str) -> tuple[LoadedGroup, ...] | Failure:
        """Ask which groups of rules are loaded."""
        answer = await self._ask(url, "rules", None, QUERY_SECONDS)
        return answer if isinstance(answer, Failure) else groups_of(answer.status, answer.body)

    async def _ask(self, url: str, path: str, form: dict[str, str] | None, seconds: float) -> Answered | Failure:
        found = self._whom(url, path)
        if isinstance(found, Failure):
            return found
        fetch, request = found
        if form is not None:
            body = urlencode(form | {"timeout": f"{seconds - _MARGIN:.3f}"}).encode()
            request = replace(request, method="POST", headers=_FORM, body=body)
        ending, answer = await fetch(request, self._monotonic() + seconds)
        if ending.reason is not Reason.OK or answer is None:
            return Failure(_TROUBLES.get(ending.reason, Trouble.UNREACHABLE))
        return answer

    def _whom(self, url: str, path: str) -> tuple[Fetch, HttpRequest] | Failure:
        own = self._own
        if not url and own is None:
            return Failure(Trouble.NOT_CONFIGURED)
        if not url and own is not None:
            token = own.token()
            secret = (("Authorization", f"Bearer {token}"),) if token else ()
            return own.fetch, replace(endpoint(own.url, path), secret_headers=secret)
        try:
            return self._guarded, endpoint(url, path)
        except ValueError:
            return Failure(Trouble.UNREACHABLE)


def endpoint(url: str, path: str) -> HttpRequest:
    """Give the request for a path of the API. Raises ValueError when `url` is none that can be asked."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the URL of Prometheus must be http(s)://HOST[:PORT][/PATH], without user and password")
    return HttpRequest(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        is_tls=parts.scheme == "https",
        target=f"{parts.path.rstrip('/')}/api/v1/{path}",
        headers=_FORM[1:],
        expect_status=_ANY_STATUS,
        most_body=MOST_BODY,
    )


def _seconds(value: float) -> str:
    return f"{value:.3f}"
