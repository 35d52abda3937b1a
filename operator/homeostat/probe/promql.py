"""The PromQL probe: one instant query of the operator's own Prometheus, whose one value must meet a condition.

Prometheus is not what is probed, so its failures teach us nothing about the target (PrometheusUnavailable is Unknown).
"""

import operator
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from homeostat.core.probing.request import HttpRequest, PromqlRequest, Tls
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.probe import HttpProbe
from homeostat.probe.net.watched_file import WatchedFile
from homeostat.probe.prometheus_answer import value_of

_PORTS: Final = {"http": 80, "https": 443}
_HEADERS: Final = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
_ANY_STATUS: Final = ("2xx", "3xx", "4xx", "5xx")
_OK: Final = 200
_REFUSED: Final = frozenset({400, 422})
_ENOUGH: Final = 2  # samples: that there are several is all we need to know (Prometheus 3; older ones send all)
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class PromqlProbe:
    """Asks the Prometheus at `url` through `http`, which must be allowed to reach it; None when there is none.

    `token_file` holds a bearer token and is read again when it changes, `tls` says how Prometheus is verified, `close`
    calls `on_close`. Raises ValueError when `url` is not http(s)://HOST[:PORT][/PATH].
    """

    def __init__(
        self,
        http: HttpProbe | None,
        url: str = "",
        *,
        token_file: str = "",
        tls: Tls | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.close = on_close
        self._http = http
        self._request = None if http is None else _endpoint(url, tls)
        self._token = WatchedFile(Path(token_file), str.strip).content if token_file else None
        self._monotonic = monotonic

    async def run(self, request: PromqlRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        if self._http is None or self._request is None:
            return Ending(Reason.NO_PROMETHEUS)
        is_met = _COMPARISONS.get(request.operator)
        if is_met is None:
            return Ending(Reason.INVALID_QUERY)
        asked = self._asking(self._request, request.query, deadline - self._monotonic())
        ending, answer = await self._http.fetch(asked, deadline)
        value = _of_answer(ending, answer)
        if not isinstance(value, Reason):
            value = Reason.OK if is_met(value, request.bound) else Reason.CONDITION_NOT_MET
        return Ending(value, ending.code, ending.phases)  # the certificate is Prometheus's, not the target's

    def _asking(self, endpoint: HttpRequest, query: str, seconds: float) -> HttpRequest:
        form = {"query": query, "timeout": f"{max(seconds, 0.001):.3f}", "limit": _ENOUGH}
        token = self._token() if self._token is not None else ""
        secret = (("Authorization", f"Bearer {token}"),) if token else ()
        return replace(endpoint, body=urlencode(form).encode(), secret_headers=secret)


def _endpoint(url: str, tls: Tls | None) -> HttpRequest:
    """Give the request that all queries have in common. Raises ValueError when `url` is none that can be asked."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the URL of Prometheus must be http(s)://HOST[:PORT][/PATH], without user and password")
    return HttpRequest(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        is_tls=parts.scheme == "https",
        tls=tls,
        target=f"{parts.path.rstrip('/')}/api/v1/query",
        method="POST",
        headers=_HEADERS,
        expect_status=_ANY_STATUS,
    )


def _of_answer(ending: Ending, answer: Answer | None) -> float | Reason:
    """Give the value, or why there is none. What we ourselves lack stays our own fault."""
    if verdict_of(ending.reason) is Verdict.ERROR:
        return ending.reason
    if ending.reason is not Reason.OK or answer is None:
        return Reason.PROMETHEUS_UNAVAILABLE
    value = value_of(answer.body)
    is_expected = answer.status == _OK or (answer.status in _REFUSED and value is Reason.INVALID_QUERY)
    return value if is_expected else Reason.PROMETHEUS_UNAVAILABLE
