"""Every kind of probe becomes what is asked on every run, with secrets named and never read."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.cluster import Endpoint
from homeostat.core.health.plan import Plan, compile, requests, step_requests  # noqa: A004 - of a plan
from homeostat.core.probing.asking import Invalid, Refusal
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

CHECK = Ref("HealthCheck", "shop", "checkout", "uid-1")


def compiled(probe: dict[str, Any], **fields: Any) -> Plan | Invalid:
    return compile(HealthCheckSpec.model_validate({"probe": probe, **fields}), CHECK)


def asked(probe: dict[str, Any]) -> Request:
    plan = compiled(probe)
    assert isinstance(plan, Plan)
    ((_, request),) = requests(plan)
    return request


def test_secrets_of_an_http_probe_are_named_in_the_checks_own_namespace() -> None:
    """H9: credentials come from Secrets of the same namespace only."""
    reference = {"secretRef": {"name": "shop-token", "key": "token"}}
    probe = {
        "url": "https://a/",
        "headersFrom": [{"name": "Authorization", **reference}],
        "bodyFrom": reference,
        "tls": {"caRef": reference, "clientCertRef": {"secretRef": {"name": "client"}}, "serverName": "b"},
    }
    key = SecretKey("shop", "shop-token", "token")

    request = asked({"http": probe})

    assert request == HttpRequest(
        host="a",
        port=443,
        is_tls=True,
        headers_from=(("Authorization", key),),
        body_from=key,
        tls=Tls(server_name="b", ca_from=key, certificate_from=SecretKey("shop", "client")),
    )


def test_what_a_prober_read_from_secrets_is_never_shown() -> None:
    """H9: not even in a traceback's repr."""
    tls = Tls(ca=b"hidden", certificate=b"hidden", private_key=b"hidden")
    request = HttpRequest("a", 1, tls=tls, secret_headers=(("Authorization", "hidden"),), secret_body=b"hidden")

    assert "hidden" not in repr(request)


def test_what_an_answer_must_contain_is_told_only_when_something_is_expected() -> None:
    plain = asked({"http": {"url": "http://a/", "expect": {"status": ["200"]}}})
    judged = asked(
        {
            "http": {
                "url": "http://a/",
                "expect": {"body": {"contains": "ok", "matches": "o+k"}, "json": "json.ok", "headers": {"x": "y"}},
            }
        }
    )

    assert isinstance(plain, HttpRequest)
    assert isinstance(judged, HttpRequest)
    assert plain.content is None
    assert judged.content == Content("ok", "o+k", "json.ok", (("x", "y"),))


def test_ways_to_connect_are_carried() -> None:
    request = asked(
        {
            "http": {
                "url": "https://a/",
                "version": "HTTP2",
                "keepConnection": True,
                "followRedirects": 3,
                "tls": {"insecureSkipVerify": True},
            }
        }
    )

    assert request == HttpRequest(
        "a", 443, is_tls=True, is_http2=True, keeps_connection=True, follow_redirects=3, tls=Tls(is_verified=False)
    )


@pytest.mark.parametrize(
    ("probe", "request_"),
    [
        (
            {"tcp": {"address": "a:25", "send": "PING\r\n", "expect": "PONG"}},
            TcpRequest("a", 25, "", b"PING\r\n", "PONG"),
        ),
        ({"dns": {"name": "a.example"}}, DnsRequest("a.example")),
        (
            {"dns": {"name": "a.example", "type": "MX", "server": "b:5353", "expect": ["10 c"]}},
            DnsRequest("a.example", "MX", "b", 5353, ("10 c",)),
        ),
        ({"dns": {"name": "a", "server": "[2001:db8::1]:54"}}, DnsRequest("a", "A", "2001:db8::1", 54)),
        ({"dns": {"name": "a", "server": "198.18.0.1"}}, DnsRequest("a", "A", "198.18.0.1", 53)),
        ({"grpc": {"address": "a:50051", "healthService": "x.Y"}}, GrpcRequest("a", 50051, service="x.Y")),
        ({"grpc": {"address": "a:50051", "tls": {}}}, GrpcRequest("a", 50051, tls=Tls())),
        (
            {"tls": {"address": "a:443", "minValidity": "30d", "serverName": "b"}},
            TlsRequest("a", 443, min_validity=30 * 86400.0, tls=Tls(server_name="b")),
        ),
        ({"icmp": {"host": "gateway"}}, IcmpRequest("gateway")),
        ({"promql": {"query": "up", "condition": "< 0.05"}}, PromqlRequest("up", "<", 0.05)),
        ({"promql": {"query": "up", "condition": ">=1e-3"}}, PromqlRequest("up", ">=", 0.001)),
        ({"job": {"template": {"spec": {"a": 1}}}}, JobRequest("shop", "checkout", "uid-1", '{"spec":{"a":1}}')),
        (
            {"workload": {"kind": "Deployment", "name": "a", "maxGenerationLag": "30s", "failOn": ["OOMKilled"]}},
            WorkloadRequest(
                "shop", "Deployment", "a", Decimal(1), max_generation_lag=timedelta(seconds=30), fail_on=("OOMKilled",)
            ),
        ),
    ],
)
def test_each_kind_of_probe_is_asked_as_written(probe: dict[str, Any], request_: Request) -> None:
    assert asked(probe) == request_


@pytest.mark.parametrize("kind", ["tcp", "grpc", "tls"])
def test_each_endpoint_of_a_service_is_asked_whatever_the_protocol(kind: str) -> None:
    """H4."""
    plan = compiled({kind: {"service": {"name": "db", "port": "main"}}})
    endpoint = Endpoint("198.18.0.1", 15432, is_ready=True)

    assert isinstance(plan, Plan)
    ((_, request),) = requests(plan, (endpoint,))
    assert isinstance(request, TcpRequest | GrpcRequest | TlsRequest)
    assert (request.host, request.port, request.address) == ("db.shop.svc", 15432, "198.18.0.1")


STEPS = [
    {
        "name": "login",
        "http": {"service": {"name": "shop", "port": 80, "path": "/login"}, "method": "POST"},
        "capture": {"token": "json.token"},
    },
    {"name": "buy", "http": {"url": "http://b/buy", "headers": {"Authorization": "Bearer {{token}}"}}, "always": True},
]


def test_steps_are_asked_in_order_each_where_it_belongs() -> None:
    plan = compiled({"steps": STEPS})

    assert isinstance(plan, Plan)
    assert [service.name if service else None for service in plan.step_services] == ["shop", None]
    filled = step_requests(plan, (Endpoint("198.18.0.1", 8080, is_ready=True), None))
    assert filled == StepsRequest(
        (
            StepRequest(
                "login",
                HttpRequest("shop.shop.svc", 8080, "198.18.0.1", target="/login", method="POST"),
                (("token", "json.token"),),
            ),
            StepRequest(
                "buy",
                HttpRequest("b", 80, target="/buy", headers=(("Authorization", "Bearer {{token}}"),)),
                always=True,
            ),
        )
    )


def test_a_step_that_uses_what_nobody_captured_is_refused() -> None:
    refused = compiled({"steps": list(reversed(STEPS))})

    assert refused == Invalid(Refusal.UNKNOWN_CAPTURE, "spec.probe.steps: no earlier step captures token")


def test_a_header_that_is_given_twice_is_refused() -> None:
    probe = {
        "url": "http://a/",
        "headers": {"X-Key": "a"},
        "headersFrom": [{"name": "x-key", "secretRef": {"name": "a", "key": "b"}}],
    }

    refused = compiled({"http": probe})

    assert refused == Invalid(Refusal.INVALID_HEADER, "spec.probe.http.headersFrom: a header is also in headers")


def test_times_of_maintenance_are_part_of_the_plan() -> None:
    plan = compiled(
        {"icmp": {"host": "a"}},
        maintenance=[{"start": "2026-12-01T00:00:00Z", "end": "2026-12-01T02:00:00Z", "reason": "migration"}],
    )

    assert isinstance(plan, Plan)
    ((start, end),) = plan.maintenance
    assert (start.isoformat(), end.isoformat()) == ("2026-12-01T00:00:00+00:00", "2026-12-01T02:00:00+00:00")
