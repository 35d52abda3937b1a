"""Bad input on a real cluster: named, not ignored; and what the process says of itself."""

import pytest

from cluster.manifests import health_check, kill_experiment, objective
from cluster.stage import APPLY, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster


def test_a_check_that_the_schema_lets_through_and_that_can_never_run_says_why(shop: Stage) -> None:
    """H1: a step that uses what nobody captured; the object is refused as a whole, by a word and a sentence."""
    steps = [{"name": "buy", "http": {"url": "http://shop.example/", "headers": {"X-Token": "{{token}}"}}}]
    shop.put(health_check("journey", probe={"steps": steps}))
    refused = until(lambda: shop.condition("HealthCheck", "Ready", "journey") or None, "it is answered")

    assert (refused["status"], refused["reason"]) == ("False", "UnknownCapture")
    assert "no earlier step captures token" in refused["message"]
    assert shop.status("HealthCheck", "journey").get("state", "Unknown") == "Unknown"


def test_an_objective_on_a_check_that_is_missing_says_so_and_shows_no_figures(shop: Stage) -> None:
    """S5: missing data is not failure, and not success."""
    shop.put(objective("missing"))
    status = shop.until_status("ServiceLevelObjective", lambda it: it.get("conditions"), "answered")

    assert status["state"] == "Unknown"
    assert "sli" not in status
    assert "budget" not in status


def test_what_the_schema_can_refuse_it_refuses_at_admission(shop: Stage) -> None:
    """C1, S1: no duration, no bound: the object never comes to be."""
    endless = kill_experiment(duration="100h")
    unbounded = kill_experiment()
    del unbounded["spec"]["duration"]
    for bad in (endless, unbounded, objective() | {"spec": objective()["spec"] | {"objective": "100"}}):
        path = shop.path(bad["kind"], "shop") + "?fieldManager=story"
        assert shop.api("PATCH", path, bad, content_type=APPLY)[0] == 422


def test_the_process_says_how_it_is(shop: Stage) -> None:
    """H10: /livez, /readyz, /metrics; a check's counters are there from the start, and no error text is a label."""
    shop.put(health_check("counted", probe={"tcp": {"address": "192.0.2.1:9"}}))
    name = rf'namespace="{shop.namespace}"'

    def text() -> str:
        return shop.one.get("/metrics")[1]

    until(lambda: name in text() and 'name="counted"' in text(), "the check is counted")
    assert shop.one.get("/livez")[0] == 200
    assert shop.one.get("/readyz")[0] == 200
    assert shop.one.metric("^homeostat_leader") == 1
    lines = [line for line in text().splitlines() if name in line]
    assert not any("192.0.2.1" in line for line in lines)
