"""What Helm 4 waits for in a team's own chart: that a spec is accepted, not that the service is well."""

from pathlib import Path

import pytest

from cluster.manifests import deployment, service
from helm.scene import MINUTES, House, Release

pytestmark = pytest.mark.helm

APP = str(Path(__file__).parent / "app")
LONGER_THAN_ANYBODY_WAITS = "1h"
"""A Helm that waits until its time is over does not come back before the test gives it up: helm.tool.PATIENCE."""


def test_an_exhausted_budget_does_not_hold_up_the_rollout_that_may_mend_it(release: Release, house: House) -> None:
    """Ready says that the objective is accepted and measured; BudgetExhausted is another condition."""
    house.put(deployment(1), service())
    wait = ("-n", house.namespace, "--wait", "--timeout", MINUTES)
    dead = {"address": f"shop.{house.namespace}.svc:443"}
    release.helm.run("install", "app", APP, *wait, values=dead)
    house.until_status(
        "ServiceLevelObjective",
        lambda _: house.condition("ServiceLevelObjective", "BudgetExhausted", "app").get("status") == "True",
        "its budget is exhausted",
        "app",
    )
    assert house.condition("ServiceLevelObjective", "Ready", "app")["status"] == "True"
    told = release.helm.run("upgrade", "app", APP, *wait, values=dead | {"round": "second"}).stdout

    assert "STATUS: deployed" in told
    assert house.condition("ServiceLevelObjective", "BudgetExhausted", "app")["status"] == "True"
    release.helm.run("uninstall", "app", "-n", house.namespace)


def test_a_spec_that_can_never_work_fails_the_rollout_at_once_and_says_why(release: Release, house: House) -> None:
    """The schema lets it through. Helm names the object and what is wrong with it, long before its time is over."""
    house.open_healthy_shop(replicas=1)
    wait = ("-n", house.namespace, "--wait", "--timeout", LONGER_THAN_ANYBODY_WAITS)
    good = {"address": f"shop.{house.namespace}.svc:80"}
    release.helm.run("install", "app", APP, *wait, values=good)
    told = release.helm.refused("upgrade", "app", APP, *wait, values=good | {"brokenJourney": True})

    assert f"HealthCheck/{house.namespace}/journey" in told, told
    assert "status: Failed" in told, told
    assert "no earlier step captures token" in told, told
    assert f"HealthCheck/{house.namespace}/app " not in told, told
    release.helm.run("upgrade", "app", APP, *wait, values=good)
    release.helm.run("uninstall", "app", "-n", house.namespace)
