"""Pushed events are counted as they are said, or refused with the entry that is to blame; never in part."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON
from homeostat.core.objective.pushing import Batch, Count, PushReason, Refused, group_of, read_batch

MINUTE = int(NOON.timestamp()) // 60


def read(*events: Any, key: Any = None, header: str = "", group_by: tuple[str, ...] = ()) -> Batch | Refused:
    body = {"events": list(events)} | ({} if key is None else {"key": key})
    return read_batch(body, header, group_by, NOON)


def taken(*events: Any, **options: Any) -> Batch:
    found = read(*events, **options)
    assert isinstance(found, Batch), found
    return found


def refusal(*events: Any, **options: Any) -> tuple[PushReason, int | None]:
    found = read(*events, **options)
    assert isinstance(found, Refused), found
    return found.reason, found.index


def test_events_are_counted_in_the_minute_they_happened() -> None:
    batch = taken({"good": 120, "bad": 3}, {"good": 7, "at": "2026-11-21T11:58:30Z"}, {"bad": 1})

    assert set(batch.counts) == {Count("", MINUTE, 4, 124), Count("", MINUTE - 2, 0, 7)}
    assert batch.entries == 3


def test_no_events_at_all_are_data_too() -> None:
    """S5: zero traffic is not missing data."""
    assert taken({"good": 0, "bad": 0}).counts == (Count("", MINUTE, 0, 0),)


@pytest.mark.parametrize(
    ("at", "minute"),
    [
        ("2026-11-21T12:00:00+00:00", MINUTE),
        ("2026-11-21T13:00:00+01:00", MINUTE),
        ("2026-11-21T11:59:59.999Z", MINUTE - 1),
        ("2026-11-21T12:01:00Z", MINUTE),  # a clock that runs ahead
        ("2026-11-21T06:00:00Z", MINUTE - 360),
        (None, MINUTE),
    ],
)
def test_a_time_may_be_in_any_zone_and_a_little_ahead(at: str | None, minute: int) -> None:
    assert taken({"good": 1, "at": at}).counts[0].minute == minute


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2026-11-21T12:01:01Z", PushReason.TIME_OUT_OF_REACH),
        ("2026-11-21T05:59:59Z", PushReason.TIME_OUT_OF_REACH),
        ("9999-12-31T23:59:59-23:59", PushReason.INVALID_TIME),
        ("0001-01-01T00:00:00+23:59", PushReason.INVALID_TIME),
        ("2026-11-21T12:00:00", PushReason.INVALID_TIME),  # of which zone?
        ("2026-11-21", PushReason.INVALID_TIME),
        ("yesterday", PushReason.INVALID_TIME),
        ("", PushReason.INVALID_TIME),
        (1795262400, PushReason.INVALID_TIME),
        (True, PushReason.INVALID_TIME),
        ({}, PushReason.INVALID_TIME),
    ],
)
def test_a_time_that_cannot_be_counted_in_is_refused(at: Any, reason: PushReason) -> None:
    assert refusal({"good": 1}, {"good": 1, "at": at}) == (reason, 1)


@pytest.mark.parametrize(
    "count", [-1, 1.5, 1_000_000_001, 10**400, float("nan"), float("inf"), "3", True, None, [], {}, -0.1, 1e9 + 1]
)
def test_a_count_is_a_whole_number_within_bounds(count: Any) -> None:
    assert refusal({"good": 1, "bad": 1}, {"good": 1, "bad": count}) == (PushReason.INVALID_COUNT, 1)
    assert refusal({"good": count}) == (PushReason.INVALID_COUNT, 0)


@pytest.mark.parametrize("count", [0, 1_000_000_000, 3.0, 1e9])
def test_a_whole_number_may_be_written_either_way(count: float) -> None:
    assert taken({"good": count}).counts[0].total == int(count)


@pytest.mark.parametrize(
    "entry", [{}, [], None, 3, "good", {"at": "2026-11-21T12:00:00Z"}, {"goods": 1}, {"good": 1, "x": 1}]
)
def test_an_entry_that_says_something_else_is_refused(entry: Any) -> None:
    """A misspelt field would be events that nobody counts."""
    assert refusal({"good": 1}, entry) == (PushReason.INVALID_ENTRY, 1)


def test_a_field_that_is_not_known_is_named() -> None:
    """It cannot command a terminal, and has an end."""
    messages = [
        found.message
        for found in (
            read({"good": 1, "badd": 1}),
            read({"good": 1, "\x1b[2J" + "x" * 500: 1}),
            read_batch({"events": [{"good": 1}], "kye": "a"}, "", (), NOON),
        )
        if isinstance(found, Refused)
    ]

    assert [message.rpartition(": ")[2] for message in messages] == [
        '"badd" is not known.', f'"?[2J{"x" * 60}" is not known.', '"kye" is not known.',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [None, [], {}, "events", {"events": []}, {"events": {}}, {"events": None}, {"events": [{"good": 1}], "x": 1}],
)
def test_a_body_that_is_no_batch_is_refused(body: Any) -> None:
    found = read_batch(body, "", (), NOON)

    assert isinstance(found, Refused)
    assert (found.reason, found.index) == (PushReason.INVALID_BODY, None)


def test_a_batch_has_a_thousand_entries_at_most() -> None:
    assert taken(*[{"good": 1}] * 1000).counts == (Count("", MINUTE, 0, 1000),)
    assert refusal(*[{"good": 1}] * 1001) == (PushReason.TOO_MANY_ENTRIES, None)


# --- keys -----------------------------------------------------------------------------------------------


def test_a_key_comes_by_header_or_body_or_not_at_all() -> None:
    assert taken({"good": 1}, header="a").key == "a"
    assert taken({"good": 1}, key="b c").key == "b c"
    assert taken({"good": 1}, key="c", header="c").key == "c"
    assert taken({"good": 1}).key == ""


@pytest.mark.parametrize("key", ["", " a", "a ", "é", "a\n", "a\0b", "x" * 129, 3, True, [], "\ud800"])
def test_a_key_that_cannot_be_kept_is_refused(key: Any) -> None:
    assert refusal({"good": 1}, key=key) == (PushReason.INVALID_KEY, None)


def test_two_keys_for_one_batch_are_refused() -> None:
    assert refusal({"good": 1}, key="a", header="b") == (PushReason.INVALID_KEY, None)


# --- groups ---------------------------------------------------------------------------------------------


def test_a_group_is_named_by_its_labels_in_order() -> None:
    labels = {"route": "/pay", "region": "eu"}
    batch = taken({"good": 2, "labels": labels}, {"bad": 1, "labels": labels}, group_by=("route", "region"))

    assert batch.counts == (Count("region=eu,route=/pay", MINUTE, 1, 3),)
    assert batch.groups == {"region=eu,route=/pay": 0}


@pytest.mark.parametrize(
    "labels",
    [None, {}, {"region": "eu"}, {"region": "eu", "route": "/", "x": ""}, [], "region=eu", {"region": "eu", "x": "/"}],
)
def test_labels_must_be_those_of_the_objective(labels: Any) -> None:
    assert refusal({"good": 1, "labels": labels}, group_by=("region", "route")) == (PushReason.LABELS_DIFFER, 0)


def test_labels_of_an_objective_without_groups_are_refused() -> None:
    assert refusal({"good": 1, "labels": {"region": "eu"}}) == (PushReason.LABELS_DIFFER, 0)
    assert taken({"good": 1, "labels": {}}).counts[0].group == ""


@pytest.mark.parametrize("value", ["", "x" * 129, "a,b", "a\nb", "a\0", "\u202e", "\ud800", 3, None, True, []])
def test_a_value_that_cannot_name_a_group_is_refused(value: Any) -> None:
    assert refusal({"good": 1, "labels": {"region": value}}, group_by=("region",)) == (PushReason.INVALID_LABEL, 0)


def test_the_name_of_a_group_is_bounded() -> None:
    labels = dict.fromkeys(("a", "b", "c"), "x" * 100)

    assert refusal({"good": 1, "labels": labels}, group_by=("a", "b", "c")) == (PushReason.INVALID_LABEL, 0)


VALUES = st.text(st.characters(exclude_characters=",", exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES}), min_size=2, max_size=2))
def test_two_groups_never_have_one_name(labels: list[dict[str, str]]) -> None:
    assert (group_of(labels[0]) == group_of(labels[1])) is (labels[0] == labels[1])


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["events", "key", "good", "bad", "at", "labels", "region"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON, st.text(max_size=5))
def test_whatever_is_said_there_is_an_answer(body: Any, header: str) -> None:
    found = read_batch(body, header, ("region",), NOON)

    assert isinstance(found, Batch | Refused)
    json.dumps(found.message if isinstance(found, Refused) else found.key)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 300)), min_size=1, max_size=20))
def test_nothing_is_counted_twice_or_lost(events: list[tuple[int, int, int]]) -> None:
    batch = taken(
        *({"good": good, "bad": bad, "at": (NOON - timedelta(minutes=ago)).isoformat()} for good, bad, ago in events)
    )

    assert sum(count.total for count in batch.counts) == sum(good + bad for good, bad, _ in events)
    assert sum(count.bad for count in batch.counts) == sum(bad for _, bad, _ in events)
