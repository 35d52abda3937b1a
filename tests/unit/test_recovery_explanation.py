"""The chain of gates as it is shown, and the decision on record: both say what decides, no more and no less."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from homeostat.api.recovery_decision import DecisionRecord, Verdict
from homeostat.api.recovery_status import SignalState
from homeostat.core.cluster import FreezeInForce
from homeostat.core.recovery import decide
from homeostat.core.recovery.explaining import explained
from homeostat.core.recovery.gates.chain import TO_ACT, TO_ASK_AGAIN, TO_GO_ON, TO_TELL, TO_UNDO, name_of
from homeostat.core.recovery.gates.explanation import TRIGGERED, GateAnswer
from homeostat.core.recovery.reasons import REFUSALS, BlockReason
from homeostat.core.recovery.seen import Case
from scenarios.recovery.world import NOON, TARGET, World, spec
from unit.test_recovery_limits import REFUSALS as CIRCUMSTANCES
from unit.test_recovery_limits import world
from unit.test_recovery_properties import Case as Drawn
from unit.test_recovery_properties import cases

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recovery.md"
OF_GATES = [(reason, circumstances) for reason, circumstances in CIRCUMSTANCES if reason not in REFUSALS]
"""The API server refuses nothing that nobody asks for."""
HELPLESS: dict[str, Any] = {"eviction_heals": False}


def first_refusal(answers: Sequence[GateAnswer]) -> GateAnswer | None:
    """Give the refusal that counts."""
    return next((answer for answer in answers if not answer.passed), None)


def case_of(made: World) -> Case:
    return Case(made.spec, made.status, made.seen(), made.now)


def names(made: World) -> list[str]:
    """Name the gates that refuse."""
    return [answer.name for answer in explained(case_of(made)).answers if not answer.passed]


def decided(made: World) -> DecisionRecord:
    record = made.status.decision
    assert record is not None
    return record


# --- the order ------------------------------------------------------------------------------------------


def test_the_page_lists_the_gates_in_the_order_in_which_they_are_asked() -> None:
    section = PAGE.read_text().partition("## The chain of gates\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)

    assert [row[0] for row in rows] == [name_of(gate) for gate in TO_ACT]


def test_a_gate_has_a_name_of_its_own_and_the_same_place_in_every_chain() -> None:
    """An override and a record name it."""
    order = [name_of(gate) for gate in TO_GO_ON]

    assert len({name_of(gate) for gate in {*TO_ACT, *order_of_all()}}) == len({*TO_ACT, *order_of_all()})
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in order)
    asked_again = [name_of(gate) for gate in TO_ASK_AGAIN]
    assert asked_again == [name for name in order if name in asked_again]


def order_of_all() -> set[Any]:
    return {*TO_GO_ON, *TO_ASK_AGAIN, *TO_TELL, *TO_UNDO}


# --- explaining -----------------------------------------------------------------------------------------


def test_all_gates_are_asked_and_not_only_up_to_the_first_refusal() -> None:
    checkout = world(freeze=FreezeInForce("outage", ("Recovery",), "provider outage"), paused=True, namespace_ends=True)
    checkout.run("5s")

    told = explained(case_of(checkout))

    assert [answer.name for answer in told.answers] == [TRIGGERED, *(name_of(gate) for gate in TO_ACT)]
    assert names(checkout) == ["frozen", "namespace_terminating", "target_paused"]
    refusal = first_refusal(told.answers)
    assert refusal is not None
    assert (refusal.reason, refusal.message) == ("Frozen", "Freeze outage: provider outage")


def test_a_quiet_policy_says_that_nothing_fires_and_the_rest_all_the_same() -> None:
    quiet = World(freeze=FreezeInForce("outage", ("Recovery",), "provider outage"))
    quiet.reconcile()

    told = explained(case_of(quiet))

    assert told.signal is None
    assert told.answers[0].reason == "NotFiring"
    assert "frozen" in names(quiet)


def test_a_trigger_that_fires_for_too_short_a_time_says_until_when() -> None:
    checkout = world()
    checkout.reconcile()

    answer = explained(case_of(checkout)).answers[0]

    assert (answer.passed, answer.reason) == (False, "NotYet")
    assert answer.until == checkout.now + timedelta(seconds=2)


def test_a_human_is_told_through_fewer_gates() -> None:
    checkout = world(spec=spec(steps=[{"escalate": {}}]))
    checkout.now += timedelta(seconds=5)

    told = explained(case_of(checkout))

    assert [answer.name for answer in told.answers] == [TRIGGERED, *(name_of(gate) for gate in TO_TELL)]
    assert told.step.escalate is not None


@given(cases)
def test_the_first_refusal_that_is_explained_is_the_block_that_is_decided(case: Drawn) -> None:
    """R15: explain and decide never disagree; explaining is total."""
    policy, status, seen = case
    before = Case(policy, status, seen, NOON)
    explained(before)
    if seen.problem:
        return
    after = decide(policy, status, seen, NOON).status
    told = explained(Case(policy, after, seen, NOON))
    refusal = first_refusal(told.answers)
    blocked = after.blocked
    is_over = after.escalated is not None and after.escalated.is_last
    if after.attempt or told.signal is None or is_over:
        return
    if blocked and not told.answers[0].passed:  # `for` is not over: only what holds at any time is told already
        assert blocked.reason in {answer.reason for answer in told.answers}
    elif blocked:
        assert refusal is not None
        assert (refusal.reason, refusal.message, refusal.until) == (blocked.reason, blocked.message, blocked.until)
    else:
        assert refusal is None or refusal.name == TRIGGERED or refusal.reason in REFUSALS


# --- the decision on record -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps", [None, [{"scale": {"by": "+1", "max": 6}}], [{"rolloutRestart": {}}]], ids=["evict", "scale", "rollout"]
)
def test_observe_and_auto_have_the_same_decision_on_record_but_for_one_word(steps: list[dict[str, Any]] | None) -> None:
    """R1: identical decision records; zero writes on the target in Observe."""
    edits = {"steps": steps} if steps else {}
    auto, observe = world(spec=spec(**edits)), world(spec=spec(mode="Observe", **edits))

    auto.run("2s")
    observe.run("2s")

    assert (decided(auto).verdict, decided(observe).verdict) == (Verdict.ACT, Verdict.WOULD_ACT)
    assert decided(auto).model_copy(update={"verdict": Verdict.WOULD_ACT, "id": "x"}) == decided(observe).model_copy(
        update={"id": "x"}
    )
    assert decided(auto).does
    assert observe.effects == []


@pytest.mark.parametrize(("reason", "circumstances"), OF_GATES, ids=[one.value for one, _ in OF_GATES])
def test_observe_is_refused_like_auto(reason: BlockReason, circumstances: dict[str, Any]) -> None:
    """R1, R15: the refusals are the same records too."""
    auto = world(**circumstances)
    observe = world(**circumstances)
    observe.spec = observe.spec.model_copy(update={"mode": "Observe"})

    auto.run("10s")
    observe.run("10s")

    assert decided(auto) == decided(observe)
    assert (decided(auto).verdict, decided(auto).reason) == (Verdict.REFUSE, reason)
    assert decided(auto).gate


def test_a_decision_is_on_record_once_however_often_it_is_made() -> None:
    """R15: since when, and not how often."""
    checkout = world(freeze=FreezeInForce("outage", ("Recovery",), "provider outage"))
    checkout.run("5s")
    first = decided(checkout)

    checkout.run("10m", "5s")

    assert decided(checkout) == first
    assert (first.verdict, first.gate, first.reason) == (Verdict.REFUSE, "frozen", "Frozen")


def test_decisions_follow_one_another_as_the_world_turns() -> None:
    checkout = world()
    found = []
    for _ in range(30):
        checkout.run("1s")
        found += [decided(checkout)] if decided(checkout) not in found else []

    assert [record.verdict for record in found] == [Verdict.WAIT, Verdict.ACT]
    assert found[1].id == checkout.status.last[0].id
    assert (found[1].target, found[1].name, found[1].does) == (
        "Deployment/checkout",
        "restartPods",
        "EvictPod checkout-1",
    )


def test_what_the_api_server_refuses_has_no_gate() -> None:
    """R10, R15: all gates let it pass; the PodDisruptionBudget did not."""
    checkout = world(pdb_allows=False)

    checkout.run("10s")

    assert (decided(checkout).verdict, decided(checkout).gate) == (Verdict.REFUSE, "")
    assert decided(checkout).reason == "PodDisruptionBudget"


def test_that_a_human_was_told_is_on_record() -> None:
    """R16."""
    checkout = world(**HELPLESS)

    checkout.run("80s")

    assert decided(checkout).verdict is Verdict.ESCALATE
    assert "checkout does not recover" in decided(checkout).does


def test_the_rest_after_an_action_is_no_decision_of_its_own_but_a_new_trigger_in_it_is() -> None:
    observe, auto = world(spec=spec(mode="Observe")), world()
    observe.run("10s")
    assert decided(observe).verdict is Verdict.WOULD_ACT
    auto.run("20s")
    auto.sick.add("checkout-2")

    auto.run("5s")

    assert (decided(auto).verdict, decided(auto).gate) == (Verdict.REFUSE, "cooling_down")


def test_blindness_is_on_record() -> None:
    """R12, R15."""
    checkout = world(verdict=SignalState.UNKNOWN)

    checkout.run("10s")

    assert (decided(checkout).verdict, decided(checkout).gate) == (Verdict.REFUSE, "signal_missing")


# --- R15: on the target too -----------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "circumstances"), CIRCUMSTANCES, ids=[one.value for one, _ in CIRCUMSTANCES])
def test_a_refusal_is_told_once_on_the_target_that_is_there(reason: BlockReason, circumstances: dict[str, Any]) -> None:
    """R15: deduplicated, with the policy's name and the reason, and since when on the policy."""
    checkout = world(**circumstances)

    status = checkout.run("15s")

    told = [(ref, note) for ref, note in checkout.told_of if reason.value in note]
    there = [] if reason is BlockReason.TARGET_NOT_FOUND else [TARGET]
    assert [ref for ref, _ in told] == there
    assert all(note.startswith("RecoveryPolicy restart-checkout does nothing: ") for _, note in told)
    assert status.blocked is not None
    assert status.blocked.since <= NOON + timedelta(seconds=3)


def test_a_refusal_that_comes_back_is_told_again() -> None:
    checkout = world(freeze=FreezeInForce("outage", ("Recovery",), "provider outage"))
    checkout.run("5s")
    checkout.freeze = None
    checkout.sick.clear()
    checkout.run("5s")
    checkout.freeze = FreezeInForce("outage", ("Recovery",), "provider outage")
    checkout.sick.add("checkout-1")

    checkout.run("5s")

    assert [ref for ref, _ in checkout.told_of] == [TARGET, TARGET]


def test_a_refusal_about_a_node_names_the_node() -> None:
    """R15: cluster-scoped targets are told of too."""
    node = replace(TARGET, kind="Node", namespace="", name="worker-1")
    checkout = world(freeze=FreezeInForce("outage", ("Recovery",), "provider outage"))
    checkout.run("1s")
    checkout.now += timedelta(seconds=5)
    seen = checkout.seen()
    assert seen.target is not None

    decision = decide(
        checkout.spec, checkout.status, replace(seen, target=replace(seen.target, ref=node)), checkout.now
    )

    assert node in [event.about for event in decision.events]


def test_a_policy_that_cannot_be_evaluated_tells_so_once() -> None:
    """R15: it must not pass for one at rest."""
    nowhere = [{"days": ["Mon"], "from": "09:00", "to": "10:00", "timeZone": "No/Where"}]
    checkout = World(spec=spec(windows=nowhere))

    status = checkout.run("10s")

    assert status.blocked is not None
    assert status.blocked.reason == "InvalidTimeZone"
    assert checkout.events == ["Blocked"]
    assert [ref for ref, _ in checkout.told_of] == [TARGET]


def test_a_run_by_hand_is_a_decision_on_record() -> None:
    """What is overridden is on it."""
    checkout = world(freeze=None)
    checkout.sick.clear()
    checkout.ask(run='{"id": "r1", "step": "rolloutRestart", "reason": "tired of waiting"}')
    checkout.spec = spec(steps=[{"restartPods": {}}, {"rolloutRestart": {}}])

    checkout.run("2s")

    assert (decided(checkout).verdict, decided(checkout).name, decided(checkout).step) == (
        Verdict.ACT,
        "rolloutRestart",
        1,
    )
    assert decided(checkout).does.startswith("RestartRollout")
