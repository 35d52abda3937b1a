"""The prober: takes any request, gives one result within its time. Each kind of probe is a module beside this one."""

import ssl
import time
from collections.abc import Callable
from traceback import extract_tb

import structlog

from homeostat.core.probing import HttpRequest, Reason, Request, Result, TcpRequest, WorkloadRequest
from homeostat.ports import Cluster
from homeostat.probe.address import Guard
from homeostat.probe.connection import Dialer
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.http import HttpProbe, is_too_slow
from homeostat.probe.resolver import Lookup, Resolver, system_lookup
from homeostat.probe.tcp import TcpProbe
from homeostat.probe.tls import trusting_context
from homeostat.probe.workload import WorkloadProbe

_log = structlog.get_logger(__name__)
_LATE_SECONDS = 0.5


class Probes:
    """Runs one probe against one address (implements `ports.Prober`).

    `guard` says what may be reached, `cluster` answers workload probes. `monotonic` gives seconds that never
    jump, `lookup` turns a name into addresses (it may block; it runs in a thread), `tls` is whom we trust
    (the system's authorities by default). Call `close` once at the end.
    """

    def __init__(
        self,
        guard: Guard,
        cluster: Cluster,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._resolver = Resolver(guard, lookup, monotonic)
        dialer = Dialer(guard, self._resolver, monotonic)
        self._http = HttpProbe(dialer, tls or trusting_context())
        self._tcp = TcpProbe(dialer)
        self._workload = WorkloadProbe(cluster, monotonic)

    async def probe(self, request: Request, timeout: float) -> Result:  # noqa: ASYNC109 - a budget, kept inside
        """Give a result within `timeout` seconds; never raises, except for cancellation."""
        started = self._monotonic()
        try:
            reason, code = await self._run(request, started + timeout)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the engine
            reason, code = _internal(error)
        seconds = self._monotonic() - started
        if reason is Reason.OK and isinstance(request, HttpRequest) and is_too_slow(request, seconds):
            reason = Reason.TOO_SLOW
        if reason is Reason.TIMEOUT and seconds > timeout + _LATE_SECONDS:
            reason = Reason.OUT_OF_RESOURCES  # it was we who slept, so the silence says nothing of the target
        return Result(verdict_of(reason), reason, seconds, code)

    def close(self) -> None:
        """Let go of the threads that resolve names."""
        self._resolver.close()

    async def _run(self, request: Request, deadline: float) -> Ending:
        match request:
            case HttpRequest():
                return await self._http.run(request, deadline)
            case TcpRequest():
                return await self._tcp.run(request, deadline)
            case WorkloadRequest():
                return await self._workload.run(request, deadline)


def _internal(error: Exception) -> Ending:
    """Log where a bug is, without the error's text: it may quote what a target sent."""
    frame = extract_tb(error.__traceback__)[-1]
    _log.error("probe_internal_error", error=type(error).__name__, where=f"{frame.name}:{frame.lineno}")
    return Ending(Reason.INTERNAL)
