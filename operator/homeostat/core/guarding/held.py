"""Fields of objects that a fault holds at other values, and how they go back: by what stands there, field by field.

Operator, undo Pod and sweeper all decide here. A field that still is what the fault set gets its original back;
what somebody else has set meanwhile is newer, and stays. The marker goes in the same write.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from homeostat.api.chaos import MARKER
from homeostat.core.action import HoldFields
from homeostat.core.quantity import is_same_quantity
from homeostat.core.ref import Ref

Fields = Mapping[str, str]
_SIZES = ("limits/", "requests/")


@dataclass(frozen=True, slots=True)
class Held:
    """An object as it is now, as far as a fault can change it. `fields` are named as in `api.chaos_status.Fields`."""

    ref: Ref
    resource_version: str
    annotations: Fields
    fields: Fields
    is_deleting: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What the annotation of a fault says: who holds it, what was there before, and what it set."""

    experiment: str
    run: int
    original: Fields
    to: Fields


@dataclass(frozen=True, slots=True)
class Leftover:
    """A guard that is there: its name, and the run of the experiment (uid) that it was made for."""

    name: str
    namespace: str
    experiment: str
    run: int


@dataclass(frozen=True, slots=True)
class Restorable:
    """What a guard restores: an object, and the `marker` that stands on it while the fault is on."""

    kind: str
    namespace: str
    name: str
    uid: str
    original: Fields = field(default_factory=dict)
    to: Fields = field(default_factory=dict)
    marker: str = ""

    @property
    def ref(self) -> Ref:
        """Name the object."""
        return Ref(self.kind, self.namespace, self.name, self.uid)


def write_records(records: Iterable[Restorable]) -> str:
    """Write what a guard restores as text."""
    return json.dumps([asdict(record) for record in records], separators=(",", ":"), sort_keys=True)


def read_records(text: str) -> tuple[Restorable, ...]:
    """Read what a guard restores; raises ValueError for what is none."""
    try:
        return tuple(Restorable(**raw) for raw in json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError("not records of a guard") from error


def mark_on(held: Held) -> Mark | None:
    """Read the mark; None when there is none, or one that we cannot read: that we do not undo."""
    text = held.annotations.get(MARKER)
    if text is None:
        return None
    try:
        raw = json.loads(text)
        experiment, run = raw["experiment"], raw["run"]
        original, to = _earlier(raw.get("original", {})), _earlier(raw["to"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    is_sound = isinstance(experiment, str) and experiment != "" and isinstance(run, int)
    return Mark(experiment, run, original, to) if is_sound and _are_fields(original) and _are_fields(to) else None


def restore(record: Restorable, held: Held | None, action_id: str) -> HoldFields | None:
    """Give the write that takes the fault of a record off; None when it is not on, or the object is gone."""
    if held is None or held.is_deleting or held.ref.uid != record.uid:
        return None
    if held.annotations.get(MARKER) != record.marker:
        return None
    return _taken_off(held, record.original, record.to, action_id)


def restore_by_mark(held: Held, action_id: str) -> HoldFields | None:
    """Give the write that takes a fault off by nothing but its mark; None when there is no readable one."""
    mark = None if held.is_deleting else mark_on(held)
    return None if mark is None else _taken_off(held, mark.original, mark.to, action_id)


def ours(original: Fields, to: Fields, now: Fields) -> dict[str, str | None]:
    """Give the originals of the fields that still are what the fault set; None: it was not there before."""
    return {name: original.get(name) for name, value in to.items() if is_same(name, now.get(name), value)}


def is_same(name: str, one: str | None, other: str | None) -> bool:
    """Whether two values of a field mean the same: sizes are compared by value, as the API server rewrites them."""
    if one == other:
        return True
    if one is None or other is None or not name.startswith(_SIZES):
        return False
    try:
        return is_same_quantity(one, other)
    except ValueError:
        return False


def _taken_off(held: Held, original: Fields, to: Fields, action_id: str) -> HoldFields:
    back = ours(original, to, held.fields)
    return HoldFields(action_id, held.ref, held.resource_version, back, {MARKER: None})


def _earlier(value: Any) -> Any:  # noqa: ANN401 - parsed JSON, which _are_fields judges
    """Read the number of replicas that stood in a marker before there were other fields."""
    return {"replicas": str(value)} if type(value) is int and value >= 0 else value


def _are_fields(fields: object) -> bool:
    return isinstance(fields, Mapping) and all(
        isinstance(key, str) and isinstance(value, str) for key, value in fields.items()
    )
