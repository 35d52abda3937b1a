"""Merge patches go there and back (R8), and never over what others wrote."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.merge_patch import apply, difference, merged, named, same, shape

KEYS = st.sampled_from(["a", "b", "c", "d"])
LEAVES = st.booleans() | st.integers(-2, 2) | st.text("xy", max_size=2)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)
PATCHES = st.dictionaries(KEYS, st.none() | VALUES, max_size=4)


@given(DOCUMENTS, DOCUMENTS)
def test_a_difference_applied_gives_what_it_is_a_difference_to(before: dict[str, Any], after: dict[str, Any]) -> None:
    """R8: and so does the way back."""
    forward, back = difference(before, after), difference(after, before)

    assert same(apply(before, forward), after)
    assert same(apply(after, back), before)


@given(DOCUMENTS)
def test_between_a_document_and_itself_there_is_no_difference(document: dict[str, Any]) -> None:
    assert difference(document, document) == {}


@given(DOCUMENTS, DOCUMENTS)
def test_the_fields_of_a_change_tell_whether_it_stands(before: dict[str, Any], after: dict[str, Any]) -> None:
    """R8: read after it they are what it put there, read before it what it found."""
    forward, back = difference(before, after), difference(after, before)
    fields = shape(forward, back)

    assert same(named(after, fields), forward)
    assert same(named(before, fields), back)
    assert fields == shape(back, forward)


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_while_a_change_stands_its_way_back_touches_nothing_else(
    before: dict[str, Any], after: dict[str, Any], others: dict[str, Any]
) -> None:
    """R8: whatever others made of the rest of the object meanwhile is still there."""
    forward, back = difference(before, after), difference(after, before)
    fields = shape(forward, back)
    now = apply(others, forward)
    if not same(named(now, fields), forward):
        return  # somebody's change is in our fields: nothing is put back

    restored = apply(now, back)

    assert same(named(restored, fields), back)
    assert same(apply(restored, forward), now)


@given(DOCUMENTS, PATCHES, PATCHES)
def test_two_patches_merged_do_what_one_after_the_other_does_where_they_do_not_meet(
    document: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    apart = {key: value for key, value in other.items() if key not in one}

    assert same(apply(document, merged(one, apart)), apply(apply(document, one), apart))


def test_an_object_that_others_added_to_no_longer_stands() -> None:
    """R8: to remove the object that a patch made would remove what others put into it."""
    forward, back = {"labels": {"a": "1"}}, {"labels": None}
    now = {"labels": {"a": "1", "theirs": "2"}}

    assert named(now, shape(forward, back)) != forward


def test_a_list_is_one_value() -> None:
    """RFC 7396: lists are replaced as a whole."""
    assert difference({"a": [1, 2]}, {"a": [1, 3]}) == {"a": [1, 3]}


def test_one_and_true_are_not_the_same() -> None:
    """As Python has them equal."""
    assert difference({"a": 1}, {"a": True}) == {"a": True}
    assert not same([0], [False])
