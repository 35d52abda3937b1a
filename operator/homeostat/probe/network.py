"""Everything that goes over the network, put together: one runner for each kind of request.

Knows neither the API server nor Secrets: what it is asked is complete. So it may as well run in a process of its
own (`probe/processes/pool.py`).
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from homeostat.core.probing.request import (
    DnsRequest,
    GrpcRequest,
    HttpRequest,
    IcmpRequest,
    Request,
    StepsRequest,
    TcpRequest,
    TlsRequest,
)
from homeostat.core.probing.result import Reason
from homeostat.probe.dns import DnsProbe
from homeostat.probe.ending import Ending
from homeostat.probe.http.content import ContentJudge
from homeostat.probe.http.probe import HttpProbe
from homeostat.probe.http.steps import StepsProbe
from homeostat.probe.http2.grpc import GrpcProbe
from homeostat.probe.icmp import IcmpProbe
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer
from homeostat.probe.net.resolver import Lookup, Resolver, system_lookup
from homeostat.probe.net.tls import Contexts
from homeostat.probe.processes.cel import CelProcess
from homeostat.probe.tcp import TcpProbe
from homeostat.probe.tls_probe import TlsProbe

Run = Callable[[Any, float], Awaitable[Ending]]
"""Takes a request of its kind and a deadline (monotonic seconds)."""


class NetworkProbes:
    """Runs requests against what `guard` allows.

    `wall` gives epoch seconds, for certificates; `monotonic` seconds that never jump; `lookup` turns a name into
    addresses, in a thread.
    """

    def __init__(
        self,
        guard: Guard,
        wall: Callable[[], float],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        lookup: Lookup = system_lookup,
        contexts: Contexts | None = None,
    ) -> None:
        self._resolver = Resolver(guard, lookup, monotonic)
        self._cel = CelProcess(monotonic)
        dialer, contexts = Dialer(guard, self._resolver, monotonic), contexts or Contexts()
        self.http = HttpProbe(dialer, contexts, ContentJudge(self._cel))
        self._runners: dict[type[Request], Run] = {
            HttpRequest: self.http.run,
            TcpRequest: TcpProbe(dialer).run,
            StepsRequest: StepsProbe(self.http, self._cel, monotonic).run,
            GrpcRequest: GrpcProbe(dialer, contexts).run,
            TlsRequest: TlsProbe(dialer, contexts, wall).run,
            DnsRequest: DnsProbe(self._resolver, monotonic).run,
            IcmpRequest: IcmpProbe(self._resolver, monotonic).run,
        }

    async def run(self, request: Request, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        runner = self._runners.get(type(request))
        return Ending(Reason.INVALID_REQUEST) if runner is None else await runner(request, deadline)

    def close(self) -> None:
        """Let go of threads, idle connections and the child that evaluates expressions."""
        self.http.close()
        self._cel.close()
        self._resolver.close()
