"""What a changed template does to the pods of a workload, read from raw objects."""

from typing import Any

import pytest

from homeostat.kube.workloads.rollouts import drops_claims, keeps_broken_pods, rollout_takes, rolls_out


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


@pytest.mark.parametrize(
    ("kind", "spec", "does"),
    [
        ("Deployment", {}, True),
        ("Deployment", {"paused": True}, False),
        ("Deployment", {"replicas": 0}, False),
        ("StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}}, True),
        ("StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 3}}}, False),
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, False),
        ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, False),
        ("DaemonSet", {}, True),
    ],
)
def test_a_template_that_reaches_no_pod_by_itself_is_seen(kind: str, spec: dict[str, Any], does: bool) -> None:  # noqa: FBT001
    """C11: what changes nothing proves nothing."""
    assert rolls_out({"spec": spec, "status": {"desiredNumberScheduled": 5}}, kind) is does


def test_what_a_stateful_set_does_not_give_back_is_seen() -> None:
    """C6: a pod that never got ready, and volumes that went with their replicas."""
    parallel = {"spec": {"podManagementPolicy": "Parallel"}}
    dropping = {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Retain"}}}

    assert [keeps_broken_pods(one, "StatefulSet") for one in ({"spec": {}}, parallel)] == [True, False]
    assert not keeps_broken_pods({"spec": {}}, "Deployment")
    assert [drops_claims(one, "StatefulSet") for one in (dropping, parallel)] == [True, False]
