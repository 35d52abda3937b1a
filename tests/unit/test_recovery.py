"""RecoveryPolicy: it heals what it may, when it knows enough, within its limits, and proves that it helped."""

from datetime import timedelta
from typing import Any

import pytest
from scenarios.recovery.world import NOON, OTHER, POLICY, SPEC, TARGET, Killed, World, spec

from homeostat.api.health_check import HealthState
from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_status import Outcome, Phase, Proof, SignalState
from homeostat.core.cluster import FreezeInForce, Lock
from homeostat.core.condition import condition
from homeostat.core.decision import EvictPod, Outcome as Refusal, Ref, ReleaseLock, Scale, TakeLock, TakeToken, Verb
from homeostat.core.recovery import decide, significance, watches
from homeostat.core.recovery.actions import MARKER
from homeostat.core.significance import Significance

MINUTE = timedelta(minutes=1)
HELPLESS: dict[str, Any] = {"eviction_heals": False}
OK = Refusal(Verb.DONE)
SCALE = [{"scale": {"by": "+1", "max": 6}}, {"escalate": {}}]


def world(**changes: Any) -> World:
    """Build a world in which checkout-1 has just begun to fail."""
    made = World(**changes)
    made.reconcile()
    made.now += timedelta(seconds=1)
    made.sick.add("checkout-1")
    return made


def blocked(made: World) -> str:
    return made.status.blocked.reason if made.status.blocked else ""


# --- from trigger to recovery ---------------------------------------------------------------------------


def test_a_failing_pod_is_evicted_once_and_the_attempt_recovers() -> None:
    """R2, R7: intent, lock, token, act, verify, release, record."""
    checkout = world()

    status = checkout.run("30s")

    assert checkout.effects == ["evict checkout-1 a4-0"]
    assert checkout.events == ["Acting", "Recovered"]
    assert (status.last[0].outcome, status.last[0].targets) == (Outcome.RECOVERED, ("EvictPod checkout-1",))
    assert status.attempt is None
    assert status.in_flight == ()
    assert checkout.lock is None


def test_nothing_is_done_before_the_trigger_has_fired_for_as_long_as_it_must() -> None:
    checkout = world()

    assert checkout.run("1s").phase is Phase.PENDING
    assert checkout.effects == []
    assert checkout.decide().check_again_at == NOON + timedelta(seconds=3)


def test_a_break_in_the_trigger_starts_its_time_anew() -> None:
    checkout = world()
    checkout.run("1s")
    checkout.verdict = SignalState.QUIET
    checkout.run("1s")
    checkout.verdict = None

    checkout.run("1s")

    assert checkout.effects == []


def test_the_first_action_of_a_decision_becomes_the_one_writer_then_pays_then_acts() -> None:
    """R2, R3, R11: the order of the actions."""
    checkout = world()
    checkout.run("1s")
    checkout.now += timedelta(seconds=1)

    decision = checkout.decide()

    assert [type(action) for action in decision.actions] == [TakeLock, TakeToken, EvictPod]
    entry = decision.status.in_flight[0]
    pod = checkout.pods["checkout-1"]
    assert (entry.target.uid, entry.resource_version) == (pod.ref.uid, pod.resource_version)
    assert decision.status.attempt is not None
    assert decision.status.attempt.id == decision.actions[2].id.removesuffix("-0")


def test_the_times_of_the_loop_are_on_record() -> None:
    """R17: detected, acted, recovered; took is from detection to recovery."""
    checkout = world()

    record = checkout.run("30s").last[0]

    assert record.detected_at == NOON + timedelta(seconds=1)
    assert record.acted_at == NOON + timedelta(seconds=3)
    assert record.recovered_at == NOON + timedelta(seconds=3)
    assert record.took == timedelta(seconds=2)


def test_statistics_count_attempts_that_acted() -> None:
    """R17: attempts, success rate, mean time to recover."""
    checkout = world(**HELPLESS)
    checkout.run("80s")
    checkout.eviction_heals = True
    checkout.sick.clear()
    checkout.run("2m")
    checkout.sick.add("checkout-2")

    stats = checkout.run("30s").stats

    assert (stats.attempts, stats.recovered) == (2, 1)
    assert stats.wire()["successRate"] == "50%"
    assert stats.mean_time_to_recover == timedelta(seconds=2)


def test_the_last_ten_attempts_are_kept_newest_first() -> None:
    checkout = World(spec=spec(mode="Observe", limits={"cooldown": "1s", "budget": {"actions": 99, "per": "1h"}}))
    checkout.sick.add("checkout-1")

    last = checkout.run("1m").last

    assert len(last) == 10
    assert last[0].started_at > last[9].started_at


# --- R1 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [None, SCALE, [{"rolloutRestart": {}}]])
def test_observe_decides_the_same_and_touches_nothing(steps: list[dict[str, Any]] | None) -> None:
    """R1: identical decision records but for the mode; zero writes on targets in Observe."""
    edits = {"steps": steps} if steps else {}
    auto, observe = world(spec=spec(**edits)), world(spec=spec(mode="Observe", **edits))

    done, would_do = auto.run("30s").last[0], observe.run("30s").last[0]

    assert observe.effects == []
    assert observe.lock is None
    assert not observe.tokens
    fields = {"step", "name", "trigger", "targets", "detected_at", "started_at"}
    assert done.model_dump(include=fields) == would_do.model_dump(include=fields)
    assert would_do.outcome is Outcome.WOULD_DO
    assert observe.events[0] == "WouldAct"


def test_observe_holds_its_own_cooldown_and_budget() -> None:
    """R1, R3: a policy that looks on rests and pays as one that acts."""
    observe = world(spec=spec(mode="Observe"))

    status = observe.run("59s")

    assert [record.outcome for record in status.last] == [Outcome.WOULD_DO]
    assert (status.phase, blocked(observe)) == (Phase.COOLING_DOWN, "CoolingDown")
    assert status.in_flight == ()
    assert (status.budget.used, status.budget.of) == (1, 5)
    assert len(observe.run("1h").last) == 5


def test_observe_is_the_default() -> None:
    """R1: whoever says nothing gets a policy that touches nothing."""
    manifest = {name: value for name, value in SPEC.items() if name != "mode"}

    assert RecoveryPolicySpec.model_validate(manifest).mode is Mode.OBSERVE


def test_an_attempt_under_way_is_not_carried_on_once_the_mode_is_observe() -> None:
    """R1: what is on record but not done yet is not done any more."""
    checkout = world(wire_breaks=True)
    checkout.run("3s")
    checkout.wire_breaks, checkout.spec = False, spec(mode="Observe")

    checkout.run("20s")

    assert checkout.effects == []
    assert blocked(checkout) == "ObserveOnly"


# --- R2: kill -9 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [SPEC["steps"], SCALE, [{"rolloutRestart": {}}]], ids=["evict", "scale", "rollout"])
@pytest.mark.parametrize("kill_in", range(12))
def test_a_kill_at_any_step_leaves_exactly_one_effect(kill_in: int, steps: list[dict[str, Any]]) -> None:
    """R2: kill before the intent, between intent and act, between act and result, and after it."""
    checkout = world(spec=spec(steps=steps))
    checkout.run("1s")
    checkout.kill_in = kill_in
    with pytest.raises(Killed):
        checkout.run("30s")

    status = checkout.run("40s")

    assert len(checkout.effects) == 1
    assert (status.budget.used, len(checkout.tokens)) == (1, 1)
    assert [record.outcome for record in status.last] == [Outcome.RECOVERED]


def test_an_intent_is_asked_for_again_under_the_same_name() -> None:
    """R2: a repeated action is the same action."""
    checkout = world()
    checkout.run("1s")
    checkout.now += timedelta(seconds=1)
    first = checkout.decide()
    checkout.written = first.status.wire()

    again = checkout.decide()

    assert again.actions == first.actions
    assert again.status == first.status


def test_a_pod_that_is_gone_is_not_evicted_again() -> None:
    """R2: recover by what is seen: the result was lost, the pod is gone."""
    checkout = world()
    checkout.run("1s")
    checkout.now += timedelta(seconds=1)
    checkout.written = checkout.decide().status.wire()
    del checkout.pods["checkout-1"]

    decision = checkout.decide()

    assert not any(isinstance(action, EvictPod) for action in decision.actions)
    assert decision.status.in_flight[0].phase == "Done"


def test_an_intent_is_not_carried_out_when_a_freeze_has_come_in_between() -> None:
    """R2, R12: all gates are asked again before an action on record is asked for again."""
    checkout = world()
    checkout.run("1s")
    checkout.kill_in = 2
    with pytest.raises(Killed):
        checkout.run("5s")
    checkout.freeze = FreezeInForce("outage", ("Recovery",), "provider outage")

    status = checkout.run("10s")

    assert checkout.effects == []
    assert (status.phase, blocked(checkout)) == (Phase.BLOCKED, "Frozen")


def test_an_intent_whose_trigger_went_quiet_is_withdrawn() -> None:
    """R2, R7: what has healed by itself is left alone."""
    checkout = world(wire_breaks=True)
    checkout.run("3s")
    checkout.wire_breaks = False
    checkout.sick.clear()

    status = checkout.run("10s")

    assert checkout.effects == []
    assert (status.phase, status.last[0].outcome, status.last[0].reason) == (
        Phase.IDLE,
        Outcome.NOT_STARTED,
        "TriggerQuiet",
    )


def test_a_lost_answer_is_waited_for_and_then_asked_for_again() -> None:
    """R2: nobody knows whether it happened: blocked, and later the same action again."""
    checkout = world(wire_breaks=True)
    checkout.run("3s")
    assert (blocked(checkout), checkout.status.phase) == ("ApiUnavailable", Phase.BLOCKED)
    checkout.wire_breaks = False

    status = checkout.run("30s")

    assert len(checkout.effects) == 1
    assert status.last[0].outcome is Outcome.RECOVERED


def test_what_nobody_answers_in_the_steps_time_gives_way_to_the_next_step() -> None:
    """R8: the next step, then a human."""
    checkout = world(wire_breaks=True)

    status = checkout.run("3m")

    assert (status.last[1].outcome, status.last[1].reason) == (Outcome.NOT_STARTED, "ApiUnavailable")
    assert status.phase is Phase.ESCALATED
    assert status.stats.attempts == 0


# --- R3 -------------------------------------------------------------------------------------------------


def test_the_actions_stay_inside_the_budget_over_five_restarts() -> None:
    """R3: restart the operator five times in a crash-looping fault."""
    limits = {"cooldown": "1s", "budget": {"actions": 3, "per": "1h"}}
    verify = {"stabilise": "0s", "holdFor": "0s", "deadline": "1s"}
    checkout = world(spec=spec(steps=[{"restartPods": {}}] * 8, limits=limits, verify=verify), **HELPLESS)
    for _ in range(5):
        checkout.kill_in = 7
        with pytest.raises(Killed):
            checkout.run("5m")

    checkout.run("30m")

    assert len(checkout.effects) == 3
    assert len(checkout.tokens) == 3


def test_the_budget_comes_back_when_its_period_ends() -> None:
    """R3: a period begins with its first action."""
    limits = {"cooldown": "1s", "budget": {"actions": 1, "per": "10m"}}
    checkout = world(spec=spec(limits=limits))
    checkout.run("1m")
    checkout.sick.add("checkout-2")
    checkout.run("10s")
    assert (blocked(checkout), checkout.status.phase) == ("BudgetSpent", Phase.BLOCKED)
    assert checkout.status.blocked is not None
    assert checkout.status.blocked.until == checkout.status.budget.resets_at

    checkout.run("10m")

    assert len(checkout.effects) == 2


def test_a_target_rests_after_an_attempt() -> None:
    """R3: the cooldown is in the status, and a restart does not shorten it."""
    checkout = world()
    checkout.run("30s")
    checkout.sick.add("checkout-2")

    status = checkout.run("20s")

    assert len(checkout.effects) == 1
    assert (status.phase, blocked(checkout)) == (Phase.COOLING_DOWN, "CoolingDown")
    assert status.blocked is not None
    assert status.blocked.until == status.cooldown_until
    checkout.run("1m")
    assert len(checkout.effects) == 2


def test_the_next_step_rests_as_well() -> None:
    """R3: a step that did not help does not shorten the rest; telling a human needs none."""
    checkout = world(spec=spec(steps=[{"restartPods": {}}, {"rolloutRestart": {}}]), **HELPLESS)

    checkout.run("80s")

    assert blocked(checkout) == "CoolingDown"
    checkout.run("1m")
    assert [effect.split()[0] for effect in checkout.effects] == ["evict", "restart"]


def test_a_spent_cluster_budget_withdraws_the_intent() -> None:
    """R3: a refused token means that nothing was done, and costs nothing."""
    checkout = world()
    checkout.run("1s")
    checkout.now += timedelta(seconds=1)
    seen = checkout.seen()
    checkout.tokens_of = 0

    checkout.written = decide(checkout.spec, checkout.status, seen, checkout.now).status.wire()
    checkout.reconcile()

    status = checkout.status
    assert checkout.effects == []
    assert (status.attempt, status.in_flight, status.budget.used) == (None, (), 0)
    assert blocked(checkout) == "ClusterBudgetSpent"


def test_a_token_refused_by_a_race_blocks_and_is_asked_for_later() -> None:
    """R3: seen free, refused by the API server: NotStarted, ClusterBudgetSpent, and again after a while."""
    checkout = world()
    checkout.run("1s")
    checkout.now += timedelta(seconds=1)
    first = checkout.decide()
    checkout.written = first.status.wire()
    outcomes = {
        first.actions[0].id: OK,
        first.actions[1].id: Refusal(Verb.REFUSED, "BudgetExhausted", "all are spent"),
    }

    decision = checkout.decide(outcomes)

    assert decision.actions == ()
    assert decision.status.last[0].outcome is Outcome.NOT_STARTED
    assert decision.status.blocked is not None
    assert decision.status.blocked.reason == "ClusterBudgetSpent"
    assert decision.status.budget.used == 0
    checkout.written = decision.status.wire()
    assert not checkout.effects
    assert checkout.run("1m").last[0].outcome is Outcome.RECOVERED


def test_a_clock_set_back_stretches_neither_rest_nor_budget() -> None:
    """R3: times in the status are bounded by the limits they come from."""
    checkout = world()
    checkout.run("30s")
    checkout.now -= timedelta(days=30)

    status = checkout.run("1s")

    assert status.cooldown_until is not None
    assert status.cooldown_until <= checkout.now + MINUTE
    assert status.budget.resets_at is not None
    assert status.budget.resets_at <= checkout.now + 60 * MINUTE


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
