"""A spec becomes requests: parsed once, shared where equal, refused where it can never run."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.cluster import Endpoint
from homeostat.core.health import plan as plans
from homeostat.core.health.plan import Plan, endpoint_name, requests, stale_after
from homeostat.core.probing.asking import Invalid, Refusal
from homeostat.core.probing.request import HttpRequest, TcpRequest, WorkloadRequest
from homeostat.core.probing.target import probe_type, target
from homeostat.core.ref import Ref

CHECK = Ref("HealthCheck", "shop", "checkout", "uid-1")
POD = Ref("Pod", "shop", "checkout-abc", "uid-2")


def spec(probe: dict[str, Any], **fields: Any) -> HealthCheckSpec:
    return HealthCheckSpec.model_validate({"probe": probe, **fields})


def compiled(probe: dict[str, Any], **fields: Any) -> Plan:
    plan = plans.compile(spec(probe, **fields), CHECK)
    assert isinstance(plan, Plan)
    return plan


def unchecked(probe: dict[str, Any], **update: Any) -> HealthCheckSpec:
    """Build what today's schema would refuse: an object stored under an older one."""
    (member,) = probe
    good = spec(probe)
    bad = getattr(good.probe, member).model_copy(update=update)
    return good.model_copy(update={"probe": good.probe.model_copy(update={member: bad})})


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls", "path"),
    [
        ("http://a", "a", 80, False, "/"),
        ("https://a", "a", 443, True, "/"),
        ("https://a.example:8443/x/y?z=1#part", "a.example", 8443, True, "/x/y?z=1"),
        ("http://a?q=1", "a", 80, False, "/?q=1"),
        ("http://a#part", "a", 80, False, "/"),
        ("http://[2001:db8::1]:81/x", "2001:db8::1", 81, False, "/x"),
    ],
)
def test_a_url_becomes_one_request(url: str, host: str, port: int, is_tls: bool, path: str) -> None:  # noqa: FBT001
    expected = HttpRequest(host=host, port=port, is_tls=is_tls, target=path)

    assert requests(compiled({"http": {"url": url}})) == ((None, expected),)


def test_a_request_carries_all_that_the_spec_says() -> None:
    probe = {
        "url": "http://a/",
        "method": "POST",
        "headers": {"Accept": "text/plain"},
        "body": "hé",
        "expect": {"status": ["204", "3xx"], "maxLatency": "250ms"},
    }
    (_, request), *_ = requests(compiled({"http": probe}))

    assert request == HttpRequest(
        host="a",
        port=80,
        method="POST",
        headers=(("Accept", "text/plain"),),
        body="hé".encode(),
        expect_status=("204", "3xx"),
        max_latency=0.25,
    )


def test_each_ready_endpoint_of_a_service_is_asked_by_itself() -> None:
    """H4: each endpoint is probed; those that get no traffic are not."""
    plan = compiled({"http": {"service": {"name": "checkout", "port": "http", "path": "/healthz"}}})
    endpoints = (
        Endpoint("198.18.0.1", 8080, is_ready=True, pod=POD),
        Endpoint("198.18.0.2", 8080, is_ready=False),
        Endpoint("198.18.0.3", 8081, is_ready=True),
    )

    assert plan.service is not None
    assert (plan.service.namespace, plan.service.name, plan.service.port) == ("shop", "checkout", "http")
    assert requests(plan, endpoints) == (
        (POD, HttpRequest(host="checkout.shop.svc", port=8080, address="198.18.0.1", target="/healthz")),
        (None, HttpRequest(host="checkout.shop.svc", port=8081, address="198.18.0.3", target="/healthz")),
    )


def test_a_service_without_endpoints_leaves_nothing_to_ask() -> None:
    assert requests(compiled({"tcp": {"service": {"name": "db", "port": 5432}}})) == ()


def test_a_service_may_be_asked_under_another_host_and_with_tls() -> None:
    service = {"name": "a", "port": 443, "scheme": "HTTPS", "host": "a.example", "path": "/x#part"}
    plan = compiled({"http": {"service": service}})

    assert plan.service is not None
    assert plan.service.template == HttpRequest(host="a.example", port=0, is_tls=True, target="/x")


def test_tcp_goes_to_an_address_or_to_each_endpoint() -> None:
    fixed = compiled({"tcp": {"address": "[2001:db8::1]:5432"}})
    served = compiled({"tcp": {"service": {"name": "db", "port": 5432}}})
    endpoint = Endpoint("198.18.0.1", 15432, is_ready=True, pod=POD)

    assert requests(fixed) == ((None, TcpRequest(host="2001:db8::1", port=5432)),)
    assert requests(served, (endpoint,)) == ((POD, TcpRequest("db.shop.svc", 15432, "198.18.0.1")),)


def test_a_workload_is_looked_up_in_the_checks_own_namespace() -> None:
    probe = {"kind": "Deployment", "name": "a", "minReady": "80%", "maxRestarts": {"count": 3, "window": "10m"}}
    expected = WorkloadRequest("shop", "Deployment", "a", Decimal("0.8"), 3, timedelta(minutes=10))

    assert requests(compiled({"workload": probe})) == ((None, expected),)


def test_restarts_of_a_workload_are_judged_only_on_request() -> None:
    (_, request), *_ = requests(compiled({"workload": {"kind": "StatefulSet", "name": "a"}}))

    assert request == WorkloadRequest("shop", "StatefulSet", "a", Decimal(1))


@pytest.mark.parametrize(
    ("old", "reason"),
    [
        (unchecked({"http": {"url": "http://a/"}}, url="http://user:pass@a/"), Refusal.INVALID_URL),
        (unchecked({"http": {"url": "http://a/"}}, url="http://a:99999/"), Refusal.INVALID_URL),
        (unchecked({"http": {"url": "http://a/"}}, url=None), Refusal.INVALID_URL),
        (unchecked({"http": {"url": "http://a/"}}, headers={"a b": "c"}), Refusal.INVALID_HEADER),
        (unchecked({"http": {"url": "http://a/"}}, headers={"a": "b\r\nc: d"}), Refusal.INVALID_HEADER),
        (unchecked({"tcp": {"address": "a:1"}}, address="a"), Refusal.INVALID_ADDRESS),
        (unchecked({"tcp": {"address": "a:1"}}, address="a:0"), Refusal.INVALID_ADDRESS),
        (unchecked({"grpc": {"address": "a:1"}}, address="a"), Refusal.INVALID_ADDRESS),
        (unchecked({"tls": {"address": "a:1"}}, address="a:65536"), Refusal.INVALID_ADDRESS),
        (unchecked({"dns": {"name": "a"}}, server="a:b:c"), Refusal.INVALID_ADDRESS),
        (unchecked({"promql": {"query": "up", "condition": "> 0"}}, condition="about 3"), Refusal.INVALID_CONDITION),
        (unchecked({"promql": {"query": "up", "condition": "> 0"}}, condition="> many"), Refusal.INVALID_CONDITION),
        (spec({}), Refusal.UNKNOWN_PROBE),
    ],
)
def test_what_can_never_run_is_refused_with_a_reason(old: HealthCheckSpec, reason: Refusal) -> None:
    """H1, H9: an object older than the schema is invalid, and its secrets are not repeated."""
    refused = plans.compile(old, CHECK)

    assert isinstance(refused, Invalid)
    assert refused.reason is reason
    assert "pass@" not in refused.message


def test_durations_are_seconds_and_shares_exact() -> None:
    plan = compiled(
        {"tcp": {"address": "a:1"}},
        interval="1s",
        timeout="250ms",
        retries={"max": 2, "backoff": "100ms"},
        minPassing="66.6%",
        degraded={"latency": "50ms"},
    )

    assert (plan.interval, plan.timeout, plan.backoff, plan.retries) == (1.0, 0.25, 0.1, 2)
    assert (plan.min_passing, plan.degraded_latency) == (Decimal("0.666"), 0.05)


def test_a_result_holds_until_as_many_runs_are_missing_as_would_make_it_unhealthy() -> None:
    probe = {"tcp": {"address": "a:1"}}

    assert stale_after(spec(probe)) == timedelta(seconds=32)
    assert stale_after(spec(probe, retries={"max": 1, "backoff": "1s"})) == timedelta(seconds=35)


def test_one_missed_run_is_not_silence() -> None:
    assert stale_after(spec({"tcp": {"address": "a:1"}}, failureThreshold=1)) == timedelta(seconds=22)


@pytest.mark.parametrize(
    ("probe", "kind", "name"),
    [
        ({"http": {"url": "https://a:8443/x?token=secret#y"}}, "http", "https://a:8443/x"),
        ({"http": {"service": {"name": "a", "port": "b", "path": "/x?token=secret"}}}, "http", "service/a:b/x"),
        ({"tcp": {"address": "db:5432"}}, "tcp", "db:5432"),
        ({"tcp": {"service": {"name": "db", "port": 5432}}}, "tcp", "service/db:5432"),
        ({"workload": {"kind": "Deployment", "name": "a"}}, "workload", "Deployment/a"),
        ({"dns": {"name": "a.example", "type": "MX"}}, "dns", "a.example MX"),
        ({"grpc": {"address": "x:50051"}}, "grpc", "x:50051"),
        ({"grpc": {"service": {"name": "x", "port": "grpc"}}}, "grpc", "service/x:grpc"),
        ({"tls": {"address": "x:443"}}, "tls", "x:443"),
        ({"icmp": {"host": "gateway"}}, "icmp", "gateway"),
        ({"promql": {"query": 'rate(x{token="secret"}[5m])', "condition": "< 0.05"}}, "promql", "promql < 0.05"),
        ({"job": {"template": {"spec": {}}}}, "job", "job"),
        (
            {
                "steps": [
                    {"name": "a", "http": {"url": "http://a/x?token=secret"}},
                    {"name": "b", "http": {"service": {"name": "b", "port": 80}}},
                ]
            },
            "steps",
            "a → b",
        ),
        ({}, "", ""),
    ],
)
def test_a_target_is_described_without_its_query(probe: dict[str, Any], kind: str, name: str) -> None:
    """H9: tokens of a query never reach the status."""
    assert (probe_type(spec(probe).probe), target(spec(probe).probe)) == (kind, name)


def test_an_endpoint_is_called_by_its_pod_and_never_by_its_address() -> None:
    """H9: resolved addresses stay with us."""
    served = compiled({"tcp": {"service": {"name": "db", "port": 5432}}})
    fixed = compiled({"tcp": {"address": "db:5432"}})

    assert [endpoint_name(served, POD), endpoint_name(served, None), endpoint_name(fixed, None)] == [
        "checkout-abc",
        "external",
        "db:5432",
    ]


def test_equal_parts_of_different_plans_are_held_once() -> None:
    one, two = (
        compiled({"http": {"url": f"http://{host}/", "headers": {"Accept": "*/*"}}}, minPassing="75%")
        for host in ("a", "b")
    )
    (_, first), *_ = requests(one)
    (_, second), *_ = requests(two)

    assert isinstance(first, HttpRequest)
    assert isinstance(second, HttpRequest)
    assert first.headers is second.headers
    assert (one.interval is two.interval, one.min_passing is two.min_passing) == (True, True)
    assert one.stale_after is two.stale_after


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        compiled({"tcp": {"address": "a:1"}}).retries = 9  # type: ignore[misc]


@given(
    host=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True),
    port=st.integers(1, 65535),
    path=st.from_regex(r"(/[!-\"$->@-~]{0,20})?(\?[!-\"$-~]{0,20})?(#[!-~]{0,9})?", fullmatch=True),
)
def test_every_url_the_schema_accepts_compiles(host: str, port: int, path: str) -> None:
    """H9: and the request line has neither blanks nor a fragment."""
    (_, request), *_ = requests(compiled({"http": {"url": f"http://{host}:{port}{path}"}}))

    assert isinstance(request, HttpRequest)
    assert (request.host, request.port) == (host, port)
    assert request.target.startswith("/")
    assert "#" not in request.target
