"""What goes back when a fault is taken off: field by field, by what stands there now."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.chaos import MARKER
from homeostat.core.action import HoldFields
from homeostat.core.guarding.held import (
    Held,
    Mark,
    Restorable,
    mark_on,
    read_records,
    restore,
    restore_by_mark,
    write_records,
)
from homeostat.core.ref import Ref

REF = Ref("Deployment", "shop", "web", "uid")
ORIGINAL = {"replicas": "3", "limits/web/memory": "1Gi"}
TO = {"replicas": "0", "limits/web/memory": "0.5Gi", "env/web/NEW": "x"}
MARK = json.dumps(asdict(Mark("experiment", 2, ORIGINAL, TO)))
RECORD = Restorable(REF.kind, REF.namespace, REF.name, REF.uid, ORIGINAL, TO, MARK)
FAULTY = Held(REF, "7", {MARKER: MARK, "theirs": "x"}, TO | {"image/web": "web:1"})


def undone(held: Held) -> HoldFields | None:
    return restore(RECORD, held, "undo")


def test_what_the_fault_set_goes_back_and_what_was_not_there_goes() -> None:
    """C5, C6: and the marker with it, in one write on the version that was looked at."""
    assert undone(FAULTY) == HoldFields("undo", REF, "7", ORIGINAL | {"env/web/NEW": None}, {MARKER: None})


def test_a_newer_value_of_somebody_else_stays() -> None:
    """C5: each field for itself."""
    action = undone(replace(FAULTY, fields=dict(FAULTY.fields) | {"replicas": "5"}))

    assert action is not None
    assert action.fields == {"limits/web/memory": "1Gi", "env/web/NEW": None}
    assert action.annotations == {MARKER: None}


def test_a_size_that_the_api_server_rewrote_is_still_the_faults() -> None:
    """C5: 0.5Gi is stored as 512Mi."""
    action = undone(replace(FAULTY, fields=dict(FAULTY.fields) | {"limits/web/memory": "512Mi"}))

    assert action is not None
    assert action.fields["limits/web/memory"] == "1Gi"


def test_what_never_got_the_fault_loses_only_the_marker() -> None:
    """C2: killed between marker and fault."""
    action = undone(replace(FAULTY, fields=ORIGINAL))

    assert action is not None
    assert (action.fields, action.annotations) == ({}, {MARKER: None})


@pytest.mark.parametrize(
    "held",
    [
        None,
        replace(FAULTY, annotations={}),
        replace(FAULTY, annotations={MARKER: MARK.replace("experiment", "other")}),
        replace(FAULTY, ref=replace(REF, uid="another")),
        replace(FAULTY, is_deleting=True),
    ],
    ids=["gone", "unmarked", "of another experiment", "made anew", "on its way out"],
)
def test_what_is_not_held_by_this_run_is_left_alone(held: Held | None) -> None:
    """C5, C12: no write at all."""
    assert restore(RECORD, held, "undo") is None


def test_the_marker_alone_is_enough() -> None:
    """C3: the sweeper comes to the same as whoever has the record."""
    assert restore_by_mark(FAULTY, "undo") == undone(FAULTY)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '"x"', "{}", '{"experiment":"e","run":1}', '{"experiment":"","run":1,"to":{}}',
     '{"experiment":"e","run":"1","to":{}}', '{"experiment":"e","run":1,"to":{"replicas":0}}',
     '{"experiment":"e","run":1,"original":[],"to":{}}'],
)  # fmt: skip
def test_a_marker_that_cannot_be_read_is_not_guessed_at(text: str) -> None:
    """C6: what cannot be restored as it was is left for a human."""
    assert mark_on(replace(FAULTY, annotations={MARKER: text})) is None
    assert restore_by_mark(replace(FAULTY, annotations={MARKER: text}), "sweep") is None


NAMES = [*TO, "image/web", "requests/web/cpu"]
FIELDS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["0", "1", "2", "1Gi"]))


@given(FIELDS, FIELDS, FIELDS)
def test_only_what_the_fault_set_is_ever_written_and_twice_is_once(
    original: dict[str, str], to: dict[str, str], now: dict[str, str]
) -> None:
    """C5: an undo writes originals over the fault's values, and after it there is nothing more to undo."""
    text = json.dumps(asdict(Mark("e", 1, original, to)))
    held = Held(REF, "1", {MARKER: text}, now)
    action = restore_by_mark(held, "undo")

    assert action is not None
    for name, value in action.fields.items():
        assert value == original.get(name)
        assert now[name] == to[name]
    after = {key: value for key, value in (now | dict(action.fields)).items() if value is not None}
    assert restore_by_mark(Held(REF, "2", {}, after), "undo") is None


def test_records_are_read_as_they_were_written() -> None:
    assert read_records(write_records([RECORD, RECORD])) == (RECORD, RECORD)


@pytest.mark.parametrize("text", ["", "{}x", '[{"kind":1}]', "[3]", '[{"nothing":"known"}]'])
def test_records_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not records"):
        read_records(text)


def test_a_hundred_targets_fit_on_a_lease() -> None:
    """C10: annotations take 256 KiB, and a run has at most so many targets."""
    assert len(write_records([RECORD] * 100).encode()) < 200 * 1024
