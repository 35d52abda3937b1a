"""What each fault would do to which objects, and what refuses it."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.api.chaos_fault import Fault
from homeostat.api.chaos_status import TargetPhase
from homeostat.core.chaos import draw
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.faults.plan import PLANNERS
from homeostat.core.chaos.faults.quality import quality_of
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import AgentContainer, DisruptionBudget, Pod
from scenarios.chaos.world import NODE, SHOP, SIZES, World, a_held_spec, a_spec, an_agent_spec

DRAIN = a_held_spec({"drain": {}}, "Node")
IMAGE = a_held_spec({"rolloutBreak": {"image": "shop:none"}})
SQUEEZE = a_spec(fault={"resourceSqueeze": {"memory": "32Mi"}})
NETWORK = an_agent_spec({"network": {"loss": "20%", "peers": {"selector": {"matchLabels": {"app": "db"}}}}})
PEERS = {"app=db": ("10.0.0.9", "10.0.0.1")}


def drawn(world: World, **seen: Any) -> Draft | Refusal:
    return draw(Case(world.spec, world.status, world.seen(**seen), world.now))


def refusal(world: World, **seen: Any) -> str:
    found = drawn(world, **seen)
    assert isinstance(found, Refusal), found
    return found.reason


def draft_of(world: World, **seen: Any) -> Draft:
    found = drawn(world, **seen)
    assert isinstance(found, Draft), found
    return found


def test_every_fault_of_the_api_is_planned_by_somebody() -> None:
    assert set(PLANNERS) == set(Fault.model_fields)


# --- podEvict -------------------------------------------------------------------------------------------


def test_an_eviction_is_planned_even_where_a_disruption_budget_allows_none() -> None:
    """C10: whether the budget holds is what such an experiment asks the API server."""
    budgets = (DisruptionBudget("floor", "app=checkout", 0),)

    assert draft_of(World(a_spec(fault={"podEvict": {}}), budgets=budgets)).plan.changes == (
        "evict Pod/checkout-1, grace period 0s",
    )
    assert refusal(World(DRAIN, budgets=budgets)) == ChaosReason.BLAST_RADIUS_DISRUPTION_BUDGET


# --- nodes ----------------------------------------------------------------------------------------------


def test_a_drain_holds_the_node_and_evicts_every_pod_that_would_not_come_back_there() -> None:
    """C14: exact targets, changes and undo."""
    found = draft_of(World(DRAIN))

    assert found.plan.targets == ("Node/n", "Pod/checkout-1", "Pod/checkout-2", "Pod/checkout-3")
    assert found.plan.changes[:2] == ("cordon Node/n", "evict Pod/checkout-1, grace period 30s")
    assert found.plan.undo[:2] == (
        "uncordon Node/n, unless somebody else did meanwhile",
        "none: Deployment/checkout makes a new pod",
    )
    assert (found.targets[0].original, found.targets[0].to) == ({}, {"unschedulable": "true"})
    assert [one.workload.kind for one in found.targets] == ["Node", *["Deployment"] * 3]


def on_the_node(world: World, **changes: Any) -> dict[str, Any]:
    node = world.node_now()
    odd = replace(node.pods[0], ref=replace(node.pods[0].ref, name="odd", uid="odd-uid"), **changes)
    return {"workloads": (replace(node, pods=(*node.pods, odd)),)}


@pytest.mark.parametrize(
    "changes",
    [
        {"is_mirror": True},
        {"owner": replace(NODE, kind="DaemonSet")},
        {"phase": "Succeeded"},
        {"is_terminating": True},
    ],
)
def test_a_drain_leaves_what_the_node_or_its_daemon_sets_would_put_back(changes: dict[str, Any]) -> None:
    """C6: and what is over anyway."""
    world = World(DRAIN)

    assert "Pod/odd" not in draft_of(world, **on_the_node(world, **changes)).plan.targets


def test_a_drain_is_refused_and_not_trimmed_where_pods_of_others_are_on_the_node() -> None:
    """C10: namespaces that take no part."""
    world = World(DRAIN)
    seen = on_the_node(world)

    assert refusal(world, **seen, pods_elsewhere=frozenset({"odd-uid"})) == ChaosReason.NAMESPACE_NOT_ALLOWED


def test_a_drain_is_refused_where_a_pod_would_not_be_replaced() -> None:
    """C6: nobody would bring it back."""
    world = World(DRAIN)

    assert refusal(world, **on_the_node(world, owner=None)) == ChaosReason.NOT_REPLACEABLE


@pytest.mark.parametrize("spec", [DRAIN, a_held_spec({"cordon": {}}, "Node")], ids=["drain", "cordon"])
def test_nodes_take_part_only_when_the_administrator_says_so_twice(spec: Any) -> None:
    """C10: for the namespace, and by the label on the Node."""
    assert refusal(World(spec), may_touch_nodes=False) == ChaosReason.NODES_NOT_ALLOWED
    assert refusal(World(spec, node_labels=())) == ChaosReason.NODES_NOT_ALLOWED
    assert refusal(World(spec, node={"unschedulable": "true"})) == ChaosReason.NOTHING_TO_CHANGE


def test_a_cordon_takes_no_pod_away() -> None:
    """C10: limits are about what is lost."""
    spec = a_held_spec({"cordon": {}}, "Node", blastRadius={"minAvailable": 3})

    assert draft_of(World(spec)).plan.targets == ("Node/n",)


def test_a_drain_counts_each_pod_of_the_node() -> None:
    """C10: the floor of each workload."""
    spec = a_held_spec({"drain": {}}, "Node", blastRadius={"minAvailable": 1})

    assert refusal(World(spec)) == ChaosReason.BLAST_RADIUS_MIN_AVAILABLE


# --- rolloutBreak ---------------------------------------------------------------------------------------


def test_a_broken_rollout_changes_every_container_and_names_both_values() -> None:
    """C14, C6: what is there now is on record."""
    found = draft_of(World(IMAGE))
    env = draft_of(World(a_held_spec({"rolloutBreak": {"env": {"MODE": "broken", "NEW": "1"}}})))

    assert found.plan.changes == ("roll out Deployment/checkout with image/app from shop:1 to shop:none",)
    assert (found.targets[0].original, found.targets[0].to) == ({"image/app": "shop:1"}, {"image/app": "shop:none"})
    assert env.targets[0].original == {"env/app/MODE": "fast"}
    assert env.targets[0].to == {"env/app/MODE": "broken", "env/app/NEW": "1"}


def test_a_variable_that_is_a_reference_is_left_alone() -> None:
    """C6: a text could not put back what a Secret holds."""
    world = World(a_held_spec({"rolloutBreak": {"env": {"KEY": "x"}}}), references=frozenset({"env/app/KEY"}))

    assert refusal(world) == ChaosReason.CANNOT_RESTORE


def test_what_is_too_long_to_be_on_record_is_left_alone() -> None:
    """C6: no original, no fault."""
    env = {f"KEY_{i}": "y" * 1000 for i in range(5)}
    long = World(a_held_spec({"rolloutBreak": {"env": {"MODE": "x"}}}))
    long.template["env/app/MODE"] = "z" * 1025

    assert refusal(World(a_held_spec({"rolloutBreak": {"env": env}}))) == ChaosReason.CANNOT_RESTORE
    assert refusal(long) == ChaosReason.CANNOT_RESTORE


def test_a_broken_rollout_counts_the_pods_that_it_takes_before_it_gets_stuck() -> None:
    """C10: a quarter of a Deployment, rounded down."""
    spec = a_held_spec({"rolloutBreak": {"image": "shop:none"}}, blastRadius={"minAvailable": 4})

    assert refusal(World(spec, replicas=4)) == ChaosReason.BLAST_RADIUS_MIN_AVAILABLE
    assert draft_of(World(spec, replicas=5))


def test_the_image_that_is_there_already_is_no_fault() -> None:
    """C11: a fault that changes nothing proves nothing."""
    assert refusal(World(a_held_spec({"rolloutBreak": {"image": "shop:1"}}))) == ChaosReason.NOTHING_TO_CHANGE


def of_checkout(world: World, **changes: bool) -> dict[str, Any]:
    return {"workloads": tuple(replace(one, **changes) for one in world.seen().workloads)}


@pytest.mark.parametrize("fault", [{"rolloutBreak": {"image": "shop:none"}}, {"resourceSqueeze": {"memory": "32Mi"}}])
def test_a_template_whose_broken_pods_would_stay_is_left_alone(fault: dict[str, Any]) -> None:
    """C6: a StatefulSet waits for the pod that cannot get ready, whatever its template says by then."""
    world = World(a_held_spec(fault))

    assert refusal(world, **of_checkout(world, keeps_broken_pods=True)) == ChaosReason.CANNOT_RESTORE
    assert refusal(world, **of_checkout(world, rolls_out=False)) == ChaosReason.NOTHING_TO_CHANGE
    assert draft_of(world)


def test_replicas_whose_volumes_would_go_with_them_are_left_alone() -> None:
    """C6: no undo brings data back. More replicas take none away."""
    fewer, more = (World(a_held_spec({"scale": {"to": to}})) for to in (1, 5))

    assert refusal(fewer, **of_checkout(fewer, drops_claims=True)) == ChaosReason.CANNOT_RESTORE
    assert draft_of(more, **of_checkout(more, drops_claims=True))


# --- resourceSqueeze ------------------------------------------------------------------------------------


def test_a_squeezed_pod_gets_lower_limits_and_requests_that_fit_in_them() -> None:
    """C14: in place."""
    (record,) = draft_of(World(SQUEEZE)).targets

    assert (record.kind, record.to) == ("Pod", {"limits/app/memory": "32Mi", "requests/app/memory": "32Mi"})
    assert record.original == {"limits/app/memory": "128Mi", "requests/app/memory": "64Mi"}


def squeezed(world: World, fields: dict[str, str]) -> dict[str, Any]:
    return {"pods": tuple(replace(pod, fields=tuple(fields.items())) for pod in world.seen().pods)}


def test_a_limit_that_would_not_get_lower_is_no_squeeze() -> None:
    """C11: nor is one that a Pod never had, for what is added in place stays (C6)."""
    world = World(SQUEEZE)

    assert refusal(world, **squeezed(world, SIZES | {"limits/app/memory": "16Mi"})) == ChaosReason.NOTHING_TO_CHANGE
    assert refusal(world, **squeezed(world, {"requests/app/memory": "64Mi"})) == ChaosReason.NOTHING_TO_CHANGE


def test_a_squeeze_that_changes_the_class_of_a_pod_is_refused() -> None:
    """C6: the API server would refuse it half-way."""
    world = World(SQUEEZE)
    nearly = {"limits/app/cpu": "1", "requests/app/cpu": "1", "limits/app/memory": "1Gi", "requests/app/memory": "64Mi"}

    assert refusal(world, **squeezed(world, nearly)) == ChaosReason.CANNOT_RESTORE


@pytest.mark.parametrize(
    ("fields", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests/a/cpu": "1"}, "Burstable"),
        ({"limits/a/cpu": "1", "limits/a/memory": "1Gi"}, "Guaranteed"),
        ({"limits/a/cpu": "1", "limits/a/memory": "1Gi", "requests/a/memory": "1024Mi"}, "Guaranteed"),
        ({"limits/a/cpu": "1", "limits/a/memory": "1Gi", "requests/a/memory": "1Mi"}, "Burstable"),
    ],
)
def test_the_class_of_a_pod_is_found_as_kubernetes_does(fields: dict[str, str], quality: str) -> None:
    assert quality_of(("a",), fields) == quality
    assert quality_of(("a", "b"), fields) == ("BestEffort" if not fields else "Burstable")


def test_a_squeezed_workload_may_get_limits_that_it_never_had() -> None:
    """C14: of a template they can be taken away again."""
    world = World(a_held_spec({"resourceSqueeze": {"memory": "32Mi"}}))
    del world.template["limits/app/memory"]
    (record,) = draft_of(world).targets

    assert record.original == {"requests/app/memory": "64Mi"}
    assert record.to == {"limits/app/memory": "32Mi", "requests/app/memory": "32Mi"}


# --- agents ---------------------------------------------------------------------------------------------


def test_the_plan_of_an_agent_says_what_it_needs_and_what_stays() -> None:
    """C14: the ephemeral container stays listed in the pod."""
    found = draft_of(World(NETWORK, peers=PEERS))

    assert found.plan.targets == ("Pod/checkout-1",)
    assert found.plan.changes[0] == (
        "network (loss 20%, peers.selector.matchLabels.app db, direction Egress) in Pod/checkout-1, "
        "by an ephemeral container homeostat-…, which needs NET_ADMIN"
    )
    undo = "the agent's end, at the latest when beats stop; the ephemeral container stays listed in the pod"
    assert found.plan.undo == (undo,)
    assert found.targets[0].agent.startswith("homeostat-")


def test_the_plan_is_the_same_in_every_run() -> None:
    """C14: the name of the container is not, and so it is not in the plan."""
    world = World(NETWORK, peers=PEERS)
    later = World(NETWORK, peers=PEERS, status=world.status.model_copy(update={"run_number": 7}))

    assert draft_of(world).plan == draft_of(later).plan
    assert draft_of(world).targets[0].agent != draft_of(later).targets[0].agent


def with_agent(world: World, state: Any, reason: str = "") -> dict[str, Any]:
    agent = AgentContainer("homeostat-other", state, reason)
    return {"pods": tuple(replace(pod, agents=(agent,)) for pod in world.seen().pods)}


@pytest.mark.parametrize("spec", [NETWORK, a_spec(), SQUEEZE], ids=["network", "podKill", "resourceSqueeze"])
def test_a_pod_in_which_an_agent_is_at_work_is_left_alone(spec: Any) -> None:
    """C12: two experiments on one target."""
    world = World(spec, peers=PEERS)

    assert refusal(world, **with_agent(world, "Waiting")) == ChaosReason.TARGET_FAULTED
    assert refusal(world, **with_agent(world, "Running")) == ChaosReason.TARGET_FAULTED
    assert draft_of(world, **with_agent(world, "Ended"))


def test_an_agent_whose_image_was_never_pulled_does_not_bar_its_pod_for_life() -> None:
    """C12: it holds nothing, and nobody can take it off the pod's list."""
    world = World(NETWORK, peers=PEERS)

    assert draft_of(world, **with_agent(world, "Waiting", "ImagePullBackOff"))


def test_what_an_environment_held_is_not_shown_in_a_plan() -> None:
    """Text from the cluster: variables hold passwords too often."""
    world = World(a_held_spec({"rolloutBreak": {"env": {"MODE": "broken"}}}))
    (change,) = draft_of(world).plan.changes

    assert "env/app/MODE to broken" in change
    assert " from " not in change


def test_a_pod_that_bears_a_marker_is_left_alone() -> None:
    """C12: its sizes are held by somebody."""
    world = World(NETWORK, peers=PEERS)
    world.pod_annotations["checkout-1"] = {"homeostat.dev/chaos": "{}"}

    assert refusal(world) == ChaosReason.TARGET_FAULTED


def test_agents_stay_out_of_pods_that_use_the_network_of_their_node() -> None:
    """C10: the fault would be the Node's."""
    assert refusal(World(NETWORK, peers=PEERS, has_host_network=True)) == ChaosReason.HOST_NETWORK


@pytest.mark.parametrize("spec", [NETWORK, IMAGE], ids=["an agent", "a guard"])
def test_without_an_image_for_agents_and_guards_only_blows_are_dealt(spec: Any) -> None:
    """C3: what nobody would undo is not begun."""
    world = World(spec, peers=PEERS, guards_needed=True, agent_image="")

    assert refusal(world) == ChaosReason.NO_AGENT_IMAGE
    assert draft_of(World(a_spec(), guards_needed=True, agent_image=""))


def test_peers_that_are_nobody_are_refused() -> None:
    """C11: a typo in the selector."""
    assert refusal(World(NETWORK)) == ChaosReason.NO_PEERS


def test_a_container_that_the_pod_does_not_have_is_refused() -> None:
    """C11: a typo in the name."""
    assert refusal(World(an_agent_spec({"containerKill": {"container": "ap"}}))) == ChaosReason.NO_CONTAINER


@pytest.mark.parametrize(
    "fault",
    [
        {"network": {"loss": "1%"}},
        {"dns": {"fail": ["db"]}},
        {"http": {"port": 80, "status": 500}},
        {"cpu": {"load": "10%"}},
        {"memory": {"bytes": "1Mi"}},
        {"processPause": {"name": "app"}},
        {"processKill": {"name": "app"}},
        {"containerKill": {"container": "app"}},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_a_pod_with_an_agent_counts_as_lost(fault: Any) -> None:
    """C10: any of these faults may make it unready."""
    spec = an_agent_spec(fault, blastRadius={"minAvailable": 3})

    assert refusal(World(spec)) == ChaosReason.BLAST_RADIUS_MIN_AVAILABLE


def test_a_drained_pod_of_another_namespace_is_on_record_with_it() -> None:
    """C2: an object is not known by its name alone."""
    world = World(DRAIN)
    seen = on_the_node(world, is_ready=False)
    (node,) = seen["workloads"]
    *ours, odd = node.pods
    assert isinstance(odd, Pod)
    pods = (*ours, replace(odd, ref=replace(odd.ref, namespace="cart")))
    records = draft_of(world, workloads=(replace(node, pods=pods),)).targets

    assert {one.name: one.namespace for one in records}["odd"] == "cart"
    assert SHOP not in {one.namespace for one in records}
    assert all(one.phase is TargetPhase.PLANNED for one in records)
