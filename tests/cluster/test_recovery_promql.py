"""A query as trigger: a real Prometheus that says what is wrong, falls silent, and comes back."""

from contextlib import ExitStack
from typing import Any

import pytest

from cluster.manifests import SHOP, deployment, policy
from cluster.stage import Stage
from prometheus_process import running_prometheus

pytestmark = pytest.mark.apiserver

POLICY = "RecoveryPolicy"
QUEUE = {"query": "sum(queue)", "condition": "> 100"}


def rule(length: int) -> str:
    """A rule by which the queue is so long."""
    return f"groups: [{{name: shop, rules: [{{record: queue, expr: vector({length})}}]}}]"


def generation(stage: Stage) -> int:
    return int(stage.read("Deployment")["metadata"]["generation"])


def signal(status: dict[str, Any]) -> str:
    return next((str(one["state"]) for one in status.get("signals", [])), "")


def test_a_query_heals_the_shop_but_not_while_prometheus_is_away(stage: Stage) -> None:
    """R12, R7: an answer that grew old is SignalStale and no ground to act; a new one is, and its end verifies."""
    trigger = {"promql": QUEUE, "maxDataAge": "8s"}
    step = {"rolloutRestart": {}, "timeout": "1m"}
    folder = stage.folder / "prometheus"
    with ExitStack() as first:
        prometheus = first.enter_context(running_prometheus(folder, rules={"queue": rule(500)}))
        port = int(prometheus.url.rsplit(":", 1)[1])
        stage.put(deployment(1), policy(step=step, triggers=[trigger | {"for": "1h"}]))
        stage.start("--prometheus-url", prometheus.url)
        stage.until_status(POLICY, lambda it: signal(it) == "Firing", "the queue is long")
    stage.until_status(POLICY, lambda it: signal(it) == "Stale", "the answer grew old")
    stage.patch(POLICY, {"spec": {"triggers": [trigger]}})
    blocked = stage.until_status(POLICY, lambda it: it.get("blocked"), "it says why it does nothing")["blocked"]
    assert blocked["reason"] in {"SignalStale", "SignalMissing"}
    assert generation(stage) == 1
    assert QUEUE["query"] not in str(stage.read(POLICY)["status"])

    with running_prometheus(folder, rules={"queue": rule(500)}, port=port) as prometheus:
        stage.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "it acts")
        assert generation(stage) == 2
        prometheus.load_rules("queue", rule(0))
        record = stage.until_recovered()
    assert record["targets"] == [f"RestartRollout {SHOP}"]
    assert record["cause"] == f"promql {QUEUE['condition']}"
