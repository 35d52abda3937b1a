"""RecoveryPolicy: how many pods at once, what stands against acting, and how every refusal is seen."""

from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.health_check import HealthState
from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery_attempt import Outcome
from homeostat.api.recovery_status import Phase, Signal, SignalState
from homeostat.core.cluster import FreezeInForce, Lock
from homeostat.core.condition import condition
from homeostat.core.recovery.gates.chain import TO_ACT, TO_ASK_AGAIN, TO_GO_ON
from homeostat.core.recovery.gates.wish import Gate, Wish
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.ref import Ref
from scenarios.recovery.world import NOON, OTHER, POLICY, World, spec

HELPLESS: dict[str, Any] = {"eviction_heals": False}
EXPERIMENT = Ref("ChaosExperiment", "shop", "kill-checkout", "chaos-uid")
SOON = NOON + timedelta(seconds=20)


def world(**changes: Any) -> World:
    """Build a world in which checkout-1 has just begun to fail."""
    made = World(**changes)
    made.reconcile()
    made.now += timedelta(seconds=1)
    made.sick.add("checkout-1")
    return made


def blocked(made: World) -> str:
    return made.status.blocked.reason if made.status.blocked else ""


# --- R4 -------------------------------------------------------------------------------------------------


def test_never_two_pods_at_once_with_a_cap_of_one() -> None:
    """R4: 5 of 20 unhealthy, floor 51 %, cap 1: one after the other, within one attempt."""
    limits = {"maxUnhealthy": "49%", "maxInFlight": 1}
    checkout = world(replicas=20, spec=spec(limits=limits))
    checkout.sick |= {f"checkout-{number}" for number in range(5)}
    most = 0
    for _ in range(60):
        checkout.run("1s")
        starting = [pod for pod in checkout.pods.values() if not checkout._ready(pod)]
        most = max(most, len(starting))

    assert most == 1
    assert len(checkout.effects) == 5
    assert [record.outcome for record in checkout.status.last] == [Outcome.RECOVERED]


def test_several_pods_at_once_as_far_as_the_cap_allows() -> None:
    """R4: a share rounds down: 49 % of 5 is 2."""
    checkout = world(replicas=5, spec=spec(limits={"maxUnhealthy": "100%", "maxInFlight": "49%"}))
    checkout.sick |= {"checkout-0", "checkout-2", "checkout-3"}

    checkout.run("2s")

    assert len(checkout.effects) == 2


def test_a_share_that_rounds_down_to_nothing_allows_nothing() -> None:
    """R4: 50 % of one is none."""
    checkout = world(replicas=2, spec=spec(limits={"maxInFlight": "49%", "maxUnhealthy": "100%"}))

    checkout.run("5s")

    assert (checkout.effects, blocked(checkout)) == ([], "InFlight")


def test_nothing_is_done_when_too_many_pods_are_unhealthy() -> None:
    """R4, R5: 8 of 20 with room for 7: no action, and it says so."""
    checkout = world(replicas=20, spec=spec(limits={"maxUnhealthy": "39%"}))
    checkout.sick |= {f"checkout-{number}" for number in range(8)}

    status = checkout.run("10s")

    assert checkout.effects == []
    assert blocked(checkout) == "TooManyUnhealthy"
    assert status.blocked is not None
    assert status.blocked.message.startswith("8 of 20 pods")


def test_a_healthy_pod_to_be_restarted_counts_as_unhealthy() -> None:
    """R4: All takes healthy pods too, and each is one more that does not serve."""
    steps = [{"restartPods": {"which": "All"}}]
    checkout = world(spec=spec(steps=steps, limits={"maxUnhealthy": 1}))

    checkout.run("30s")

    assert [effect.split()[1] for effect in checkout.effects] == []
    assert blocked(checkout) == "TooManyUnhealthy"


def test_all_pods_are_restarted_one_by_one_while_the_trigger_fires() -> None:
    """R4: what the attempt itself has replaced is not restarted again."""
    checkout = world(spec=spec(steps=[{"restartPods": {"which": "All"}}], limits={"maxUnhealthy": 2}), **HELPLESS)

    checkout.run("30s")

    names = sorted(effect.split()[1] for effect in checkout.effects)
    assert names == ["checkout-0", "checkout-1", "checkout-2", "checkout-3"]


# --- what stands against acting -------------------------------------------------------------------------

REFUSALS: list[tuple[BlockReason, dict[str, Any]]] = [
    (BlockReason.SUSPENDED, {"spec": spec(suspend=True)}),
    (BlockReason.FROZEN, {"freeze": FreezeInForce("outage", ("Recovery",), "provider outage", SOON)}),
    (BlockReason.BUDGET_HELD, {"budget_held_by": "checkout"}),
    (BlockReason.STALE_VIEW, {"view_age": timedelta(seconds=31)}),
    (BlockReason.EXPECTED_FAULT, {"expected_by": EXPERIMENT}),
    (
        BlockReason.DEPENDENCY_UNHEALTHY,
        {
            "spec": spec(dependsOn=[{"healthCheck": {"name": "database"}}]),
            "dependencies": {"database": HealthState.UNHEALTHY},
        },
    ),
    (BlockReason.DEPENDENCY_UNKNOWN, {"spec": spec(dependsOn=[{"healthCheck": {"name": "database"}}])}),
    (BlockReason.NAMESPACE_TERMINATING, {"namespace_ends": True}),
    (BlockReason.TARGET_NOT_FOUND, {"gone": True}),
    (BlockReason.TARGET_PAUSED, {"paused": True}),
    (BlockReason.LOCKED, {"lock": Lock(OTHER, SOON)}),
    (BlockReason.NO_EARLIER_REVISION, {"spec": spec(steps=[{"rolloutUndo": {}}])}),
    (BlockReason.AT_MAXIMUM, {"spec": spec(steps=[{"scale": {"to": 4}}])}),
    (BlockReason.IN_FLIGHT, {"spec": spec(limits={"maxInFlight": 0})}),
    (BlockReason.ROLLOUT_IN_PROGRESS, {"rolling_until": SOON}),
    (BlockReason.TOO_MANY_UNHEALTHY, {"spec": spec(limits={"maxUnhealthy": "24%"})}),
    (BlockReason.BUDGET_SPENT, {"spec": spec(limits={"budget": {"actions": 0, "per": "1h"}})}),
    (BlockReason.CLUSTER_BUDGET_SPENT, {"tokens_of": 0}),
    (BlockReason.POD_DISRUPTION_BUDGET, {"pdb_allows": False}),
]


@pytest.mark.parametrize(("reason", "circumstances"), REFUSALS, ids=[reason.value for reason, _ in REFUSALS])
def test_every_refusal_touches_nothing_and_is_seen(reason: BlockReason, circumstances: dict[str, Any]) -> None:
    """R12, R15: no effect; phase, status.blocked, condition and one event, however long it lasts."""
    checkout = world(**circumstances)

    status = checkout.run("15s")

    assert checkout.effects == []
    assert status.phase is Phase.BLOCKED
    assert status.blocked is not None
    assert status.blocked.reason == reason
    assert status.blocked.since <= NOON + timedelta(seconds=3)
    said = condition(status.conditions, "Blocked")
    assert said is not None
    assert (said.status, said.reason, said.message) == (ConditionStatus.TRUE, reason, status.blocked.message)
    assert checkout.events.count("Blocked") == 1
    assert any(note.startswith(f"{reason}: ") for note in checkout.notes)


@pytest.mark.parametrize(
    ("reason", "until"), [(BlockReason.FROZEN, SOON), (BlockReason.LOCKED, SOON), (BlockReason.STALE_VIEW, None)]
)
def test_a_refusal_says_until_when_where_that_is_known(reason: BlockReason, until: Any) -> None:
    """R15: reason, since, until."""
    checkout = world(**dict(REFUSALS)[reason])

    status = checkout.run("5s")

    assert status.blocked is not None
    assert status.blocked.until == until


def test_what_was_blocked_is_done_once_nothing_stands_against_it() -> None:
    """R15: and the condition goes."""
    checkout = world(freeze=FreezeInForce("outage", ("Recovery",), "provider outage"))
    checkout.run("5s")
    checkout.freeze = None

    status = checkout.run("1s")

    assert len(checkout.effects) == 1
    assert status.blocked is None
    said = condition(status.conditions, "Blocked")
    assert said is not None
    assert said.status is ConditionStatus.FALSE


def test_a_suspended_policy_says_so_even_when_nothing_fires() -> None:
    """R15: who suspended it finds it so."""
    quiet = World(spec=spec(suspend=True))

    quiet.reconcile()

    assert (quiet.status.phase, blocked(quiet)) == (Phase.BLOCKED, "Suspended")


def test_a_suspended_policy_still_verifies_what_it_has_done() -> None:
    checkout = world()
    checkout.run("3s")
    checkout.spec = spec(suspend=True)

    status = checkout.run("20s")

    assert status.last[0].outcome is Outcome.RECOVERED


def test_a_pod_that_the_trigger_does_not_name_is_not_restarted() -> None:
    """The check fails, but no pod of the target is known to."""
    checkout = world(verdict=SignalState.FIRING)
    checkout.sick.clear()

    checkout.run("5s")

    assert (checkout.effects, blocked(checkout)) == ([], "NoFailingPods")


def test_a_step_with_nothing_to_do_gives_way_after_its_time() -> None:
    """R8, R15: a human is told in the end, and the record says why the step was passed over."""
    checkout = world(verdict=SignalState.FIRING)
    checkout.sick.clear()

    status = checkout.run("3m")

    assert [record.outcome for record in status.last] == [Outcome.ESCALATED, Outcome.NOT_STARTED]
    assert status.last[1].reason == "NoFailingPods"
    assert status.phase is Phase.ESCALATED


def test_a_workload_scaled_to_zero_is_not_started() -> None:
    """R8: zero is somebody's newer value."""
    checkout = world(spec=spec(steps=[{"scale": {"by": "+1"}}]), verdict=SignalState.FIRING)
    checkout.resize(0)

    checkout.run("5s")

    assert (checkout.effects, blocked(checkout)) == ([], "ScaledToZero")


# --- R12: no data ---------------------------------------------------------------------------------------


def test_old_data_is_no_ground_to_act_on() -> None:
    """R12: the signal stops before `for` is over: zero actions, SignalStale."""
    checkout = world(spec=spec(triggers=[{"healthCheck": {"name": "checkout"}, "for": "15s"}]))
    checkout.run("1s")
    checkout.dark = True

    status = checkout.run("10m", "5s")

    assert checkout.effects == []
    assert (status.phase, blocked(checkout)) == (Phase.BLOCKED, "SignalStale")


def test_no_data_is_no_ground_to_act_on() -> None:
    """R12: zero actions, SignalMissing, and visible although nothing fires."""
    checkout = world(verdict=SignalState.UNKNOWN)

    status = checkout.run("10m", "5s")

    assert checkout.effects == []
    assert (status.phase, blocked(checkout)) == (Phase.BLOCKED, "SignalMissing")


def test_data_that_comes_back_must_fire_anew_for_as_long_as_it_must() -> None:
    """R12: what was before a gap does not count as unbroken."""
    checkout = world()
    checkout.run("1s")
    checkout.dark = True
    checkout.run("20s", "20s")
    checkout.dark = False

    assert checkout.run("1s").phase is Phase.PENDING
    assert checkout.effects == []
    checkout.run("1s")
    assert len(checkout.effects) == 1


def test_another_trigger_that_fires_is_enough() -> None:
    """Any trigger will do, also while another has no data."""
    triggers = [{"slo": {"name": "checkout", "burnRateAbove": "14.4"}}, {"pods": {"reason": "NotReady"}}]
    checkout = world(spec=spec(triggers=triggers))
    seen = checkout.seen()

    checkout.reconcile()

    assert seen.signals[1].since is None
    assert len(checkout.effects) == 1


# --- R10, R11 -------------------------------------------------------------------------------------------


def test_an_eviction_refused_by_a_disruption_budget_is_repeated_and_never_forced() -> None:
    """R10: 0 deletions, the reason names the budget; the same eviction, one token, once it is allowed."""
    checkout = world(pdb_allows=False)
    status = checkout.run("30s")
    assert status.blocked is not None
    assert (status.blocked.reason, "checkout" in status.blocked.message) == ("PodDisruptionBudget", True)
    assert checkout.effects == []
    checkout.pdb_allows = True

    status = checkout.run("30s")

    assert len(checkout.effects) == 1
    assert len(checkout.tokens) == 1
    assert status.last[0].outcome is Outcome.RECOVERED


def test_a_disruption_budget_that_never_allows_leads_to_a_human() -> None:
    """R10, R8: after the step's time, the next step."""
    checkout = world(pdb_allows=False)

    status = checkout.run("3m")

    assert (status.last[1].outcome, status.last[1].reason) == (Outcome.NOT_STARTED, "PodDisruptionBudget")
    assert status.phase is Phase.ESCALATED
    assert checkout.effects == []


def test_two_policies_on_one_target_never_act_together() -> None:
    """R11: the other's lock blocks, names its holder, and is free once it has run out."""
    checkout = world(lock=Lock(OTHER, SOON))
    checkout.run("10s")
    assert checkout.status.blocked is not None
    assert checkout.status.blocked.message == "RecoveryPolicy another holds the target."

    checkout.run("10s")

    assert len(checkout.effects) == 1


def test_the_lock_is_renewed_while_an_attempt_is_open_and_given_up_after_it() -> None:
    """R11: holder, expiry, renewal."""
    checkout = world(**HELPLESS)
    left = []
    for _ in range(64):
        checkout.run("1s")
        left.append(checkout.lock.until - checkout.now if checkout.lock else None)

    acting = [time for time in left[2:61] if time is not None]
    assert min(acting) > timedelta(seconds=25)
    assert len(acting) == 59

    checkout.run("5s")

    assert checkout.lock is None


def test_a_lock_lost_to_another_is_left_to_him() -> None:
    """R11: the attempt is verified, and nothing else is done."""
    checkout = world()
    checkout.run("3s")
    theirs = Lock(OTHER, NOON + timedelta(hours=1))
    checkout.lock = theirs

    status = checkout.run("20s")

    assert status.last[0].outcome is Outcome.RECOVERED
    assert checkout.lock == theirs


def test_a_lock_left_by_a_kill_is_given_up() -> None:
    """R11: killed between the end of the attempt and the release."""
    checkout = World(lock=Lock(POLICY, NOON + timedelta(seconds=60)))

    checkout.reconcile()

    assert checkout.lock is None


# --- C12, R14 -------------------------------------------------------------------------------------------


def test_a_human_is_not_told_of_a_fault_that_is_expected() -> None:
    """C12: a drill is nobody's alarm."""
    checkout = world(spec=spec(steps=[{"escalate": {}}]), expected_by=EXPERIMENT)

    checkout.run("10s")

    assert (checkout.status.escalated, blocked(checkout)) == (None, "ExpectedFault")


def test_a_degraded_dependency_is_no_obstacle() -> None:
    """R14: only an unhealthy or unknown one is."""
    needy = spec(dependsOn=[{"healthCheck": {"name": "database"}}])
    checkout = world(spec=needy, dependencies={"database": HealthState.DEGRADED})

    checkout.run("3s")

    assert len(checkout.effects) == 1


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (HealthState.UNHEALTHY, "DependencyUnhealthy"),
        (HealthState.UNKNOWN, "DependencyUnknown"),
        (HealthState.SUSPENDED, "DependencyUnknown"),
    ],
)
def test_what_the_triggers_check_depends_on_holds_the_policy_like_what_it_names_itself(
    state: HealthState, reason: str
) -> None:
    """H5, R14: the check says by itself what it depends on; the refusal names that."""
    checkout = world(of_check={"database": state})

    checkout.run("10s")

    assert (checkout.effects, blocked(checkout)) == ([], reason)
    assert checkout.status.blocked is not None
    assert "HealthCheck database (on which healthCheck checkout depends)" in checkout.status.blocked.message
    assert checkout.events == ["Blocked"]


def test_a_policy_goes_on_when_what_its_check_depends_on_recovers() -> None:
    """H5, R14."""
    checkout = world(of_check={"database": HealthState.UNHEALTHY})
    checkout.run("10s")
    checkout.of_check["database"] = HealthState.HEALTHY

    checkout.run("5s")

    assert len(checkout.effects) == 1


def test_a_human_is_not_told_while_the_fault_lies_with_a_dependency_of_the_check() -> None:
    """H5, R14: the alarm is elsewhere."""
    checkout = world(spec=spec(steps=[{"escalate": {}}]), of_check={"database": HealthState.UNHEALTHY})

    checkout.run("10s")

    assert (checkout.status.escalated, blocked(checkout)) == (None, "DependencyUnhealthy")


def test_dependencies_of_one_triggers_check_do_not_hold_another_trigger() -> None:
    """R14: pods that crash do so by themselves."""
    pods = spec(triggers=[{"pods": {"reason": "CrashLoopBackOff"}}])
    checkout = world(spec=pods, of_check={"database": HealthState.UNHEALTHY})

    checkout.run("5s")

    assert len(checkout.effects) == 1


# --- each gate by itself --------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", TO_GO_ON, ids=lambda gate: gate.__name__)
def test_a_gate_is_a_question_that_can_be_asked_of_any_world(gate: Gate) -> None:
    """The order of the gates is for humans; no gate leans on one before it."""
    nowhere = world(gone=True)
    signal = Signal(trigger=0, state=SignalState.FIRING, since=NOON)
    case = Case(nowhere.spec, nowhere.status, nowhere.seen(), nowhere.now)

    block = gate(Wish(case, signal))

    assert block is None or block.reason == "TargetNotFound"


def test_no_gate_is_forgotten_before_an_action_on_record_is_asked_for_again() -> None:
    """R2: all but those that the intent has passed for good: it is planned, paid for, and not to rest."""
    left_out = {gate.__name__ for gate in TO_ACT} - {gate.__name__ for gate in TO_ASK_AGAIN}

    assert left_out == {"cooling_down", "refused_lately", "nothing_to_do", "budget_spent", "cluster_budget_spent"}


def test_a_refusal_without_a_record_still_holds() -> None:
    """R3: what was refused is not asked for again at once, whatever became of the reason."""
    checkout = world()
    checkout.run("1s")
    waiting = {"blocked": None, "retry_at": checkout.now + timedelta(seconds=9)}
    checkout.written = checkout.status.model_copy(update=waiting).wire()

    checkout.run("3s")

    assert (checkout.effects, blocked(checkout)) == ([], "Refused")
