"""What a low error budget stops, on a real cluster: chaos, recovery, and a pipeline that asks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.manifests import SHOP, Manifest, bystander, kill_experiment, objective, policy, scale_experiment
from cluster.stage import Stage
from homeostat.cli.budgets.gate import main as gate

pytestmark = pytest.mark.cluster


def guarded(*holds: str) -> Manifest:
    """99 % within an hour, and a policy: some seconds of failures are more than a tenth of that budget."""
    manifest = objective()
    rules = [{"remainingBelow": "90%", "hold": list(holds)}]
    silent = {"disabled": True}  # an alert, too, stops an experiment
    spec = manifest["spec"] | {"window": {"rolling": "1h"}, "budgetPolicy": rules, "alerting": silent}
    return {**manifest, "spec": spec}


def until_held(shop: Stage, *holds: str) -> dict[str, Any]:
    """Wait until the objective holds these, and no others."""
    return shop.until_status(
        "ServiceLevelObjective", lambda it: sorted(it.get("holds", [])) == sorted(holds), f"holds {holds}"
    )


def spend(shop: Stage, *holds: str) -> None:
    """Let users fail until the budget is so low that it holds what it should, then be well again."""
    victim = min(shop.pods())
    shop.break_pod(victim)
    until_held(shop, *holds)
    shop.heal_pod(victim)
    shop.until_state("Healthy")


def refill(shop: Stage) -> None:
    """Say afterwards that all of it does not count (S9)."""
    now = datetime.now(UTC)
    since, until = (f"{moment:%Y-%m-%dT%H:%M:00Z}" for moment in (now - timedelta(hours=2), now + timedelta(hours=2)))
    excluded = [{"from": since, "to": until, "mode": "CountAsGood", "reason": "a test says so"}]
    shop.patch("ServiceLevelObjective", {"spec": {"exclusions": excluded}})
    until_held(shop)


def asked(shop: Stage, *arguments: str) -> int:
    """Ask as a pipeline would; give the exit code."""
    return gate([f"slo/{SHOP}", "-n", shop.namespace, "--kubeconfig", str(shop.kubeconfig), *arguments])


def test_an_experiment_waits_for_the_budget_and_a_rollout_is_told_to(shop: Stage) -> None:
    """C8: none starts while it is held, and it names the objective; it goes on by itself afterwards."""
    shop.open_healthy_shop(guarded("Chaos", "Rollouts"))
    shop.until_status("ServiceLevelObjective", lambda it: it.get("state") not in {None, "Unknown"}, "evaluated")
    assert asked(shop) == 0
    spend(shop, "Chaos", "Rollouts")
    before = shop.pods()
    assert (asked(shop), asked(shop, "--hold", "Recovery")) == (1, 0)
    assert shop.condition("ServiceLevelObjective", "RolloutsAllowed")["status"] == "False"

    shop.put(kill_experiment())
    held = shop.until_status("ChaosExperiment", lambda it: it.get("reason") == "BudgetHeld", "held")
    assert held["phase"] == "Pending"
    assert f"ServiceLevelObjective {SHOP} " in held["message"]
    assert shop.pods() == before

    refill(shop)
    assert shop.until_finished()["verdict"] == "Passed"
    assert asked(shop) == 0


def test_an_experiment_that_spends_too_much_is_stopped_and_undone(shop: Stage) -> None:
    """C8, C9: the fault itself burns the budget: reverted and Aborted, and it does not resume."""
    shop.open_healthy_shop(bystander(), guarded("Chaos"))
    shop.put(scale_experiment(to=0, duration="10m"))
    status = shop.until_finished()

    assert (status["verdict"], status["reason"]) == ("Aborted", "BudgetHeld")
    shop.until_serving(3)
    refill(shop)
    shop.until_state("Healthy")
    assert shop.status("ChaosExperiment")["runNumber"] == 1


def test_a_low_budget_holds_recovery_back_until_it_is_there_again(shop: Stage) -> None:
    """R12, R15: Blocked BudgetHeld with the objective's name; afterwards recovery goes on by itself."""
    shop.open_healthy_shop(guarded("Recovery"))
    spend(shop, "Recovery")
    before = shop.pods()
    shop.put(policy())
    shop.break_pod(min(before))
    status = shop.until_blocked("BudgetHeld")
    assert f"ServiceLevelObjective {SHOP} " in status["blocked"]["message"]
    assert shop.pods() == before

    refill(shop)
    shop.until_recovered()
