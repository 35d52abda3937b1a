"""RecoveryPolicy: what a human is told, once for each reason, and what goes on afterwards."""

from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery_attempt import Outcome
from homeostat.api.recovery_decision import Delivery
from homeostat.api.recovery_status import Phase
from homeostat.core.condition import condition
from homeostat.core.recovery.seen import Storm
from scenarios.recovery.world import Killed, World, spec

OFTEN = {"cooldown": "10s", "budget": {"actions": 50, "per": "1h"}, "flapping": {"transitions": 20}}
SIX = Storm(wanting=6, limit=5, speaks=True, hold=timedelta(minutes=5))


def world(**changes: Any) -> World:
    made = World(**changes)
    made.reconcile()
    return made


def incidents(made: World) -> list[str]:
    return [record.reason for record in made.status.last if record.outcome is Outcome.ESCALATED]


def fall(made: World, times: int, every: str = "1m") -> None:
    for number in range(times):
        made.sick.add(next(name for name in sorted(made.pods) if name not in made.sick))
        made.run(every)
        assert number < times


# --- R5 -------------------------------------------------------------------------------------------------


def test_an_outage_of_many_pods_is_one_incident_and_no_action() -> None:
    """R5: 8 of 20 fail together: 0 actions, 1 incident, for as long as it lasts."""
    made = world(replicas=20, spec=spec(limits={"maxUnhealthy": "39%"}))
    made.sick |= {f"checkout-{number}" for number in range(8)}

    status = made.run("30m", "5s")

    assert (made.effects, incidents(made), status.phase) == ([], ["TooManyUnhealthy"], Phase.BLOCKED)
    assert made.events.count("Escalated") == 1


def test_an_outage_that_ends_is_followed_by_a_rest_also_when_some_pods_stay_sick() -> None:
    """R5: cooldown after recovery."""
    made = world(replicas=20, spec=spec(limits={"maxUnhealthy": "39%", "cooldown": "1m"}))
    made.sick |= {f"checkout-{number}" for number in range(8)}
    made.run("10s")
    made.sick = {"checkout-1"}

    made.run("50s")
    assert made.effects == []
    made.run("20s")

    assert len(made.effects) == 1


@pytest.mark.parametrize("speaks", [True, False])
def test_in_a_storm_nobody_begins_and_one_tells(*, speaks: bool) -> None:
    """R5: six policies where five may: 0 actions; the one that speaks has the incident."""
    made = world(storm=Storm(6, 5, speaks=speaks))
    made.sick.add("checkout-1")

    status = made.run("10m", "5s")

    assert (made.effects, incidents(made)) == ([], ["Storm"] if speaks else [])
    assert status.blocked is not None
    assert status.blocked.reason == "Storm"


def test_a_storm_holds_for_a_while_after_its_last_moment_and_over_restarts() -> None:
    """R3, R5: its end is in status; no restart shortens it."""
    made = world(storm=SIX)
    made.sick.add("checkout-1")
    made.run("1m")
    made.storm = Storm(wanting=1, limit=5)
    last = made.now

    while not made.effects:
        made.run("1s")

    assert timedelta(minutes=4) < made.now - last <= timedelta(minutes=5, seconds=5)


def test_a_storm_does_not_write_the_status_at_every_look() -> None:
    """The API server has a storm of its own otherwise."""
    made = world(storm=SIX)
    made.sick.add("checkout-1")
    made.run("10s")
    before = made.writes

    made.run("10m", "5s")

    assert made.writes - before < 30


# --- R9 -------------------------------------------------------------------------------------------------


def test_a_target_that_falls_back_is_told_of_once_and_left_alone() -> None:
    """R9: three returns, then one incident; more of it is the same incident for as long as the hold lasts."""
    made = world(spec=spec(limits=OFTEN), replicas=8)
    fall(made, 3)
    assert len(made.effects) == 3
    fall(made, 1)
    made.sick.clear()
    made.run("2m")
    fall(made, 1)

    status = made.status
    assert (len(made.effects), incidents(made)) == (3, ["Ineffective"])
    assert status.blocked is not None
    assert status.blocked.until == status.returns[0] + timedelta(hours=4)
    assert status.escalated is not None
    assert len(status.escalated.tried) == 3


def test_what_was_ineffective_is_tried_again_once_the_hold_is_over() -> None:
    """R9: the policy is not done for: it goes on where it was."""
    limits = OFTEN | {"ineffective": {"count": 2, "window": "5m"}}
    made = world(spec=spec(limits=limits), replicas=8)
    fall(made, 3)
    assert made.status.phase is Phase.BLOCKED

    made.run("6m")

    assert len(made.effects) == 3


# --- R16 ------------------------------------------------------------------------------------------------


def test_a_human_is_told_everything_that_was_tried_and_what_came_of_it() -> None:
    """R16: in the event and on record, oldest first."""
    steps = [{"scale": {"by": "+1"}}, {"restartPods": {}}, {"escalate": {"severity": "High", "summary": "down"}}]
    made = world(spec=spec(steps=steps, limits=OFTEN), scaling_heals=False, eviction_heals=False)
    made.sick.add("checkout-1")

    status = made.run("6m")

    told = status.escalated
    assert told is not None
    assert (told.reason, told.severity.value, told.summary) == ("StepsExhausted", "High", "down")
    assert told.tried == (
        "scale (Scale checkout from 4 to 5, Scale checkout from 5 to 4): Failed, undone",
        "restartPods (EvictPod checkout-1): Failed",
    )
    note = next(note for note in made.notes if note.startswith("High: down"))
    assert all(one in note for one in told.tried)


def test_what_is_left_in_place_is_told() -> None:
    """R8: an undo that did not get through."""
    steps = [{"scale": {"by": "+1"}}, {"escalate": {}}]
    made = world(spec=spec(steps=steps, limits=OFTEN), scaling_heals=False)
    made.sick.add("checkout-1")
    while not (made.status.attempt and made.status.attempt.phase == "Verifying"):
        made.run("1s")
    made.wire_breaks = True

    status = made.run("6m")

    assert status.escalated is not None
    assert "UndoFailed, left in place" in status.escalated.tried[0]


def test_in_mode_observe_it_is_what_would_be_told() -> None:
    """R1: a record and an event of what would be, and no webhook."""
    steps = [{"escalate": {"webhook": {"url": "https://pager.example"}}}]
    made = world(spec=spec(mode="Observe", steps=steps))
    made.sick.add("checkout-1")

    status = made.run("10s")

    assert ("WouldEscalate" in made.events, "Escalated" in made.events) == (True, False)
    assert status.last[0].outcome is Outcome.WOULD_DO
    assert status.escalated is not None
    assert status.escalated.webhook is None


def test_a_webhook_is_put_on_record_as_pending() -> None:
    """R16: whoever delivers it finds it in status."""
    steps = [{"escalate": {"webhook": {"url": "https://pager.example"}}}]
    made = world(spec=spec(steps=steps), wire_breaks=True)
    made.sick.add("checkout-1")

    status = made.run("4s")

    assert status.escalated is not None
    assert status.escalated.webhook is Delivery.PENDING


@pytest.mark.parametrize("kill_in", range(4))
def test_one_incident_has_one_name_however_often_it_is_decided_on(kill_in: int) -> None:
    """R2, R16: killed before or after the write, the record is the same one."""
    made = world(spec=spec(steps=[{"escalate": {}}]))
    other = world(spec=spec(steps=[{"escalate": {}}]))
    for one in (made, other):
        one.sick.add("checkout-1")
    made.run("2s")
    other.run("2s")
    made.kill_in = kill_in
    for _ in range(5):
        try:
            made.run("1s")
        except Killed:
            made.now += timedelta(seconds=1)
    other.run("5s")

    assert [record.id for record in made.status.last] == [record.id for record in other.status.last]
    assert incidents(made) == ["StepsExhausted"]


def test_a_second_incident_of_a_reason_waits_for_the_next_time_it_fires() -> None:
    """R16: quiet in between makes it another one."""
    made = world(spec=spec(steps=[{"escalate": {}}]))
    for _ in range(2):
        made.sick.add("checkout-1")
        made.run("30s")
        made.sick.clear()
        made.run("30s")

    assert incidents(made) == ["StepsExhausted"] * 2
    assert len({record.id for record in made.status.last}) == 2


def test_the_condition_says_whether_a_human_was_told() -> None:
    """R15."""
    made = world(spec=spec(steps=[{"escalate": {"summary": "down"}}]))
    made.sick.add("checkout-1")

    told = condition(made.run("10s").conditions, "Escalated")

    assert told is not None
    assert (told.status, told.message) == (ConditionStatus.TRUE, "down")
