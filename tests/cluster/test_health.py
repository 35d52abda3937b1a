"""HealthChecks on a real cluster: endpoints come and go, there may be none, and targets may be anything."""

from typing import Any

import pytest

from cluster.manifests import health_check
from cluster.stage import Stage

pytestmark = pytest.mark.cluster


def test_the_probed_endpoints_follow_the_service(shop: Stage) -> None:
    """H4: scaled up and down, each endpoint is probed, and no other."""
    shop.open_healthy_shop(replicas=2)
    for replicas in (4, 1):
        shop.patch("Deployment", {"spec": {"replicas": replicas}})
        wanted = f"{replicas}/{replicas}"
        shop.until_status("HealthCheck", lambda it, wanted=wanted: it.get("passing") == wanted, wanted)
    assert shop.status("HealthCheck")["state"] == "Healthy"


def test_a_service_without_endpoints_is_unhealthy(shop: Stage) -> None:
    """H4: nothing to probe is an outage, not a success."""
    shop.open_healthy_shop(replicas=1)
    shop.patch("Deployment", {"spec": {"replicas": 0}})

    def says_so(status: dict[str, Any]) -> bool:
        """At first the last endpoint may still be listed, and refuse."""
        told = str(status.get("failing")) + status.get("message", "")
        return status.get("state") == "Unhealthy" and "NoEndpoints" in told

    shop.until_status("HealthCheck", says_so, "there is nobody to ask")


def test_a_pod_that_hangs_fails_in_time_and_alone(shop: Stage) -> None:
    """H3, H4, H9: the hard timeout holds, and the other endpoints are not dragged along."""
    victim = min(shop.open_healthy_shop(replicas=2))
    shop.break_pod(victim, "hang")
    status = shop.until_status(
        "HealthCheck", lambda it: (it.get("state"), it.get("passing")) == ("Unhealthy", "1/2"), "one of two fails"
    )

    assert [(one["name"], one["reason"]) for one in status["failing"]] == [(victim, "Timeout")]


def test_a_workload_and_a_port_are_judged_by_what_the_api_and_the_wire_say(shop: Stage) -> None:
    """H4: the kinds of probe side by side: users fail, the kubelet and TCP are content; then the port is closed."""
    tcp = health_check("port", probe={"tcp": {"service": {"name": "shop", "port": "http"}}})
    workload = health_check("replicas", probe={"workload": {"kind": "Deployment", "name": "shop"}})
    victim = min(shop.open_healthy_shop(tcp, workload, replicas=2))
    shop.until_state("Healthy", "port")
    shop.until_state("Healthy", "replicas")
    shop.break_pod(victim)
    shop.until_state("Unhealthy")
    assert shop.status("HealthCheck", "port")["state"] == "Healthy"

    shop.heal_pod(victim)
    shop.until_state("Healthy")
    shop.break_pod(victim, "refuse")
    shop.until_state("Unhealthy", "port")
    assert shop.status("HealthCheck", "replicas")["state"] == "Healthy"


def test_an_address_that_could_do_harm_is_refused_and_not_asked(shop: Stage) -> None:
    """H9: link-local and loopback addresses: never Healthy, and the reason says that it was refused."""
    metadata = health_check("metadata", probe={"http": {"url": "http://169.254.169.254/latest"}})
    loopback = health_check("loopback", probe={"tcp": {"address": "127.0.0.1:6443"}})
    shop.put(metadata, loopback)
    for name in ("metadata", "loopback"):
        status = shop.until_status("HealthCheck", lambda it: "AddressNotAllowed" in it.get("message", ""), "told", name)
        assert status["state"] == "Unknown"


def test_an_edit_changes_the_probe_and_not_the_runner(shop: Stage) -> None:
    """H3: the path is edited twice; the results follow the spec in force."""
    shop.open_healthy_shop(replicas=2)
    shop.patch("HealthCheck", {"spec": {"probe": {"http": {"service": {"path": "/no-such-page"}}}}})
    shop.until_state("Unhealthy")
    shop.patch("HealthCheck", {"spec": {"probe": {"http": {"service": {"path": "/"}}}}})
    status = shop.until_state("Healthy")

    assert status["observedGeneration"] == 3
