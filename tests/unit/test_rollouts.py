"""How many pods a rollout may take away, read from raw objects."""

from typing import Any

import pytest

from homeostat.kube.rollouts import rollout_takes


@pytest.mark.parametrize(
    ("kind", "spec", "takes"),
    [
        ("Deployment", {"replicas": 7}, 1),
        ("Deployment", {"replicas": 3}, 0),
        ("Deployment", {"replicas": 3, "strategy": {"type": "Recreate"}}, 3),
        ("Deployment", {"replicas": 4, "strategy": {"rollingUpdate": {"maxUnavailable": 2}}}, 2),
        ("Deployment", {"replicas": 10, "strategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}, 5),
        ("Deployment", {}, 0),
        ("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "RollingUpdate"}}, 1),
        ("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}, 0),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "30%"}}}, 2),
        ("DaemonSet", {}, 1),
    ],
)
def test_the_strategy_of_a_workload_says_what_its_rollout_takes(kind: str, spec: dict[str, Any], takes: int) -> None:
    """C10: what a broken rollout may take away counts as lost."""
    raw = {"spec": spec, "status": {"desiredNumberScheduled": 5}}

    assert rollout_takes(raw, kind) == takes
