"""From a probe as users write it to what is asked on every run: parsed once per change of a spec.

Ten thousand of these live at once, so what many have in common (durations, expectations, headers) is shared.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from homeostat.api.http_probe import (
    HEADER_NAME_PATTERN,
    HEADER_VALUE_PATTERN,
    HttpProbe,
    HttpScheme,
    HttpService,
    HttpVersion,
    SecretSource,
    TlsClientCert,
    TlsSettings,
)
from homeostat.api.probe import (
    DnsProbe,
    GrpcProbe,
    JobProbe,
    Probe,
    PromqlProbe,
    Step,
    TcpProbe,
    TlsProbe,
    WorkloadProbe,
)
from homeostat.core.probing.capture import undefined
from homeostat.core.probing.request import (
    Content,
    DnsRequest,
    GrpcRequest,
    HttpRequest,
    IcmpRequest,
    JobRequest,
    PromqlRequest,
    Request,
    SecretKey,
    StepRequest,
    StepsRequest,
    TcpRequest,
    Tls,
    TlsRequest,
    WorkloadRequest,
)
from homeostat.core.ref import Ref

T = TypeVar("T")

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^\]]+\]|[^/?#:@]+)(?::(?P<port>[0-9]+))?(?P<target>[/?][^#]*)?(?:#.*)?"
)
_ADDRESS = re.compile(r"(?P<host>\[[^\]]+\]|[^:]+):(?P<port>[0-9]+)")
_SERVER = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::(?P<v6port>[0-9]+))?|(?P<host>[^:\[\]]*)(?::(?P<port>[0-9]+))?")
_COMPARISON = re.compile(r"(?P<operator>[<>=!]=|[<>]) ?(?P<bound>.+)")
_HEADER_NAME = re.compile(HEADER_NAME_PATTERN)
_HEADER_VALUE = re.compile(HEADER_VALUE_PATTERN)
_LAST_PORT = 65535
_DNS_PORT = 53


class Refusal(StrEnum):
    """Why a spec cannot be compiled. `Ready=False` carries it as its reason."""

    INVALID_URL = "InvalidUrl"
    INVALID_ADDRESS = "InvalidAddress"
    INVALID_HEADER = "InvalidHeader"
    INVALID_CONDITION = "InvalidCondition"
    UNKNOWN_CAPTURE = "UnknownCapture"
    UNKNOWN_PROBE = "UnknownProbe"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A spec that can never run as written, although the schema let it through (or was younger then)."""

    reason: Refusal
    message: str


@dataclass(frozen=True, slots=True)
class ServiceReference:
    """The Service whose ready endpoints are asked, each with a copy of `template`."""

    namespace: str
    name: str
    port: int | str
    template: HttpRequest | TcpRequest | GrpcRequest | TlsRequest


Asked = Request | ServiceReference | Invalid


@lru_cache(maxsize=4096, typed=True)
def shared(value: T) -> T:
    """Give the first of all equal values seen, so that equal plans hold the same objects."""
    return value


@lru_cache(maxsize=4096)
def seconds(value: timedelta) -> float:
    """Give a duration in seconds, shared."""
    return value.total_seconds()


def asked(probe: Probe, owner: Ref) -> Asked | tuple[StepsRequest, tuple[ServiceReference | None, ...]]:
    """Parse the probe of the HealthCheck `owner`; steps come with the Service of each, None for a URL."""
    namespace = owner.namespace
    if probe.http:
        found = _http(probe.http, namespace)
        return Invalid(found.reason, f"spec.probe.http.{found.message}") if isinstance(found, Invalid) else found
    if probe.tcp:
        return _tcp(probe.tcp, namespace)
    if probe.workload:
        return _workload(probe.workload, namespace)
    if probe.steps:
        return _steps(probe.steps, namespace)
    return _rarely_asked(probe, owner)


def _rarely_asked(probe: Probe, owner: Ref) -> Asked:
    if probe.grpc:
        return _grpc(probe.grpc, owner.namespace)
    if probe.tls:
        return _tls(probe.tls, owner.namespace)
    if probe.dns:
        return _dns(probe.dns)
    if probe.icmp:
        return IcmpRequest(probe.icmp.host)
    if probe.promql:
        return _promql(probe.promql)
    if probe.job:
        return _job(probe.job, owner)
    return Invalid(Refusal.UNKNOWN_PROBE, "spec.probe: no member is set that this release can probe")


# --- HTTP -----------------------------------------------------------------------------------------------


def _http(probe: HttpProbe, namespace: str) -> HttpRequest | ServiceReference | Invalid:
    for name, value in probe.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            return Invalid(Refusal.INVALID_HEADER, "headers: a name or value is not allowed in HTTP")
    named = {name.lower() for name in probe.headers}
    if any(one.name.lower() in named for one in probe.headers_from):
        return Invalid(Refusal.INVALID_HEADER, "headersFrom: a header is also in headers")
    if probe.service:
        return _http_service(probe, probe.service, namespace)
    return _http_url(probe, namespace)


def _http_url(probe: HttpProbe, namespace: str) -> HttpRequest | Invalid:
    match = _URL.fullmatch(probe.url or "")
    port = _port(match["port"] or ("443" if match["scheme"] == "https" else "80")) if match else None
    if match is None or port is None:
        return Invalid(Refusal.INVALID_URL, "url: not an http or https URL without user and password")
    path = match["target"] or "/"
    return replace(
        _template(probe, namespace),
        host=match["host"].strip("[]"),
        port=port,
        is_tls=match["scheme"] == "https",
        target=path if path.startswith("/") else f"/{path}",
    )


def _http_service(probe: HttpProbe, service: HttpService, namespace: str) -> ServiceReference:
    template = replace(
        _template(probe, namespace),
        host=service.host or f"{service.name}.{namespace}.svc",
        is_tls=service.scheme is HttpScheme.HTTPS,
        target=service.path.split("#", maxsplit=1)[0],
    )
    return ServiceReference(namespace, service.name, service.port, template)


def _template(probe: HttpProbe, namespace: str) -> HttpRequest:
    latency = probe.expect.max_latency
    return HttpRequest(
        host="",
        port=0,
        method=probe.method.value,
        headers=shared(tuple(probe.headers.items())),
        body=(probe.body or "").encode(),
        expect_status=shared(probe.expect.status),
        max_latency=None if latency is None else seconds(latency),
        content=_content(probe),
        follow_redirects=probe.follow_redirects,
        tls=_tls_settings(probe.tls, namespace),
        is_http2=probe.version is HttpVersion.HTTP2,
        keeps_connection=probe.keep_connection,
        headers_from=tuple(
            (one.name, SecretKey(namespace, one.secret_ref.name, one.secret_ref.key)) for one in probe.headers_from
        ),
        body_from=_secret(probe.body_from, namespace),
    )


def _content(probe: HttpProbe) -> Content | None:
    expected = probe.expect
    body = expected.body
    if not (body or expected.json_ or expected.headers):
        return None
    content = Content(
        contains=body.contains if body else "",
        matches=body.matches if body else "",
        json=expected.json_,
        headers=tuple(expected.headers.items()),
    )
    held: Content = shared(content)
    return held


def _tls_settings(settings: TlsSettings | None, namespace: str) -> Tls | None:
    if settings is None:
        return None
    verification = Tls(
        server_name=settings.server_name,
        is_verified=not settings.insecure_skip_verify,
        ca_from=_secret(settings.ca_ref, namespace),
        certificate_from=_certificate(settings.client_cert_ref, namespace),
    )
    held: Tls = shared(verification)
    return held


def _secret(source: SecretSource | None, namespace: str) -> SecretKey | None:
    return SecretKey(namespace, source.secret_ref.name, source.secret_ref.key) if source else None


def _certificate(source: TlsClientCert | None, namespace: str) -> SecretKey | None:
    return SecretKey(namespace, source.secret_ref.name) if source else None


# --- several steps --------------------------------------------------------------------------------------


def _steps(
    steps: tuple[Step, ...], namespace: str
) -> tuple[StepsRequest, tuple[ServiceReference | None, ...]] | Invalid:
    unknown = undefined((_texts(step.http), step.capture) for step in steps)
    if unknown:
        names = ", ".join(unknown)
        return Invalid(Refusal.UNKNOWN_CAPTURE, f"spec.probe.steps: no earlier step captures {names}")
    services: list[ServiceReference | None] = []
    requests: list[StepRequest] = []
    for step in steps:
        found = _http(step.http, namespace)
        if isinstance(found, Invalid):
            return Invalid(found.reason, f"spec.probe.steps, {step.name}: {found.message}")
        request = found if isinstance(found, HttpRequest) else _http_template(found)
        services.append(found if isinstance(found, ServiceReference) else None)
        requests.append(StepRequest(step.name, request, tuple(step.capture.items()), step.always))
    return StepsRequest(tuple(requests)), tuple(services)


def _http_template(reference: ServiceReference) -> HttpRequest:
    if not isinstance(reference.template, HttpRequest):
        raise TypeError("a step is an HTTP request")
    return reference.template


def _texts(probe: HttpProbe) -> Iterator[str]:
    yield probe.url or ""
    yield probe.service.path if probe.service else ""
    yield probe.body or ""
    yield from probe.headers.values()


# --- the other protocols --------------------------------------------------------------------------------


Socket = TypeVar("Socket", TcpRequest, GrpcRequest, TlsRequest)


def _tcp(probe: TcpProbe, namespace: str) -> TcpRequest | ServiceReference | Invalid:
    return _somewhere(probe, TcpRequest("", 0, send=probe.send.encode(), expect=probe.expect), namespace)


def _grpc(probe: GrpcProbe, namespace: str) -> GrpcRequest | ServiceReference | Invalid:
    tls = _tls_settings(probe.tls, namespace)
    return _somewhere(probe, GrpcRequest("", 0, service=probe.health_service, tls=tls), namespace)


def _tls(probe: TlsProbe, namespace: str) -> TlsRequest | ServiceReference | Invalid:
    settings = Tls(
        server_name=probe.server_name,
        ca_from=_secret(probe.ca_ref, namespace),
        certificate_from=_certificate(probe.client_cert_ref, namespace),
    )
    template = TlsRequest("", 0, min_validity=seconds(probe.min_validity), tls=shared(settings))
    return _somewhere(probe, template, namespace)


def _somewhere(
    probe: TcpProbe | GrpcProbe | TlsProbe, template: Socket, namespace: str
) -> Socket | ServiceReference | Invalid:
    """Say whom to ask: each endpoint of the Service that the probe names, else its address."""
    service = probe.service
    if service:
        filled = replace(template, host=f"{service.name}.{namespace}.svc")
        return ServiceReference(namespace, service.name, service.port, filled)
    match = _ADDRESS.fullmatch(probe.address or "")
    port = _port(match["port"]) if match else None
    if match is None or port is None:
        return Invalid(Refusal.INVALID_ADDRESS, f"spec.probe.{template.type}.address: not host:port")
    return replace(template, host=match["host"].strip("[]"), port=port)


def _dns(probe: DnsProbe) -> DnsRequest | Invalid:
    match = _SERVER.fullmatch(probe.server)
    port = _port((match["port"] or match["v6port"] or str(_DNS_PORT)) if match else "0")
    if match is None or port is None:
        return Invalid(Refusal.INVALID_ADDRESS, "spec.probe.dns.server: not a host or host:port")
    server = match["v6"] or match["host"] or ""
    return DnsRequest(probe.name, probe.type.value, server, port, shared(probe.expect))


def _promql(probe: PromqlProbe) -> PromqlRequest | Invalid:
    match = _COMPARISON.fullmatch(probe.condition)
    try:
        bound = float(match["bound"]) if match else None
    except ValueError:
        bound = None
    if match is None or bound is None:
        return Invalid(Refusal.INVALID_CONDITION, "spec.probe.promql.condition: not a comparison like `< 0.05`")
    return PromqlRequest(probe.query, match["operator"], bound)


def _job(probe: JobProbe, owner: Ref) -> JobRequest:
    return JobRequest(owner.namespace, owner.name, owner.uid, json.dumps(probe.template, separators=(",", ":")))


def _workload(probe: WorkloadProbe, namespace: str) -> WorkloadRequest:
    limit = probe.max_restarts
    return WorkloadRequest(
        namespace=namespace,
        kind=probe.kind.value,
        name=probe.name,
        min_ready=shared(probe.min_ready),
        max_restarts=limit.count if limit else None,
        restart_window=limit.window if limit else None,
        max_generation_lag=probe.max_generation_lag,
        fail_on=shared(tuple(trouble.value for trouble in probe.fail_on)),
    )


def _port(text: str) -> int | None:
    number = int(text)
    return number if 1 <= number <= _LAST_PORT else None
