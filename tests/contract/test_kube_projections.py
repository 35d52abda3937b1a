"""What we make of the objects of Kubernetes: pods and their reasons, workloads and their rollouts, selectors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homeostat.core.cluster import AgentContainer, Claim, Node, Pod, Secret
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.resources import DISRUPTION_BUDGET, NAMESPACE, POD
from homeostat.kube.workloads.projections import (
    claim_of,
    disruption_budget_of,
    namespace_of,
    node_of,
    pod_of,
    secret_of,
    workload_of,
)
from homeostat.kube.workloads.selectors import selector_text


def _pod(status: dict[str, Any], **metadata: Any) -> Pod:
    return pod_of(
        {
            "metadata": {
                "name": "web-1",
                "namespace": "shop",
                "uid": "u1",
                "resourceVersion": "7",
                "creationTimestamp": "2026-11-21T08:00:00Z",
                **metadata,
            },
            "spec": {"nodeName": "node-1"},
            "status": status,
        }
    )


def _running(container: dict[str, Any], *, ready: str = "False") -> dict[str, Any]:
    return {
        "phase": "Running",
        "podIP": "198.51.100.7",
        "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-21T08:01:00Z"}],
        "containerStatuses": [container],
    }


def test_a_ready_pod_is_read_whole() -> None:
    owner = {"kind": "ReplicaSet", "name": "web-5d", "uid": "rs", "controller": True, "apiVersion": "apps/v1"}
    other = owner | {"uid": "no", "controller": False}
    status = _running({"restartCount": 2, "ready": True, "state": {"running": {}}}, ready="True")
    pod = _pod(status, labels={"b": "2", "a": "1"}, ownerReferences=[other, owner])

    assert pod == Pod(
        ref=Ref("Pod", "shop", "web-1", "u1"),
        resource_version="7",
        ip="198.51.100.7",
        node="node-1",
        phase="Running",
        is_ready=True,
        is_terminating=False,
        restarts=2,
        created_at=datetime(2026, 11, 21, 8, tzinfo=UTC),
        ready_since=datetime(2026, 11, 21, 8, 1, tzinfo=UTC),
        reasons=(),
        labels=(("a", "1"), ("b", "2")),
        owner=Ref("ReplicaSet", "shop", "web-5d", "rs"),
        has_readiness_probe=False,
    )


def test_our_agents_are_told_from_other_ephemeral_containers() -> None:
    """C5: what a pod's spec lists for good is waiting, running or ended; no status is not yet running."""
    names = ("homeostat-a", "homeostat-b", "homeostat-c", "homeostat-d", "debugger")
    states = {
        "homeostat-a": {"waiting": {"reason": "ErrImagePull"}},
        "homeostat-b": {"running": {}},
        "homeostat-c": {"terminated": {"reason": "Error", "exitCode": 137}},
        "debugger": {"running": {}},
    }
    statuses = [{"name": name, "state": state} for name, state in states.items()]
    metadata = {"name": "p", "namespace": "shop", "uid": "u", "resourceVersion": "1"}
    pod = pod_of(
        {
            "metadata": metadata | {"creationTimestamp": "2026-11-21T08:00:00Z", "annotations": {"a": "1"}},
            "spec": {"hostNetwork": True, "ephemeralContainers": [{"name": name} for name in names]},
            "status": {"ephemeralContainerStatuses": statuses},
        }
    )

    assert pod.agents == (
        AgentContainer("homeostat-a", "Waiting", "ErrImagePull"),
        AgentContainer("homeostat-b", "Running"),
        AgentContainer("homeostat-c", "Ended", "Error", 137),
        AgentContainer("homeostat-d", "Waiting"),
    )
    assert (pod.annotations, pod.has_host_network) == ((("a", "1"),), True)


_CRASHED = {"terminated": {"exitCode": 1, "reason": "Error"}}
_KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (_running({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}), ("CrashLoopBackOff", "NotReady")),
        (_running({"state": _CRASHED, "restartCount": 3}), ("CrashLoopBackOff", "NotReady")),
        (_running({"state": _CRASHED, "restartCount": 0}), ("NotReady",)),
        (
            _running({"state": {"running": {}}, "lastState": _KILLED, "ready": False, "restartCount": 1}),
            ("OOMKilled", "NotReady"),
        ),
        (
            _running(
                {"state": {"running": {}}, "lastState": _KILLED, "ready": True, "restartCount": 1},
                ready="True",
            ),
            (),
        ),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            ("ImagePullBackOff", "Pending"),
        ),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImageNeverPull"}}}]},
            ("ImagePullBackOff", "Pending"),
        ),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "InvalidImageName"}}}]},
            ("ImagePullBackOff", "Pending"),
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            },
            ("CrashLoopBackOff", "Pending"),
        ),
        ({"phase": "Failed", "reason": "Evicted"}, ("Evicted",)),
        ({"phase": "Succeeded"}, ()),
        ({}, ()),
    ],
    ids=[
        "backoff",
        "just crashed again",
        "first crash",
        "oom",
        "oom long ago",
        "image",
        "image not there",
        "no image's name",
        "init",
        "evicted",
        "done",
        "new",
    ],
)
def test_a_pod_shows_every_reason_that_applies_now(status: dict[str, Any], reasons: tuple[str, ...]) -> None:
    assert _pod(status).reasons == reasons


def test_a_pod_whose_memory_ran_out_shows_it_for_a_minute_although_it_is_ready_again() -> None:
    """Pods are looked at every five seconds, and a container is often back within one."""
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-21T09:00:00Z"}}
    found = _pod(_running({"state": {"running": {}}, "lastState": killed, "ready": True}, ready="True"))
    at = datetime(2026, 11, 21, 9, tzinfo=UTC)

    assert (found.reasons, found.out_of_memory_at) == ((), at)
    assert found.suffers("OOMKilled", at + timedelta(seconds=59))
    assert not found.suffers("OOMKilled", at + timedelta(minutes=1))
    assert not found.suffers("NotReady", at)


def test_a_terminating_pod_is_neither_pending_nor_unready() -> None:
    gone_soon = _pod({"phase": "Running"}, deletionTimestamp="2026-11-21T08:02:00Z")

    assert gone_soon.is_terminating
    assert gone_soon.reasons == ("Terminating",)


def _workload(kind: str, spec: dict[str, Any], status: dict[str, Any]) -> Any:
    metadata = {"name": "web", "namespace": "shop", "uid": "w", "resourceVersion": "9", "generation": 4}
    return workload_of(
        {
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
            "status": {"observedGeneration": 4, **status},
        },
        kind,
    )


_COMPLETE = {"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}


def test_a_deployment_that_rolls_out_says_so() -> None:
    """R12: no action during a rollout."""
    counts = {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3}
    rolling = _workload("Deployment", {"replicas": 3, "paused": True}, counts)

    assert rolling.is_rolling_out
    assert rolling.is_paused
    assert (rolling.replicas, rolling.updated, rolling.ready, rolling.available) == (3, 1, 3, 3)
    assert rolling.selector == "app=web"


def test_a_deployment_that_still_keeps_a_pod_of_the_old_template_is_rolling_out() -> None:
    """R12: of one replica the new pod is there and does not serve yet; until it does, the old one is kept beside it."""
    status = {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    surging = _workload("Deployment", {"replicas": 1}, status)

    assert (surging.updated, surging.outdated, surging.is_rolling_out) == (1, 1, True)
    assert not _workload("Deployment", {"replicas": 1}, status | {"replicas": 1}).is_rolling_out


def test_a_deployment_whose_pod_has_died_is_not_rolling_out() -> None:
    """R12: a missing pod is a fault to heal, not a rollout to wait for."""
    died = _workload("Deployment", {"replicas": 3}, {"replicas": 2, "updatedReplicas": 2, **_COMPLETE})

    assert not died.is_rolling_out


def test_a_spec_that_the_controller_has_not_seen_is_a_rollout() -> None:
    """R12."""
    stale = _workload("Deployment", {"replicas": 3}, {"observedGeneration": 3, "replicas": 3, **_COMPLETE})

    assert stale.is_rolling_out


@pytest.mark.parametrize(
    ("spec", "status", "is_rolling_out"),
    [
        ({}, {"updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}, True),
        ({}, {"updatedReplicas": 1, "currentRevision": "b", "updateRevision": "b"}, False),
        ({"updateStrategy": {"type": "OnDelete"}}, {"currentRevision": "a", "updateRevision": "b"}, False),
    ],
    ids=["rolling", "pod missing", "on delete"],
)
def test_a_stateful_set_rolls_out_while_its_revisions_differ(
    spec: dict[str, Any], status: dict[str, Any], *, is_rolling_out: bool
) -> None:
    """R12."""
    assert _workload("StatefulSet", {"replicas": 2, **spec}, status).is_rolling_out is is_rolling_out


def test_a_daemon_set_counts_nodes() -> None:
    counts = {
        "desiredNumberScheduled": 5,
        "updatedNumberScheduled": 4,
        "numberReady": 3,
        "numberAvailable": 2,
    }
    found = _workload("DaemonSet", {}, counts)

    assert (found.replicas, found.updated, found.ready, found.available) == (5, 4, 3, 2)


def test_absent_figures_are_zero_and_absent_replicas_are_one() -> None:
    found = _workload("Deployment", {}, {})

    assert (found.replicas, found.updated, found.ready) == (1, 0, 0)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "t", "operator": "In", "values": ["x", "y"]}]}, "t in (x,y)"),
        ({"matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["x"]}]}, "t notin (x)"),
        (
            {
                "matchLabels": {"a": "1"},
                "matchExpressions": [
                    {"key": "c", "operator": "Exists"},
                    {"key": "d", "operator": "DoesNotExist"},
                ],
            },
            "a=1,c,!d",
        ),
    ],
)
def test_a_selector_becomes_the_text_of_a_query(selector: dict[str, Any], text: str) -> None:
    assert selector_text(selector) == text


def test_a_disruption_budget_with_old_figures_allows_nothing() -> None:
    """R10: fail closed."""
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    raw = {"metadata": {"name": "web", "generation": 2}, "spec": spec}
    old = disruption_budget_of(raw | {"status": {"observedGeneration": 1, "disruptionsAllowed": 3}})
    new = disruption_budget_of(raw | {"status": {"observedGeneration": 2, "disruptionsAllowed": 3}})

    assert old is not None
    assert new is not None
    assert (old.disruptions_allowed, new.disruptions_allowed) == (0, 3)
    assert disruption_budget_of({"metadata": {"name": "none"}, "spec": {}}) is None


def test_a_namespace_that_ends_says_so() -> None:
    raw = {
        "metadata": {"name": "shop", "labels": {"homeostat.dev/chaos": "allowed"}},
        "status": {"phase": "Terminating"},
    }
    ending = namespace_of(raw)

    assert ending.is_terminating
    assert ending.labels == (("homeostat.dev/chaos", "allowed"),)


def test_paths_follow_group_scope_and_subresource() -> None:
    assert POD.path("shop", "web", "eviction") == "/api/v1/namespaces/shop/pods/web/eviction"
    assert DISRUPTION_BUDGET.path() == "/apis/policy/v1/poddisruptionbudgets"
    assert NAMESPACE.path("ignored", "shop") == "/api/v1/namespaces/shop"
    assert POD.path("shop", "../../x") == "/api/v1/namespaces/shop/pods/..%2F..%2Fx"


# --- what pods lean on ----------------------------------------------------------------------------------


def test_a_pod_names_the_claims_it_mounts() -> None:
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "config", "configMap": {"name": "web"}},
    ]
    raw = {
        "metadata": {
            "name": "web-1",
            "uid": "u",
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-21T08:00:00Z",
        },
        "spec": {"volumes": volumes},
    }

    assert pod_of(raw).claims == ("data-web-1", "web-1-scratch")


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], None),
        ([{"running": {}}], None),
        ([{"terminated": {"exitCode": 0}}, {"running": {}}], 0),
        ([{"terminated": {"exitCode": 0}}, {"terminated": {"exitCode": 3}}, {"terminated": {"exitCode": 4}}], 3),
    ],
    ids=["new", "running", "one is done", "failed"],
)
def test_a_pod_ends_with_the_code_of_the_container_that_failed_first(
    states: list[dict[str, Any]], code: int | None
) -> None:
    assert _pod({"containerStatuses": [{"state": state} for state in states]}).exit_code == code


def test_an_init_container_that_failed_tells_the_exit_code() -> None:
    failed = {"state": {"terminated": {"exitCode": 5}}}

    assert _pod({"initContainerStatuses": [failed]}).exit_code == 5


@pytest.mark.parametrize("status", [{"phase": "Pending"}, {"phase": "Lost"}, {}])
def test_only_a_bound_claim_has_its_volume(status: dict[str, str]) -> None:
    assert claim_of({"metadata": {"name": "data"}, "status": status}) == Claim("data", is_bound=False)
    assert claim_of({"metadata": {"name": "data"}, "status": {"phase": "Bound"}}) == Claim("data", is_bound=True)


@pytest.mark.parametrize(
    ("conditions", "node"),
    [
        ({"Ready": "True", "MemoryPressure": "False"}, Node("n", is_ready=True, is_under_pressure=False)),
        ({"Ready": "Unknown"}, Node("n", is_ready=False, is_under_pressure=False)),
        ({"Ready": "False", "DiskPressure": "True"}, Node("n", is_ready=False, is_under_pressure=True)),
        ({"Ready": "True", "PIDPressure": "True"}, Node("n", is_ready=True, is_under_pressure=True)),
        ({"Ready": "True", "NetworkUnavailable": "True"}, Node("n", is_ready=True, is_under_pressure=False)),
        ({}, Node("n", is_ready=False, is_under_pressure=False)),
    ],
)
def test_a_node_is_what_its_conditions_say(conditions: dict[str, str], node: Node) -> None:
    listed = [{"type": kind, "status": status} for kind, status in conditions.items()]

    assert node_of({"metadata": {"name": "n"}, "status": {"conditions": listed}}) == node


def test_a_secret_is_decoded_and_never_shown() -> None:
    """H9: neither by repr nor by str."""
    secret = secret_of({"type": "Opaque", "data": {"token": "c3dvcmRmaXNo"}})

    assert secret == Secret("Opaque", {"token": b"swordfish"})
    assert "swordfish" not in f"{secret!r} {secret}"
