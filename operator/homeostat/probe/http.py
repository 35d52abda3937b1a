"""The HTTP probe: a new connection, one request, a verdict from the status. Redirects are results."""

import re
import ssl
from functools import lru_cache

from homeostat.core.probing import HttpRequest, Reason
from homeostat.probe.connection import Dialer, Peer
from homeostat.probe.ending import Ending
from homeostat.probe.http_exchange import Exchange
from homeostat.probe.http_request import write_request

_EXPECTED = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?")
_REDIRECTS = range(300, 400)


class HttpProbe:
    """Asks a server once. `tls` is whom we trust."""

    def __init__(self, dialer: Dialer, tls: ssl.SSLContext) -> None:
        self._dialer = dialer
        self._tls = tls

    async def run(self, request: HttpRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        wire = write_request(request)
        expected = _expected(request.expect_status)
        if wire is None or expected is None:
            return Ending(Reason.INVALID_REQUEST)
        exchange = Exchange(wire, is_head_only=request.method == "HEAD")
        peer = Peer(request.host, request.port, request.address, self._tls if request.is_tls else None)
        ending = await self._dialer.hold(exchange, peer, deadline)
        return ending if ending.reason is not Reason.OK else Ending(_of_status(ending.code, expected), ending.code)


def is_too_slow(request: HttpRequest, seconds: float) -> bool:
    """Say whether an answer after `seconds` came later than the request allows."""
    return request.max_latency is not None and seconds > request.max_latency


def _of_status(code: int, expected: frozenset[int]) -> Reason:
    if code in expected:
        return Reason.OK
    return Reason.REDIRECTED if code in _REDIRECTS else Reason.UNEXPECTED_STATUS


@lru_cache(maxsize=256)
def _expected(patterns: tuple[str, ...]) -> frozenset[int] | None:
    """Give the codes that `2xx`, `204` and `200-299` mean; None when one is written otherwise."""
    codes: set[int] = set()
    for pattern in patterns:
        match = _EXPECTED.fullmatch(pattern)
        if match is None:
            return None
        hundred, low, high = match.groups()
        codes |= set(
            range(int(hundred) * 100, int(hundred) * 100 + 100) if hundred else range(int(low), int(high or low) + 1)
        )
    return frozenset(codes)
