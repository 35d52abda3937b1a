"""A HealthCheck compiled for the hot path: parsed once per change of its spec, read on every run.

Ten thousand plans live at once, so what many have in common (durations, expectations, headers) is shared.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.http_probe import HEADER_NAME_PATTERN, HEADER_VALUE_PATTERN, HttpProbe, HttpScheme, HttpService
from homeostat.api.probe import PortOfService, Probe, TcpProbe, WorkloadProbe
from homeostat.core.cluster import Endpoint
from homeostat.core.decision import Ref
from homeostat.core.probing import HttpRequest, Request, TcpRequest, WorkloadRequest

T = TypeVar("T")

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^\]]+\]|[^/?#:@]+)(?::(?P<port>[0-9]+))?(?P<target>[/?][^#]*)?(?:#.*)?"
)
_ADDRESS = re.compile(r"(?P<host>\[[^\]]+\]|[^:]+):(?P<port>[0-9]+)")
_HEADER_NAME = re.compile(HEADER_NAME_PATTERN)
_HEADER_VALUE = re.compile(HEADER_VALUE_PATTERN)
_LAST_PORT = 65535
_NAMELESS = "external"
"""What an endpoint without a pod is called: its address stays with us."""


class Refusal(StrEnum):
    """Why a spec cannot be compiled. `Ready=False` carries it as its reason."""

    INVALID_URL = "InvalidUrl"
    INVALID_ADDRESS = "InvalidAddress"
    INVALID_HEADER = "InvalidHeader"
    UNKNOWN_PROBE = "UnknownProbe"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A spec that can never run as written, although the schema let it through (or was younger then)."""

    reason: Refusal
    message: str


@dataclass(frozen=True, slots=True)
class ServiceReference:
    """The Service whose ready endpoints are probed, each with a copy of `template`."""

    namespace: str
    name: str
    port: int | str
    template: HttpRequest | TcpRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do on every run, in seconds and exact shares. Either `fixed` or `service` says whom to ask."""

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


@lru_cache(maxsize=4096, typed=True)
def _shared(value: T) -> T:
    """Give the first of all equal values seen, so that equal plans hold the same objects."""
    return value


@lru_cache(maxsize=4096)
def _seconds(value: timedelta) -> float:
    return value.total_seconds()


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
    asked = _asked(spec.probe, ref.namespace)
    if isinstance(asked, Invalid):
        return asked
    latency = spec.degraded.latency if spec.degraded else None
    return Plan(
        interval=_seconds(spec.interval),
        timeout=_seconds(spec.timeout),
        backoff=_seconds(spec.retries.backoff),
        retries=spec.retries.max,
        failure_threshold=spec.failure_threshold,
        success_threshold=spec.success_threshold,
        min_passing=_shared(spec.min_passing),
        degraded_latency=None if latency is None else _seconds(latency),
        stale_after=stale_after(spec),
        target=target(spec.probe),
        fixed=() if isinstance(asked, ServiceReference) else (asked,),
        service=asked if isinstance(asked, ServiceReference) else None,
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


def endpoint_name(plan: Plan, pod: Ref | None) -> str:
    """Name one endpoint for humans: its pod, else what the spec names. Never an address we resolved (H9)."""
    if pod is not None:
        return pod.name
    return _NAMELESS if plan.service else plan.target[:253]


# --- what a probe is called -----------------------------------------------------------------------------


def probe_type(probe: Probe) -> str:
    """Give the name of the member that is set, such as `http`; "" when none is."""
    return next((name for name in type(probe).model_fields if getattr(probe, name) is not None), "")


def target(probe: Probe) -> str:
    """Describe in short what is probed: without query, fragment or credentials (H9)."""
    if probe.http:
        return _http_target(probe.http)
    if probe.tcp:
        service = probe.tcp.service
        return f"service/{service.name}:{service.port}" if service else probe.tcp.address or ""
    if probe.workload:
        return f"{probe.workload.kind.value}/{probe.workload.name}"
    return ""


def _http_target(probe: HttpProbe) -> str:
    service = probe.service
    text = f"service/{service.name}:{service.port}{service.path}" if service else probe.url or ""
    return re.split(r"[?#]", text, maxsplit=1)[0][:512]


# --- what is asked --------------------------------------------------------------------------------------


def _asked(probe: Probe, namespace: str) -> Request | ServiceReference | Invalid:
    if probe.http:
        return _http(probe.http, namespace)
    if probe.tcp:
        return _tcp(probe.tcp, namespace)
    if probe.workload:
        return _workload(probe.workload, namespace)
    return Invalid(Refusal.UNKNOWN_PROBE, "spec.probe: no member is set that this release can probe")


def _http(probe: HttpProbe, namespace: str) -> Request | ServiceReference | Invalid:
    for name, value in probe.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            return Invalid(Refusal.INVALID_HEADER, "spec.probe.http.headers: a name or value is not allowed in HTTP")
    if probe.service:
        return _http_service(probe, probe.service, namespace)
    match = _URL.fullmatch(probe.url or "")
    port = _port(match["port"] or ("443" if match["scheme"] == "https" else "80")) if match else None
    if match is None or port is None:
        return Invalid(Refusal.INVALID_URL, "spec.probe.http.url: not an http or https URL without user and password")
    path = match["target"] or "/"
    return replace(
        _template(probe),
        host=match["host"].strip("[]"),
        port=port,
        is_tls=match["scheme"] == "https",
        target=path if path.startswith("/") else f"/{path}",
    )


def _http_service(probe: HttpProbe, service: HttpService, namespace: str) -> ServiceReference:
    template = replace(
        _template(probe),
        host=service.host or f"{service.name}.{namespace}.svc",
        is_tls=service.scheme is HttpScheme.HTTPS,
        target=service.path.split("#", maxsplit=1)[0],
    )
    return ServiceReference(namespace, service.name, service.port, template)


def _template(probe: HttpProbe) -> HttpRequest:
    latency = probe.expect.max_latency
    return HttpRequest(
        host="",
        port=0,
        method=probe.method.value,
        headers=_shared(tuple(probe.headers.items())),
        body=(probe.body or "").encode(),
        expect_status=_shared(probe.expect.status),
        max_latency=None if latency is None else _seconds(latency),
    )


def _tcp(probe: TcpProbe, namespace: str) -> Request | ServiceReference | Invalid:
    if probe.service:
        return _tcp_service(probe.service, namespace)
    match = _ADDRESS.fullmatch(probe.address or "")
    port = _port(match["port"]) if match else None
    if match is None or port is None:
        return Invalid(Refusal.INVALID_ADDRESS, "spec.probe.tcp.address: not host:port")
    return TcpRequest(host=match["host"].strip("[]"), port=port)


def _tcp_service(service: PortOfService, namespace: str) -> ServiceReference:
    return ServiceReference(
        namespace, service.name, service.port, TcpRequest(host=f"{service.name}.{namespace}.svc", port=0)
    )


def _workload(probe: WorkloadProbe, namespace: str) -> WorkloadRequest:
    limit = probe.max_restarts
    return WorkloadRequest(
        namespace=namespace,
        kind=probe.kind.value,
        name=probe.name,
        min_ready=_shared(probe.min_ready),
        max_restarts=limit.count if limit else None,
        restart_window=limit.window if limit else None,
    )


def _port(text: str) -> int | None:
    number = int(text)
    return number if 1 <= number <= _LAST_PORT else None
