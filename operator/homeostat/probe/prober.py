"""The prober: takes any request, gives one result within its time. Each kind of probe is a module beside this one."""

import asyncio
import time
from collections.abc import Callable
from traceback import extract_tb
from typing import Protocol

import structlog

from homeostat.core.probing.request import HttpRequest, JobRequest, PromqlRequest, Request, WorkloadRequest
from homeostat.core.probing.result import Reason, Result
from homeostat.ports import Cluster, Jobs, Secrets
from homeostat.probe.cluster.job import JobProbe
from homeostat.probe.cluster.secrets import SecretReader
from homeostat.probe.cluster.workload import WorkloadProbe
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.http.probe import is_too_slow
from homeostat.probe.network import Run
from homeostat.probe.promql import PromqlProbe

_log = structlog.get_logger(__name__)
_LATE_SECONDS = 0.5
_LATE_SHARE = 0.1  # of its time that a request may wait for a Secret; a timeout after that is not the target's fault


class Network(Protocol):
    """What goes over the network: in this process (`NetworkProbes`) or in others (`ProberPool`)."""

    async def run(self, request: Request, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class Probes:
    """Runs one probe against one address (implements `ports.Prober`).

    `network` asks what goes over the network, `cluster`, `jobs` and `promql` the rest; `secrets` are read before
    time is taken. `monotonic` gives seconds that never jump. Call `close` once at the end.
    """

    def __init__(
        self,
        network: Network,
        *,
        cluster: Cluster,
        secrets: Secrets,
        jobs: Jobs,
        promql: PromqlProbe,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._secrets = SecretReader(secrets, monotonic)
        self._promql = promql
        self._monotonic = monotonic
        self._runners: dict[type[Request], Run] = {
            WorkloadRequest: WorkloadProbe(cluster, monotonic).run,
            JobRequest: JobProbe(jobs, monotonic).run,
            PromqlRequest: promql.run,
        }

    async def probe(self, request: Request, timeout: float) -> Result:  # noqa: ASYNC109 - a budget, kept inside
        """Give a result within `timeout` seconds; never raises, except for cancellation."""
        began = started = self._monotonic()
        deadline = began + timeout
        try:
            complete = await self._secrets.fill(request, deadline)
            if isinstance(complete, Reason):
                return _result(Ending(complete), self._monotonic() - began)
            if complete is not request:
                started = self._monotonic()  # that reading a Secret took long is no fault of the target
            runner = self._runners.get(type(request), self._network.run)
            ending = await runner(complete, deadline)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            ending = _internal(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the engine
            ending = _internal(error)
        seconds = self._seconds(ending, started)
        if ending.reason is Reason.OK and isinstance(request, HttpRequest) and is_too_slow(request, seconds):
            ending = ending._replace(reason=Reason.TOO_SLOW)
        if ending.reason is Reason.TIMEOUT:
            ending = ending._replace(reason=_whose_silence(seconds, started - began, timeout))
        return _result(ending, seconds)

    def _seconds(self, ending: Ending, started: float) -> float:
        """Give how long the target took: an answer's phases, for what we ourselves think about it is not its fault."""
        if ending.reason is Reason.OK and ending.phases is not None:
            return sum(ending.phases)
        return self._monotonic() - started

    def close(self) -> None:
        """Let go of what it was given, and of the reading of Secrets."""
        self._secrets.close()
        self._promql.close()
        self._network.close()


def _result(ending: Ending, seconds: float) -> Result:
    reason, code, phases, not_after, share, step = ending
    return Result(verdict_of(reason), reason, seconds, code, phases, not_after, share, step)


def _whose_silence(seconds: float, waited: float, timeout: float) -> Reason:
    """Say what a silence of `seconds` means: nothing of the target if we slept, or waited too long for a Secret."""
    if seconds > timeout + _LATE_SECONDS:
        return Reason.OUT_OF_RESOURCES
    return Reason.API_UNAVAILABLE if waited > _LATE_SHARE * timeout else Reason.TIMEOUT


def _is_cancelled() -> bool:
    """Say whether somebody wants the current task to end; a cancellation that nobody asked for is a bug."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _internal(error: BaseException) -> Ending:
    """Log where a bug is, without the error's text: it may quote what a target sent."""
    frame = extract_tb(error.__traceback__)[-1]
    _log.error("probe_internal_error", error=type(error).__name__, where=f"{frame.name}:{frame.lineno}")
    return Ending(Reason.INTERNAL)
