"""What an experiment may take, and what it would take: gates, blast radius, plan."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.core.chaos import draw, target_selector
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, ChaosSeen
from homeostat.core.chaos.selector import selects
from homeostat.core.cluster import DisruptionBudget, Lock, Namespace
from homeostat.core.ref import Ref
from scenarios.chaos.world import CHECKOUT, ME, START, World, a_scale_spec, a_spec


def drawn(world: World, **seen: Any) -> Draft | Refusal:
    return draw(Case(world.spec, world.status, world.seen(**seen), world.now))


def refusal(world: World, **seen: Any) -> str:
    found = drawn(world, **seen)
    assert isinstance(found, Refusal)
    return found.reason


def planned(world: World, **seen: Any) -> tuple[str, ...]:
    found = drawn(world, **seen)
    assert isinstance(found, Draft), found
    return found.plan.targets


def pods_of(count: int | str, **spec: Any) -> Any:
    target = {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}, "count": count}
    return a_spec(target=target, **spec)


# --- how many -------------------------------------------------------------------------------------------


def test_one_replica_and_half_of_the_pods_is_refused_and_not_silently_a_success() -> None:
    """C10: a share is rounded down."""
    assert refusal(World(pods_of("50%"), replicas=1)) == ChaosReason.BLAST_RADIUS_ROUNDS_TO_ZERO


@pytest.mark.parametrize(("share", "replicas", "taken"), [("50%", 5, 2), ("25%", 4, 1), ("99%", 10, 9), ("100%", 3, 3)])
def test_a_share_of_the_ready_pods_is_rounded_down(share: str, replicas: int, taken: int) -> None:
    """C10: never more than the share."""
    world = World(pods_of(share, blastRadius={"minAvailable": 0}), replicas=replicas)

    assert len(planned(world)) == taken


def test_pods_that_are_not_ready_are_neither_counted_nor_taken() -> None:
    """C10: a share of *ready* pods."""
    world = World(pods_of("50%"), replicas=4)
    world.pods["checkout-1"] = world.pods["checkout-2"] = START + timedelta(hours=1)

    assert planned(world) == ("Pod/checkout-3",)


def test_more_pods_than_are_ready_are_refused() -> None:
    """C10: refused, not trimmed."""
    world = World(pods_of(4, blastRadius={"minAvailable": 0}))

    assert refusal(world) == ChaosReason.BLAST_RADIUS_TOO_FEW_READY


def test_more_targets_than_a_status_can_hold_are_refused() -> None:
    """C2: what cannot be on record is not touched."""
    world = World(pods_of("100%", blastRadius={"minAvailable": 0}), replicas=101)

    assert refusal(world) == ChaosReason.BLAST_RADIUS_TOO_MANY_TARGETS


def test_no_target_at_all_is_a_failure() -> None:
    """C11: a typo in the selector."""
    found = drawn(World(a_spec()), pods=())

    assert isinstance(found, Refusal)
    assert (found.verdict, found.reason) == (Verdict.FAILED, ChaosReason.NO_TARGETS)


def test_a_workload_by_another_name_is_no_target() -> None:
    """C11: a typo in the name."""
    world = World(a_scale_spec(target={"kind": "Deployment", "name": "chekout"}))

    assert refusal(world) == ChaosReason.NO_TARGETS


@pytest.mark.parametrize("choice", [0.0, 0.33, 0.34, 0.67, 0.999])
def test_the_choice_names_one_of_the_targets_and_always_the_same(choice: float) -> None:
    world = World(a_spec(), choice=choice)

    assert planned(world) == planned(world) == (f"Pod/checkout-{int(choice * 3) + 1}",)


# --- what must remain -----------------------------------------------------------------------------------


def test_the_floor_of_available_pods_is_kept() -> None:
    """C10: minAvailable."""
    world = World(pods_of(2, blastRadius={"minAvailable": 2}))

    assert refusal(world) == ChaosReason.BLAST_RADIUS_MIN_AVAILABLE


def test_scaling_to_zero_needs_a_floor_of_zero() -> None:
    """C10: minAvailable is 1 unless said otherwise."""
    spec = a_scale_spec(fault={"scale": {"to": 0}})
    unbound = a_scale_spec(fault={"scale": {"to": 0}}, blastRadius={"minAvailable": 0})

    assert refusal(World(spec)) == ChaosReason.BLAST_RADIUS_MIN_AVAILABLE
    assert planned(World(unbound)) == ("Deployment/checkout",)


@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
def test_a_disruption_budget_that_allows_nothing_refuses(spec: Any) -> None:
    """C10: PDBs are counted, also where Kubernetes itself would not ask them."""
    world = World(spec, budgets=(DisruptionBudget("floor", "app=checkout", 0),))

    assert refusal(world) == ChaosReason.BLAST_RADIUS_DISRUPTION_BUDGET


def test_a_disruption_budget_of_other_pods_says_nothing() -> None:
    """C10: only the PDBs that select a target."""
    world = World(
        a_spec(), budgets=(DisruptionBudget("floor", "app=cart", 0), DisruptionBudget("b", "app=checkout", 1))
    )

    assert planned(world) == ("Pod/checkout-1",)


def test_a_negative_allowance_is_no_allowance() -> None:
    """C10: a PDB already broken allows nothing."""
    world = World(a_spec(), budgets=(DisruptionBudget("floor", "", -1),))

    assert refusal(world) == ChaosReason.BLAST_RADIUS_DISRUPTION_BUDGET


def test_at_most_eighty_percent_of_a_namespace_may_go() -> None:
    """C10: 80 % of 3 pods, rounded down, are 2."""
    world = World(pods_of(3, blastRadius={"minAvailable": 0}), others=0)

    assert refusal(world) == ChaosReason.BLAST_RADIUS_NAMESPACE
    assert len(planned(World(pods_of(2, blastRadius={"minAvailable": 0}), others=0))) == 2


def test_a_lower_share_of_the_namespace_can_be_asked_for() -> None:
    """C10: maxNamespacePercent."""
    world = World(pods_of(2, blastRadius={"minAvailable": 0, "maxNamespacePercent": "10%"}), others=10)

    assert refusal(world) == ChaosReason.BLAST_RADIUS_NAMESPACE


def test_at_most_two_thirds_of_a_cluster_may_go_where_it_can_be_counted() -> None:
    """C10: 66 % of 4 pods, rounded down, are 2."""
    spec = pods_of(3, blastRadius={"minAvailable": 0})

    assert refusal(World(spec, others=1), cluster_pods=4) == ChaosReason.BLAST_RADIUS_CLUSTER
    assert len(planned(World(spec, others=1), cluster_pods=None)) == 3


def test_more_replicas_take_nothing_away() -> None:
    """C10: limits are about what is lost."""
    world = World(a_scale_spec(fault={"scale": {"to": 9}}, blastRadius={"minAvailable": 5}))

    assert planned(world) == ("Deployment/checkout",)


# --- who is left alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "kube-node-lease", "homeostat"])
def test_protected_namespaces_are_refused_whatever_their_labels(name: str) -> None:
    """C10: Kubernetes' own, and the operator's own."""
    assert refusal(World(a_spec()), ref=replace(ME, namespace=name)) == ChaosReason.NAMESPACE_PROTECTED


@pytest.mark.parametrize("labels", [(), (("homeostat.dev/chaos", "yes"),), (("chaos", "allowed"),)])
def test_a_namespace_takes_part_only_with_the_label(labels: Any) -> None:
    """C10: opt-in."""
    assert refusal(World(a_spec(), labels=labels)) == ChaosReason.NAMESPACE_NOT_ALLOWED


@pytest.mark.parametrize("namespace", [None, Namespace("shop", is_terminating=True)])
def test_a_namespace_that_ends_is_left_alone(namespace: Namespace | None) -> None:
    """C10, R12: nothing is begun in what is being deleted."""
    assert refusal(World(a_spec()), namespace=namespace) == ChaosReason.NAMESPACE_TERMINATING


def test_a_pod_that_nobody_would_replace_is_left_alone() -> None:
    """C6: refuse when the prior state cannot be restored."""
    world = World(a_spec())
    bare = tuple(replace(pod, owner=None) for pod in world.seen().pods)

    assert refusal(world, pods=bare) == ChaosReason.NOT_REPLACEABLE
    assert refusal(world, owners=()) == ChaosReason.NOT_REPLACEABLE


@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_deleting": True}, ChaosReason.TARGET_DELETING),
        ({"generation": 2}, ChaosReason.TARGET_ROLLING_OUT),
        ({"annotations": ((MARKER, "of another release"),)}, ChaosReason.TARGET_FAULTED),
    ],
)
def test_a_workload_that_is_not_at_rest_is_left_alone(spec: Any, change: Any, reason: ChaosReason) -> None:
    """C12, C16, R11: one fault at a time, and never into a rollout."""
    world = World(spec)
    busy = tuple(replace(one, **change) for one in (world.checkout(),) if one)

    assert refusal(world, owners=busy, workloads=busy) == reason


@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
def test_a_target_that_somebody_else_writes_is_left_alone(spec: Any) -> None:
    """C12, R11: the lock of a RecoveryPolicy or of another experiment."""
    policy = Ref("RecoveryPolicy", "shop", "restart-checkout", "policy-uid")
    held = {CHECKOUT.uid: Lock(policy, START + timedelta(seconds=1))}
    expired = {CHECKOUT.uid: Lock(policy, START)}
    ours = {CHECKOUT.uid: Lock(ME, START + timedelta(seconds=1))}

    assert refusal(World(spec), locks=held) == ChaosReason.TARGET_LOCKED
    assert planned(World(spec), locks=expired)
    assert planned(World(spec), locks=ours)


def test_a_workload_that_already_is_so_is_refused() -> None:
    """C11: a fault that changes nothing proves nothing."""
    assert refusal(World(a_scale_spec(), replicas=1, needs=0)) == ChaosReason.NOTHING_TO_CHANGE


# --- dry runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
def test_the_plan_of_a_dry_run_is_the_plan_of_the_real_run(spec: Any) -> None:
    """C14: by the same code path."""
    dry, real = World(spec.model_copy(update={"dry_run": True})), World(spec)
    dry.reconcile()
    real.run(20, until=Phase.RUNNING)

    assert (dry.status.phase, dry.status.reason, dry.status.verdict) == (Phase.FINISHED, ChaosReason.DRY_RUN, None)
    assert dry.status.plan == real.status.plan
    assert not dry.acts
    assert not dry.has_finalizer


def test_a_dry_run_lists_targets_changes_and_undo() -> None:
    """C14: exactly."""
    world = World(a_scale_spec(dryRun=True))
    world.reconcile()

    assert world.status.plan is not None
    assert world.status.plan.wire() == {
        "targets": ["Deployment/checkout"],
        "changes": ["scale Deployment/checkout from 3 to 1"],
        "undo": ["scale Deployment/checkout back to 3, unless somebody else changed it meanwhile"],
    }


def test_a_dry_run_is_refused_by_what_would_refuse_the_real_run() -> None:
    """C14: a plan that could not happen is no plan."""
    world = World(a_spec(dryRun=True), labels=())
    world.reconcile()

    assert (world.status.verdict, world.status.plan) == (Verdict.ABORTED, None)


def test_a_dry_run_made_real_runs_without_being_asked_again() -> None:
    world = World(a_spec(dryRun=True))
    world.reconcile()
    world.spec, world.generation = a_spec(), 2
    world.run(60)

    assert [run.verdict for run in world.status.runs] == [Verdict.PASSED, None]


# --- selectors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ("", True),
        ("app=shop", True),
        ("app==shop", True),
        ("app=cart", False),
        ("app!=cart", True),
        ("other!=x", True),
        ("app!=shop", False),
        ("tier in (front,back)", True),
        ("tier in (back)", False),
        ("tier notin (back)", True),
        ("other notin (back)", True),
        ("tier notin (front)", False),
        ("app", True),
        ("!app", False),
        ("!canary", True),
        ("canary", False),
        ("app=shop,tier in (front, back),!canary", True),
        ("app=shop,tier in (back),!canary", False),
        ("app = shop", True),
        ("tier in (front", True),
        ("what is this?", True),
    ],
)
def test_a_selector_is_read_as_kubernetes_does_and_what_cannot_be_read_selects(
    selector: str,
    is_selected: bool,  # noqa: FBT001
) -> None:
    """C10: a PDB whose selector we cannot read protects."""
    assert selects(selector, {"app": "shop", "tier": "front"}) is is_selected


def test_a_target_selector_is_written_as_a_query() -> None:
    target = {"kind": "Pod", "selector": {"matchLabels": {"tier": "front", "app": "checkout"}}}

    assert target_selector(a_spec(target=target)) == "app=checkout,tier=front"
    assert target_selector(a_scale_spec()) == ""


def test_losses_are_counted_together() -> None:
    """C10: two workloads of one experiment share one budget."""
    world = World(pods_of("100%", blastRadius={"minAvailable": 0}))
    seen: ChaosSeen = world.seen()
    twin = replace(seen.owners[0], ref=replace(CHECKOUT, name="twin", uid="twin-uid"))
    more = tuple(
        replace(pod, ref=replace(pod.ref, name=f"twin-{i}", uid=f"twin-{i}"), owner=twin.ref)
        for i, pod in enumerate(seen.pods)
    )
    budget = (DisruptionBudget("floor", "app=checkout", 5),)
    both = {"pods": (*seen.pods, *more), "owners": (*seen.owners, twin)}

    assert refusal(world, **both, disruption_budgets=budget) == ChaosReason.BLAST_RADIUS_DISRUPTION_BUDGET
    assert len(planned(world, **both)) == 6
