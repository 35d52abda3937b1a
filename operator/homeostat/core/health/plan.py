"""A HealthCheck compiled for the hot path: what to do on every run, made once per change of its spec."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from homeostat.api.health_check import Criticality, HealthCheckSpec
from homeostat.core.cluster import Endpoint
from homeostat.core.probing.asking import Invalid, ServiceReference, asked, seconds, shared
from homeostat.core.probing.request import Request, StepsRequest
from homeostat.core.probing.target import target
from homeostat.core.ref import Ref

_NAMELESS = "external"
"""What an endpoint without a pod is called: its address stays with us."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do on every run, in seconds and exact shares. Either `fixed` or `service` says whom to ask.

    `step_services` has, for a multi-step probe (then the one in `fixed`), the Service of each step, None for a URL.
    `maintenance` has the times, from and until, in which nothing is asked.
    """

    interval: float
    timeout: float
    backoff: float
    retries: int
    failure_threshold: int
    success_threshold: int
    min_passing: Decimal
    degraded_latency: float | None
    stale_after: timedelta
    target: str
    fixed: tuple[Request, ...] = ()
    service: ServiceReference | None = None
    step_services: tuple[ServiceReference | None, ...] = ()
    maintenance: tuple[tuple[datetime, datetime], ...] = ()
    serves: str = ""  # the service it speaks for
    criticality: Criticality = Criticality.MEDIUM


@lru_cache(maxsize=4096)
def _silence(interval: timedelta, timeout: timedelta, backoff: timedelta, retries: int, threshold: int) -> timedelta:
    return max(threshold, 2) * interval + (retries + 1) * timeout + retries * backoff


def stale_after(spec: HealthCheckSpec) -> timedelta:
    """Give how long the last pass or fail stays valid.

    `failureThreshold` intervals and the longest run (`timeout`, and all of `retries`): by then as many runs are
    missing as would have been needed to call it failing. At least two intervals: one missed run is not silence.
    """
    retries = spec.retries
    return _silence(spec.interval, spec.timeout, retries.backoff, retries.max, spec.failure_threshold)


def compile(spec: HealthCheckSpec, ref: Ref) -> Plan | Invalid:  # noqa: A001 - what one does to a plan
    """Parse a spec of the HealthCheck `ref` into a plan, or say why it can never run."""
    found = asked(spec.probe, ref)
    if isinstance(found, Invalid):
        return found
    plan = _plan(spec)
    if isinstance(found, tuple):
        steps, services = found
        return replace(plan, fixed=(steps,), step_services=services)
    return replace(plan, service=found) if isinstance(found, ServiceReference) else replace(plan, fixed=(found,))


def _plan(spec: HealthCheckSpec) -> Plan:
    latency = spec.degraded.latency if spec.degraded else None
    return Plan(
        interval=seconds(spec.interval),
        timeout=seconds(spec.timeout),
        backoff=seconds(spec.retries.backoff),
        retries=spec.retries.max,
        failure_threshold=spec.failure_threshold,
        success_threshold=spec.success_threshold,
        min_passing=shared(spec.min_passing),
        degraded_latency=None if latency is None else seconds(latency),
        stale_after=stale_after(spec),
        target=shared(target(spec.probe)),
        maintenance=tuple((one.start, one.end) for one in spec.maintenance),
        serves=shared(spec.service),
        criticality=spec.criticality,
    )


def requests(plan: Plan, endpoints: Iterable[Endpoint] = ()) -> tuple[tuple[Ref | None, Request], ...]:
    """Give what to ask in one run: of a Service each ready endpoint, which is what its users reach."""
    if plan.service is None:
        return tuple((None, request) for request in plan.fixed)
    template = plan.service.template
    return tuple(
        (endpoint.pod, replace(template, address=endpoint.address, port=endpoint.port))
        for endpoint in endpoints
        if endpoint.is_ready
    )


def step_requests(plan: Plan, endpoints: Sequence[Endpoint | None]) -> StepsRequest:
    """Give a multi-step probe with the endpoint chosen for each step, None for one that asks a URL."""
    whole = plan.fixed[0]
    if not isinstance(whole, StepsRequest):
        raise TypeError("not a plan of several steps")
    return StepsRequest(
        tuple(
            step
            if endpoint is None
            else replace(step, request=replace(step.request, address=endpoint.address, port=endpoint.port))
            for step, endpoint in zip(whole.steps, endpoints, strict=True)
        )
    )


def endpoint_name(plan: Plan, pod: Ref | None) -> str:
    """Name one endpoint for humans: its pod, else what the spec names. Never an address we resolved (H9)."""
    if pod is not None:
        return pod.name
    return _NAMELESS if plan.service else plan.target[:253]
