"""Freeze: a latch with a reason that stops chaos, recovery or both (C9)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from homeostat.api.freeze import MOST_LISTED, Activity, FreezeSpec, FreezeStatus, StoppedObject
from homeostat.api.meta import ConditionStatus
from homeostat.core.cluster import FreezeInForce
from homeostat.core.condition import condition
from homeostat.core.freeze import LOOK_AGAIN, FreezeReason, FreezeSeen, decide, in_force
from homeostat.core.ref import Ref

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
HOUR = timedelta(hours=1)
FREEZE = Ref("Freeze", "", "outage", "uid-1")
SEEN = FreezeSeen(ref=FREEZE, generation=4)
CHAOS, RECOVERY = Activity.CHAOS, Activity.RECOVERY
EXPERIMENT = Ref("ChaosExperiment", "shop", "kill", "uid-2")
POLICY = Ref("RecoveryPolicy", "shop", "restart", "uid-3")

specs = st.builds(
    FreezeSpec,
    stops=st.sets(st.sampled_from(Activity), min_size=1).map(tuple),
    reason=st.just("outage"),
    until=st.none() | st.integers(-5, 5).map(lambda hours: NOON + hours * HOUR),
    namespaces=st.lists(st.sampled_from(["shop", "bank"]), unique=True).map(tuple),
)
helds = st.lists(st.sampled_from([EXPERIMENT, POLICY])).map(tuple)


def freeze(*stops: Activity, until: datetime | None = None, namespaces: tuple[str, ...] = ()) -> FreezeSpec:
    return FreezeSpec(stops=stops or (CHAOS, RECOVERY), reason="outage", until=until, namespaces=namespaces)


def test_a_freeze_without_an_end_is_in_force_until_it_is_deleted() -> None:
    """C9: a latch with a reason."""
    freezes = [("outage", freeze())]

    assert in_force(freezes, "shop", CHAOS, NOON) == FreezeInForce("outage", ("Chaos", "Recovery"), "outage")
    assert in_force(freezes, "shop", CHAOS, NOON + 10_000 * HOUR) is not None
    assert in_force([], "shop", CHAOS, NOON) is None


def test_a_freeze_ends_at_its_time() -> None:
    freezes = [("outage", freeze(until=NOON))]

    assert in_force(freezes, "shop", CHAOS, NOON - timedelta(microseconds=1)) is not None
    assert in_force(freezes, "shop", CHAOS, NOON) is None


def test_a_freeze_stops_only_what_it_names() -> None:
    assert in_force([("f", freeze(RECOVERY))], "shop", CHAOS, NOON) is None
    assert in_force([("f", freeze(RECOVERY))], "shop", RECOVERY, NOON) is not None


def test_a_freeze_of_namespaces_holds_in_those_alone() -> None:
    freezes = [("f", freeze(namespaces=("shop",)))]

    assert in_force(freezes, "shop", CHAOS, NOON) is not None
    assert in_force(freezes, "bank", CHAOS, NOON) is None
    assert in_force(freezes, "", CHAOS, NOON) is None


def test_of_several_freezes_the_one_that_ends_last_is_named() -> None:
    short, long = ("a", freeze(until=NOON + HOUR)), ("b", freeze(until=NOON + 2 * HOUR))
    endless, twin = ("d", freeze()), ("c", freeze())

    names = [in_force(freezes, "shop", CHAOS, NOON) for freezes in ([short, long], [long, endless, short, twin])]

    assert [found and (found.name, found.until) for found in names] == [("b", NOON + 2 * HOUR), ("c", None)]


def test_a_freeze_engages_at_once_says_so_once_and_looks_again() -> None:
    first = decide(freeze(), FreezeStatus(), SEEN, NOON)
    second = decide(freeze(), first.status, SEEN, NOON + HOUR)

    assert first.status.engaged
    assert first.status.since == NOON.replace(microsecond=0)
    assert [event.reason for event in first.events] == ["Engaged"]
    assert "outage" in first.events[0].note
    assert second.status == first.status
    assert second.events == ()
    assert first.status.observed_generation == 4
    assert first.check_again_at == NOON + LOOK_AGAIN


def test_a_freeze_wakes_up_to_end_by_its_time_and_says_so_once() -> None:
    end = NOON + LOOK_AGAIN / 2
    first = decide(freeze(until=end), FreezeStatus(), SEEN, NOON)
    second = decide(freeze(until=end), first.status, SEEN, end)
    third = decide(freeze(until=end), second.status, SEEN, end + HOUR)

    assert first.check_again_at == end
    engaged = condition(second.status.conditions, "Engaged")
    assert engaged is not None
    assert (engaged.status, engaged.reason) == (ConditionStatus.FALSE, FreezeReason.EXPIRED)
    assert [event.reason for event in second.events] == ["Disengaged"]
    assert second.check_again_at is None
    assert (third.status, third.events) == (second.status, ())


def test_what_was_stopped_stays_on_record_after_it_is_let_go_and_after_the_end() -> None:
    """C9: stopped runs never resume by themselves, so the record tells which to run again."""
    spec = freeze(until=NOON + HOUR)
    first = decide(spec, FreezeStatus(), FreezeSeen(FREEZE, 1, (EXPERIMENT,)), NOON).status
    second = decide(spec, first, FreezeSeen(FREEZE, 1, (POLICY, EXPERIMENT)), NOON).status
    ended = decide(spec, second, FreezeSeen(FREEZE, 1), NOON + HOUR).status

    assert ended.stopped == (
        StoppedObject(kind="ChaosExperiment", namespace="shop", name="kill"),
        StoppedObject(kind="RecoveryPolicy", namespace="shop", name="restart"),
    )


def test_a_freeze_that_comes_into_force_anew_starts_a_new_record() -> None:
    status = decide(freeze(), FreezeStatus(), FreezeSeen(FREEZE, 1, (EXPERIMENT,)), NOON).status
    status = decide(freeze(until=NOON), status, SEEN, NOON).status
    again = decide(freeze(until=NOON + 3 * HOUR), status, SEEN, NOON + HOUR)

    assert again.status.stopped == ()
    assert again.status.since == (NOON + HOUR).replace(microsecond=0)
    assert [event.reason for event in again.events] == ["Engaged"]


def test_the_record_is_bounded() -> None:
    crowd = tuple(Ref("RecoveryPolicy", "shop", f"p{number}", "") for number in range(3 * MOST_LISTED))

    assert len(decide(freeze(), FreezeStatus(), FreezeSeen(FREEZE, 1, crowd), NOON).status.stopped) == MOST_LISTED


def test_a_freeze_that_stops_nothing_is_no_freeze() -> None:
    with pytest.raises(ValidationError):
        FreezeSpec(stops=(), reason="outage")


@given(specs, specs, helds, helds, st.integers(0, 7200))
def test_a_decision_is_idempotent_survives_the_wire_and_wakes_later(
    before: FreezeSpec, spec: FreezeSpec, first: tuple[Ref, ...], held: tuple[Ref, ...], seconds: int
) -> None:
    old = decide(before, FreezeStatus(), FreezeSeen(FREEZE, 1, first), NOON).status
    now, seen = NOON + timedelta(seconds=seconds), FreezeSeen(FREEZE, 2, held)
    decision = decide(spec, old, seen, now)

    assert decide(spec, decision.status, seen, now).status == decision.status
    assert FreezeStatus.model_validate(decision.status.wire()) == decision.status
    assert decision.check_again_at is None or decision.check_again_at > now
    assert decision.status.engaged == any(in_force([("f", spec)], "shop", what, now) for what in Activity) or bool(
        spec.namespaces and "shop" not in spec.namespaces
    )
