"""The main job on a real cluster: what Kubernetes does not notice is noticed, healed, verified and accounted for."""

import pytest

from cluster.manifests import health_check, objective, policy
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster


def test_a_pod_that_fails_only_its_users_is_evicted_alone_and_its_recovery_is_verified(shop: Stage) -> None:
    """R2, R7, H2, H4: exactly the failing pod goes; the attempt ends as Recovered once the trigger stays quiet."""
    before = shop.open_healthy_shop(policy())
    victim = min(before)
    shop.break_pod(victim)
    record = shop.until_recovered()

    after = shop.until_serving(3)
    assert set(before.values()) - set(after.values()) == {before[victim]}
    assert record["targets"] == [f"EvictPod {victim}"]
    assert record["detectedAt"] <= record["startedAt"] <= record["actedAt"] <= record["recoveredAt"] < record["endedAt"]
    check = shop.until_state("Healthy")
    assert check["passing"] == "3/3"
    status = shop.status("RecoveryPolicy")
    assert (status["budget"]["used"], status["stats"]["recovered"]) == (1, 1)


def test_what_is_done_and_why_is_told_by_events_on_check_and_policy(shop: Stage) -> None:
    """R15: `kubectl get events` tells the story."""
    unhurried = health_check(interval="2s", timeout="2s")  # a few seconds without a result are not told as a silence
    victim = min(shop.open_shop(policy(), check=unhurried))
    shop.until_state("Healthy")
    shop.break_pod(victim)
    shop.until_state("Unhealthy")
    shop.until_recovered()

    (acting,) = until(lambda: shop.events("Acting"), "an event tells of the act")
    assert victim in acting["note"]
    assert acting["regarding"]["kind"] == "RecoveryPolicy"
    told = until(lambda: shop.events("Unhealthy"), "an event tells of the outage")
    assert [one["regarding"]["kind"] for one in told].count("HealthCheck") == 1  # the kubelet has events of that name
    assert until(lambda: shop.events("Recovered"), "an event tells of the end")


def test_an_outage_costs_budget_and_the_objective_shows_it(shop: Stage) -> None:
    """S4, S16: bad runs over all runs, in the status and in the columns of kubectl."""
    victim = min(shop.open_healthy_shop(objective()))
    shop.until_status("ServiceLevelObjective", lambda it: it.get("good"), "good runs show")
    shop.break_pod(victim)
    status = shop.until_status(
        "ServiceLevelObjective", lambda it: (it.get("bad") or 0) >= 2 and (it.get("good") or 0) >= 1, "bad runs show"
    )

    sli = 100 * status["good"] / (status["good"] + status["bad"])
    assert float(status["sli"]) == pytest.approx(sli, abs=0.01)
    assert float(status["budget"]["total"]) == 1
    assert float(status["budget"]["consumed"]) > 0
    assert status["budget"]["provisional"] is True
    assert status["burnRates"]
    assert {"start", "end", "coverage"} <= set(status["window"])


def test_a_check_that_fails_once_or_heals_once_moves_only_at_its_thresholds(shop: Stage) -> None:
    """H2: one failure of three is not Unhealthy."""
    pods = shop.open_shop(check=health_check(failureThreshold=100))
    shop.until_state("Healthy")
    victim = min(pods)
    shop.break_pod(victim)
    failing = shop.until_status("HealthCheck", lambda it: it.get("passing") == "2/3", "one endpoint fails")

    assert failing["state"] == "Healthy"
    assert [one["name"] for one in failing["failing"]] == [victim]
