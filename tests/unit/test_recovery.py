"""RecoveryPolicy: it heals what it may, when it knows enough, within its limits, and proves that it helped."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_attempt import ActionName, Change, ObjectId, Outcome
from homeostat.api.recovery_status import Phase, Proof, RecoveryPolicyStatus, SignalState
from homeostat.core.action import EvictPod, TakeLock, TakeToken, Verb
from homeostat.core.action import Outcome as Answer
from homeostat.core.cluster import FreezeInForce, Lock
from homeostat.core.condition import condition
from homeostat.core.decision import Decision
from homeostat.core.recovery import decide, significance
from homeostat.core.recovery.steps.actions import MARKER
from homeostat.core.significance import Significance
from scenarios.recovery.world import NOON, OTHER, SPEC, TARGET, Killed, World, spec

MINUTE = timedelta(minutes=1)
HELPLESS: dict[str, Any] = {"eviction_heals": False}
OK = Answer(Verb.DONE)
CONFLICT = Answer(Verb.REFUSED, "Conflict", "the object changed since the decision")
SCALE = [{"scale": {"by": "+1", "max": 6}}, {"escalate": {}}]


def world(**changes: Any) -> World:
    """Build a world in which checkout-1 has just begun to fail."""
    made = World(**changes)
    made.reconcile()
    made.now += timedelta(seconds=1)
    made.sick.add("checkout-1")
    return made


def intend(made: World) -> Decision[RecoveryPolicyStatus]:
    """Let the operator put an intent on record, and die before it acts."""
    made.run("1s")
    made.now += timedelta(seconds=1)
    decision = made.decide()
    made.written = decision.status.wire()
    assert decision.actions
    return decision


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
    assert len(observe.run("50m", "5s").last) == 5


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
    first = intend(checkout)

    again = checkout.decide()

    assert again.actions == first.actions
    assert again.status == first.status


def test_a_pod_that_is_gone_is_not_evicted_again() -> None:
    """R2: recover by what is seen: the result was lost, the pod is gone."""
    checkout = world()
    intend(checkout)
    del checkout.pods["checkout-1"]

    decision = checkout.decide()

    assert not any(isinstance(action, EvictPod) for action in decision.actions)
    assert decision.status.in_flight[0].phase == "Done"


def test_an_intent_is_not_carried_out_when_a_freeze_has_come_in_between() -> None:
    """R2, R12: all gates are asked again before an action on record is asked for again."""
    checkout = world()
    intend(checkout)
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

    checkout.run("30m", "5s")

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

    checkout.run("10m", "5s")

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


def test_a_token_refused_by_a_race_blocks_and_is_asked_for_later() -> None:
    """R3: seen free, refused by the API server: NotStarted, ClusterBudgetSpent, and again after a while."""
    checkout = world()
    first = intend(checkout)
    outcomes = {
        first.actions[0].id: OK,
        first.actions[1].id: Answer(Verb.REFUSED, "BudgetExhausted", "all are spent"),
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


# --- R7, R8: did it help? -------------------------------------------------------------------------------


def test_a_pod_that_is_sick_again_means_that_the_step_failed_and_a_human_is_told() -> None:
    """R7, R8: the trigger still fires at the deadline: Failed, then the next step."""
    checkout = world(**HELPLESS)

    status = checkout.run("80s")

    assert [record.outcome for record in status.last] == [Outcome.ESCALATED, Outcome.FAILED]
    assert len(checkout.effects) == 1
    assert status.phase is Phase.ESCALATED
    assert status.escalated is not None
    assert status.escalated.summary == "checkout does not recover"
    assert checkout.events == ["Acting", "VerificationFailed", "Escalated"]
    said = condition(status.conditions, "Escalated")
    assert said is not None
    assert said.status is ConditionStatus.TRUE


def test_a_policy_without_an_escalation_tells_a_human_all_the_same() -> None:
    """R8, R16: the last is a human."""
    checkout = world(spec=spec(steps=[{"restartPods": {}}]), **HELPLESS)

    status = checkout.run("80s")

    assert status.phase is Phase.ESCALATED
    assert status.last[0].name == "escalate"


def test_an_escalated_policy_does_nothing_more_until_the_trigger_is_quiet() -> None:
    checkout = world(**HELPLESS)
    checkout.run("1h", "5s")
    assert len(checkout.effects) == 1
    assert checkout.events.count("Escalated") == 1
    checkout.sick.clear()

    status = checkout.run("1s")

    assert (status.phase, status.next_step, status.escalated) == (Phase.IDLE, 0, None)


def test_an_edited_policy_starts_its_steps_over() -> None:
    """A human has looked: the sequence is his, rest and budget are not."""
    checkout = world(**HELPLESS)
    checkout.run("10m", "5s")
    checkout.generation += 1

    status = checkout.run("1s")

    assert len(checkout.effects) == 2
    assert status.budget.used == 2


def test_quiet_must_last_from_stabilisation_on_for_as_long_as_asked() -> None:
    """R7: settled 3 s after the act, 2 s to stabilise, 5 s to hold."""
    checkout = world()
    checkout.run("11s")
    assert checkout.status.phase is Phase.VERIFYING

    assert checkout.run("1s").last[0].outcome is Outcome.RECOVERED


def test_a_relapse_during_verification_starts_the_hold_anew() -> None:
    """R7: without a break."""
    checkout = world()
    checkout.run("10s")
    checkout.verdict = SignalState.FIRING
    checkout.run("2s")
    checkout.verdict = None

    assert checkout.run("4s").phase is Phase.VERIFYING
    assert checkout.run("2s").last[0].outcome is Outcome.RECOVERED


@pytest.mark.parametrize(
    ("circumstances", "reason"),
    [({"dark": True}, "SignalStale"), ({"verdict": SignalState.UNKNOWN}, "SignalUnknown"),
     ({"view_age": MINUTE}, "SignalUnknown")],
)  # fmt: skip
def test_no_data_after_the_act_is_not_recovery(circumstances: dict[str, Any], reason: str) -> None:
    """R7: the signal is gone after the restart: Unverified, not Recovered, and nothing is undone for it."""
    checkout = world()
    checkout.run("3s")
    for name, value in circumstances.items():
        setattr(checkout, name, value)

    status = checkout.run("80s")

    assert (status.last[0].outcome, status.last[0].reason) == (Outcome.UNVERIFIED, reason)
    assert status.stats.recovered == 0
    assert len(checkout.effects) == 1


def test_quiet_that_came_too_late_to_hold_is_unverified() -> None:
    """R7: before the deadline."""
    checkout = world(**HELPLESS)
    checkout.run("64s")
    checkout.sick.clear()

    status = checkout.run("4s")

    assert (status.last[0].outcome, status.last[0].reason) == (Outcome.UNVERIFIED, "HeldTooShort")


def test_an_operator_that_was_away_judges_by_what_held_before_the_deadline() -> None:
    """R7: the check says since when; the deadline has passed while the operator was down."""
    checkout = world()
    checkout.run("8s")
    checkout.look()
    checkout.now += timedelta(minutes=10)

    checkout.reconcile()

    assert checkout.status.last[0].outcome is Outcome.RECOVERED


def test_a_scale_up_that_did_not_help_is_taken_back() -> None:
    """R8: replicas return, the marker goes, and the next step follows."""
    checkout = world(spec=spec(steps=SCALE), scaling_heals=False)
    checkout.run("10s")
    assert (checkout.replicas, set(checkout.annotations)) == (5, {MARKER})

    status = checkout.run("2m")

    assert (checkout.replicas, checkout.annotations) == (4, {})
    assert [effect.split()[:2] for effect in checkout.effects] == [["scale", "5"], ["scale", "4"]]
    assert (status.last[1].outcome, status.last[1].undone) == (Outcome.FAILED, True)
    assert status.phase is Phase.ESCALATED


def test_a_scale_up_that_helped_stays() -> None:
    checkout = world(spec=spec(steps=SCALE))

    status = checkout.run("30s")

    assert (checkout.replicas, status.last[0].outcome) == (5, Outcome.RECOVERED)


def test_a_newer_value_by_another_writer_is_not_taken_back() -> None:
    """R8: an HPA's newer value stays."""
    checkout = world(spec=spec(steps=SCALE), scaling_heals=False)
    checkout.run("10s")
    checkout.resize(9)

    status = checkout.run("80s")

    assert checkout.replicas == 9
    assert (status.last[1].reason, status.last[1].undone) == ("ChangedByAnother", False)


def test_a_step_is_not_taken_back_when_told_so() -> None:
    verify = {"stabilise": "2s", "holdFor": "5s", "deadline": "1m", "onFailure": "NextStep"}
    checkout = world(spec=spec(steps=SCALE, verify=verify), scaling_heals=False)

    status = checkout.run("80s")

    assert (checkout.replicas, status.phase) == (5, Phase.ESCALATED)


def test_nothing_is_taken_back_during_a_freeze() -> None:
    """R12: and after its time the attempt ends as it is, and says so."""
    checkout = world(spec=spec(steps=SCALE), scaling_heals=False)
    checkout.run("10s")
    checkout.freeze = FreezeInForce("outage", ("Recovery",), "provider outage")

    checkout.run("60s")
    assert blocked(checkout) == "Frozen"
    status = checkout.run("2m")

    assert checkout.replicas == 5
    assert (status.last[1].reason, status.last[1].undone) == ("UndoFailed", False)


def test_a_budget_policy_holds_up_no_undo() -> None:
    """R8: a step that made it worse is taken back, however little budget is left."""
    checkout = world(spec=spec(steps=SCALE), scaling_heals=False)
    checkout.run("10s")
    checkout.budget_held_by = "checkout"

    status = checkout.run("80s")

    assert checkout.replicas == 4
    assert status.last[-1].undone


def test_a_budget_policy_holds_up_no_verification() -> None:
    """R7: an attempt under way comes to its end."""
    checkout = world()
    checkout.run("5s")
    assert checkout.effects
    checkout.budget_held_by = "checkout"

    assert checkout.run("1m").last[0].outcome == "Recovered"


def test_an_intent_is_not_carried_out_when_a_budget_policy_has_come_in_between() -> None:
    """R2: all gates are asked again before an action on record is asked for again."""
    checkout = world()
    intend(checkout)
    checkout.budget_held_by = "checkout"

    checkout.run("10s")

    assert checkout.effects == []
    assert blocked(checkout) == "BudgetHeld"


@pytest.mark.parametrize("kill_in", range(6))
def test_a_kill_while_taking_back_takes_back_once(kill_in: int) -> None:
    """R2, R8: the undo is an intent like any other."""
    checkout = world(spec=spec(steps=SCALE), scaling_heals=False)
    while checkout.status.attempt is None or checkout.now < checkout.status.attempt.deadline - timedelta(seconds=1):
        checkout.run("1s")
    checkout.kill_in = kill_in
    with pytest.raises(Killed):
        checkout.run("10s")

    checkout.run("20s")

    assert [effect.split()[:2] for effect in checkout.effects] == [["scale", "5"], ["scale", "4"]]


def test_a_value_changed_between_intent_and_act_is_left_alone() -> None:
    """R8: the intent was for 4 replicas; somebody made it 9 while the operator was down."""
    checkout = world(spec=spec(steps=[{"scale": {"to": 6}}, {"escalate": {}}]))
    intend(checkout)
    checkout.resize(9)

    checkout.reconcile()
    status = checkout.status

    assert (checkout.replicas, checkout.effects) == (9, [])
    assert (status.last[0].outcome, status.last[0].reason) == (Outcome.NOT_STARTED, "TargetChanged")
    assert status.budget.used == 0


def test_a_conflict_is_followed_by_a_fresh_look() -> None:
    """R2: the version moved for another reason: the same action on the version seen now."""
    checkout = world(spec=spec(steps=[{"rolloutRestart": {}}]))
    first = intend(checkout)
    checkout.version += 1
    refused = {first.actions[0].id: OK, first.actions[1].id: OK, first.actions[2].id: CONFLICT}
    decision = checkout.decide(refused)
    assert decision.actions == ()
    assert decision.status.in_flight[0].has_token
    checkout.written = decision.status.wire()

    status = checkout.run("20s")

    assert checkout.effects == [f"restart {first.actions[2].id}"]
    assert status.last[0].outcome is Outcome.RECOVERED


# --- edits and odd worlds -------------------------------------------------------------------------------


def test_a_target_replaced_under_an_attempt_ends_it() -> None:
    """R2: the intent was for another incarnation."""
    checkout = world(wire_breaks=True)
    checkout.run("3s")
    checkout.wire_breaks = False
    seen = checkout.seen()
    assert seen.target is not None
    newer = replace(seen.target, ref=replace(TARGET, uid="newer"))

    decision = decide(checkout.spec, checkout.status, replace(seen, target=newer), checkout.now)

    assert decision.status.last[0].reason == "TargetReplaced"
    assert decision.status.last[0].outcome is Outcome.UNVERIFIED


def test_what_was_changed_of_a_target_that_is_gone_is_forgotten() -> None:
    """R8: nothing is to be put back on the object that has its name now; what was changed elsewhere stays on record."""
    checkout = world(wire_breaks=True)
    checkout.run("3s")
    seen = checkout.seen()
    assert seen.target is not None
    newer = replace(seen.target, ref=replace(TARGET, uid="newer"))
    gone, elsewhere = (
        Change(
            id=uid,
            action=ActionName.SCALE,
            target=ObjectId(kind="Deployment", name="checkout", uid=uid),
            original={"replicas": 2},
            desired={"replicas": 3},
        )
        for uid in (TARGET.uid, "elsewhere")
    )
    status = checkout.status.model_copy(update={"changes": (gone, elsewhere), "tried": (0,)})

    decision = decide(checkout.spec, status, replace(seen, target=newer), checkout.now)

    assert decision.status.changes == (elsewhere,)
    assert (decision.status.next_step, decision.status.tried) == (0, ())


def test_an_attempt_whose_step_was_edited_away_is_verified_and_goes_no_further() -> None:
    """Two pods fail, one is treated, then the step is another."""
    checkout = world(spec=spec(limits={"maxUnhealthy": "100%"}), **HELPLESS)
    checkout.sick.add("checkout-2")
    checkout.run("3s")
    checkout.spec = spec(steps=[{"rolloutRestart": {}}], limits={"maxUnhealthy": "100%"})
    checkout.generation += 1

    status = checkout.run("80s")

    assert [effect.split()[0] for effect in checkout.effects] == ["evict"]
    assert status.last[-1].outcome is Outcome.FAILED


def test_an_attempt_whose_trigger_was_edited_away_is_unverified() -> None:
    """R7: nothing is known of a trigger that is not there."""
    triggers = [{"pods": {"reason": "Pending"}}, {"healthCheck": {"name": "checkout"}}]
    checkout = world(spec=spec(triggers=triggers))
    checkout.run("1s")
    open_attempt = checkout.status.attempt
    assert open_attempt is not None
    moved = open_attempt.model_copy(update={"trigger": 1})
    checkout.written = checkout.status.model_copy(update={"attempt": moved}).wire()
    checkout.spec = spec()

    status = checkout.run("80s")

    assert (status.last[0].outcome, status.last[0].reason) == (Outcome.UNVERIFIED, "SignalUnknown")


def test_a_second_pod_stays_when_the_budget_is_spent_within_an_attempt() -> None:
    """R3, R15: refused in the middle of an attempt, seen, and the first pod is verified all the same."""
    limits = {"maxUnhealthy": "100%", "maxInFlight": 2, "cooldown": "1m", "budget": {"actions": 1, "per": "1h"}}
    checkout = world(spec=spec(limits=limits))
    checkout.sick.add("checkout-2")

    checkout.run("2s")

    assert (len(checkout.effects), blocked(checkout)) == (1, "BudgetSpent")
    assert checkout.run("80s").last[-1].outcome is Outcome.FAILED


def test_a_second_pod_that_cannot_go_does_not_undo_the_first() -> None:
    """R10: the disruption budget closes in the middle of an attempt."""
    checkout = world(spec=spec(limits={"maxUnhealthy": "100%", "maxInFlight": 2}))
    checkout.sick.add("checkout-2")
    first = intend(checkout)
    outcomes = {action.id: checkout.act(action) for action in first.actions}
    checkout.pdb_allows = False
    checkout.written = checkout.decide(outcomes).status.wire()

    checkout.run("5s")
    assert (blocked(checkout), len(checkout.status.in_flight)) == ("PodDisruptionBudget", 2)
    status = checkout.run("4m")

    assert len(checkout.effects) == 1
    assert status.last[-1].targets == ("EvictPod checkout-1",)
    assert status.last[-1].outcome is Outcome.FAILED


def test_a_second_pod_refused_its_token_does_not_end_the_attempt() -> None:
    """R3: what was done is verified."""
    checkout = world(spec=spec(limits={"maxUnhealthy": "100%", "maxInFlight": 2}), tokens_of=1)
    checkout.sick.add("checkout-2")
    first = intend(checkout)
    outcomes = {action.id: checkout.act(action) for action in first.actions}
    checkout.tokens_of = 2
    second = checkout.decide(outcomes)
    checkout.tokens_of = 1
    checkout.written = second.status.wire()
    outcomes = {action.id: checkout.act(action) for action in second.actions[:2]}

    decision = checkout.decide(outcomes)

    assert decision.status.attempt is not None
    assert len(decision.status.in_flight) == 1
    assert decision.status.blocked is not None
    assert decision.status.blocked.reason == "ClusterBudgetSpent"


def test_an_intent_outlives_a_target_that_is_gone_for_a_while() -> None:
    checkout = world(wire_breaks=True)
    checkout.run("3s")
    checkout.wire_breaks, checkout.gone = False, True
    checkout.run("10s")
    assert blocked(checkout) == "TargetNotFound"

    status = checkout.run("2m")

    assert (status.last[0].outcome, status.last[0].reason) == (Outcome.NOT_STARTED, "TargetNotFound")
    assert status.next_step == 0


def test_the_last_drill_is_shown_for_thirty_days() -> None:
    """Proven: a drill within the last 30 days passed."""
    checkout = world()
    said = []
    for verdict, age in ("Passed", 1), ("Failed", 1), ("Passed", 31):
        proof = Proof(experiment="kill-checkout", at=checkout.now - timedelta(days=age), verdict=verdict)
        status = decide(checkout.spec, checkout.status, replace(checkout.seen(), proof=proof), checkout.now).status
        proven = condition(status.conditions, "Proven")
        assert proven is not None
        said.append((proven.status.value, proven.reason))

    assert said == [("True", "DrillPassed"), ("False", "DrillNotPassed"), ("False", "Stale")]


def test_a_policy_at_rest_looks_again_when_its_proof_ends() -> None:
    """C17: nobody else wakes it then."""
    checkout = world(spec=spec(suspend=True))
    ends_at = checkout.now + timedelta(days=3)
    proof = Proof(experiment="kill-checkout", at=ends_at - timedelta(days=30), verdict="Passed")
    seen = replace(checkout.seen(), proof=proof, signals=())
    decision = decide(checkout.spec, checkout.status, seen, checkout.now)
    at_end = decide(checkout.spec, decision.status, replace(seen, proof=None), ends_at)
    of_older = decide(
        checkout.spec, decision.status,
        replace(seen, proof=proof.model_copy(update={"at": proof.at - timedelta(days=1)})), checkout.now,
    )  # fmt: skip

    assert decision.check_again_at == ends_at
    assert condition(at_end.status.conditions, "Proven").reason == "Stale"  # type: ignore[union-attr]
    assert of_older.status.proof == proof


def test_a_policy_with_a_problem_is_not_evaluated() -> None:
    """It fails closed, whole."""
    checkout = world()
    checkout.run("1s")
    checkout.now += timedelta(seconds=1)
    seen = replace(checkout.seen(), problem=("NotImplemented", "spec.steps[0].drain"))

    decision = decide(checkout.spec, checkout.status, seen, checkout.now)

    ready = condition(decision.status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, "NotImplemented")
    assert (decision.actions, decision.status.attempt) == ((), None)


def test_only_wording_is_not_worth_a_write_of_its_own() -> None:
    checkout = world(lock=Lock(OTHER, NOON + MINUTE))
    before = checkout.run("10s")
    checkout.lock = Lock(OTHER, NOON + 2 * MINUTE)
    checkout.look()

    after = checkout.decide().status

    assert after.blocked is not None
    assert significance(before, before) is Significance.NOTHING
    assert significance(before, after) is Significance.REFRESH
    assert significance(before, after.model_copy(update={"blocked": None})) is Significance.CHANGE


def test_a_policy_looks_again_when_its_data_would_be_too_old() -> None:
    """R12: staleness is seen although nobody tells of it."""
    quiet = World()

    decision = quiet.reconcile()

    assert decision.check_again_at == NOON + timedelta(seconds=10, milliseconds=50)


def test_pods_are_looked_at_every_five_seconds_and_an_open_attempt_every_second() -> None:
    quiet = World(spec=spec(triggers=[{"pods": {"reason": "NotReady"}}]))
    assert quiet.reconcile().check_again_at == NOON + timedelta(seconds=5)
    checkout = world()
    checkout.run("3s")

    assert checkout.decide().check_again_at == checkout.now + timedelta(seconds=1)
