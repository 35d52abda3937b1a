"""Conditions: one entry a type, in a stable order, timed by its status alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.meta import Condition, ConditionStatus
from homeostat.core.condition import LONGEST_MESSAGE, condition, set_condition

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE

changes = st.lists(
    st.tuples(st.sampled_from(["Ready", "Healthy", "Acting"]), st.sampled_from(ConditionStatus), st.text(max_size=5)),
    max_size=20,
)


def test_a_new_condition_is_appended_with_the_time_it_was_first_seen() -> None:
    conditions = set_condition((), "Ready", TRUE, "Accepted", "Evaluated.", 3, NOON)

    assert conditions == (
        Condition(
            type="Ready",
            status=TRUE,
            observed_generation=3,
            last_transition_time=NOON.replace(microsecond=0),
            reason="Accepted",
            message="Evaluated.",
        ),
    )


def test_a_new_message_or_reason_leaves_the_transition_time_alone() -> None:
    before = set_condition((), "Ready", FALSE, "NoTarget", "Not there.", 1, NOON)
    after = set_condition(before, "Ready", FALSE, "NotImplemented", "Not yet.", 2, NOON + timedelta(hours=1))

    assert after[0].last_transition_time == before[0].last_transition_time
    assert (after[0].reason, after[0].message, after[0].observed_generation) == (
        "NotImplemented",
        "Not yet.",
        2,
    )


def test_a_condition_survives_the_wire_unchanged() -> None:
    entry = set_condition((), "Ready", TRUE, "Accepted", "", 1, NOON)[0]

    assert Condition.model_validate(entry.wire()) == entry


def test_an_overlong_message_is_cut_rather_than_refused() -> None:
    entry = set_condition((), "Ready", TRUE, "Accepted", "x" * (LONGEST_MESSAGE + 1), 1, NOON)[0]

    assert len(entry.message) == LONGEST_MESSAGE


def test_a_condition_that_was_never_set_is_not_found() -> None:
    assert condition((), "Ready") is None


@given(changes)
def test_any_history_keeps_one_entry_a_type_in_order_of_first_sight_timed_by_its_status(
    history: list[tuple[str, ConditionStatus, str]],
) -> None:
    """A condition's transition time moves only when its status moves; no flapping order."""
    conditions: tuple[Condition, ...] = ()
    moved: dict[str, datetime] = {}
    last: dict[str, ConditionStatus] = {}
    for minute, (kind, status, message) in enumerate(history):
        now = NOON.replace(microsecond=0) + timedelta(minutes=minute)
        conditions = set_condition(conditions, kind, status, "Because", message, minute, now)
        if last.get(kind) != status:
            moved[kind] = now
        last[kind] = status

    assert [entry.type for entry in conditions] == list(moved)
    assert {entry.type: entry.last_transition_time for entry in conditions} == moved
    assert {entry.type: entry.status for entry in conditions} == last
