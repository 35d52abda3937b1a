"""What users may write in a HealthCheck, and what the models refuse also for objects older than the schema."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.api import health_check, http_probe, probe
from homeostat.api.health_check import KIND, Criticality, HealthCheckSpec, HealthCheckStatus, HealthState


def spec(probe: dict[str, Any], **fields: Any) -> HealthCheckSpec:
    return HealthCheckSpec.model_validate({"probe": probe, **fields})


def test_a_check_with_nothing_but_a_probe_has_the_documented_defaults() -> None:
    check = spec({"tcp": {"address": "db:5432"}})

    assert (check.interval, check.timeout) == (timedelta(seconds=10), timedelta(seconds=2))
    assert (check.retries.max, check.retries.backoff) == (0, timedelta(milliseconds=200))
    assert (check.failure_threshold, check.success_threshold) == (3, 2)
    assert (check.min_passing, check.criticality, check.suspend) == (Decimal(1), Criticality.MEDIUM, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://checkout",
        "https://checkout.shop.svc:8443/healthz?full=1",
        "http://[2001:db8::1]:8080/",
        "http://a.example?x=1",
        "https://a.example./#part",
        "http://a:65535/",
    ],
)
def test_an_http_or_https_url_is_accepted(url: str) -> None:
    assert spec({"http": {"url": url}}).probe.http is not None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "file:///etc/passwd",
        "http://user:pass@a/",
        "http://user@a/",
        "http://a/\r\nX: y",
        "http://a/ b",
        "http://a:0/",
        "http://a:65536/",
        "http:///path",
        "http://a\\@b/",
        "http://" + "a" * 2048,
    ],
)
def test_a_url_with_credentials_line_breaks_or_another_scheme_is_refused(url: str) -> None:
    """H9: neither a credential nor a second request can be smuggled in."""
    with pytest.raises(ValidationError):
        spec({"http": {"url": url}})


@pytest.mark.parametrize("address", ["db", "db:0", "db:65536", "db:", ":5432", "user@db:5432", "2001:db8::1:80"])
def test_an_address_without_a_proper_port_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        spec({"tcp": {"address": address}})


@pytest.mark.parametrize("port", [0, 65536, "", "UPPER", "-x", "much-too-long-name"])
def test_a_port_is_a_number_or_a_name(port: object) -> None:
    with pytest.raises(ValidationError):
        spec({"tcp": {"service": {"name": "db", "port": port}}})


@pytest.mark.parametrize(
    ("written", "port"), [(8080, 8080), ("8080", 8080), ("http", "http")], ids=["number", "quoted", "name"]
)
def test_a_port_number_may_be_quoted(written: object, port: object) -> None:
    service = spec({"tcp": {"service": {"name": "db", "port": written}}}).probe.tcp

    assert service is not None
    assert service.service is not None
    assert service.service.port == port


@pytest.mark.parametrize("status", ["2xx", "204", "200-299"])
def test_a_status_is_a_class_a_code_or_a_range(status: str) -> None:
    assert spec({"http": {"url": "http://a/", "expect": {"status": [status]}}}).probe.http is not None


@pytest.mark.parametrize("status", ["", "6xx", "20", "2000", "200-", "x00"])
def test_a_status_of_another_form_is_refused(status: str) -> None:
    with pytest.raises(ValidationError):
        spec({"http": {"url": "http://a/", "expect": {"status": [status]}}})


def test_nothing_of_a_check_is_left_for_later() -> None:
    """Every field that the schema has works in this release."""
    assert [module.__name__ for module in (health_check, http_probe, probe) if "Later" in vars(module)] == []


def test_a_status_survives_its_own_json() -> None:
    """H6: what was written is what is read after a restart."""
    written = {
        "state": "Degraded",
        "since": "2026-01-01T00:00:00.000001Z",
        "passing": "2/3",
        "failing": [{"name": "checkout-1", "reason": "Timeout"}],
        "latency": {"p50": "3ms", "p95": "9ms", "p99": "20ms"},
        "uptime": {"24h": "99.98"},
        "streak": {"result": "Pass", "count": 42, "clean": 1},
    }
    status = HealthCheckStatus.model_validate(written)

    assert written.items() <= status.wire().items()


def test_a_status_nobody_wrote_yet_knows_nothing() -> None:
    status = HealthCheckStatus()

    assert (status.state, status.observed_generation, status.conditions) == (HealthState.UNKNOWN, -1, ())


def test_the_kind_shows_its_state_first() -> None:
    assert (KIND.plural, KIND.short_names) == ("healthchecks", ("hc",))
    assert [column.name for column in KIND.columns[:3]] == ["Type", "State", "Score"]
