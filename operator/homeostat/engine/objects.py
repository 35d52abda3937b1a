"""Our own objects as the API server last showed them: one compact entry each, parsed when somebody asks.

An entry keeps spec and status as JSON bytes (about 1 KiB); 10,000 parsed models would cost 60 MB. Parsing is
remembered for what is in use, so an object is parsed once per change while it is busy.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from homeostat.api import recovery
from homeostat.api.chaos import ABORT, RUN
from homeostat.api.kinds import KINDS
from homeostat.api.meta import Kind, Model, Status
from homeostat.core.acceptance import INVALID, unimplemented
from homeostat.core.acceptance import REASON as NOT_IMPLEMENTED
from homeostat.core.ref import Ref
from homeostat.kube.objects import FINALIZER

KIND_BY_NAME = {kind.kind: kind for kind in KINDS}

T = TypeVar("T")

REMEMBERED = 256
"""Parsed specs, and parsed statuses, that are kept of a kind: those in use. Each takes about 6 KiB."""
REMEMBERED_OF = {"RecoveryPolicy": 1024}
"""Of policies, a thousand: all are looked at every minute, many every 5 s. A spec takes 8 KiB, a status 12 KiB."""
ACTING_KINDS = frozenset({"RecoveryPolicy", "ChaosExperiment", "GameDay"})
"""Kinds whose status is control state: what is under way, and the originals to go back to."""
Problem = tuple[str, str]
"""Why an object is not evaluated: a reason and a message."""
LONGEST_RUN = 256
"""What of the annotation's value counts: as much as the status can hold."""
LONGEST_NAME = 256
NO_REASON = "no reason given"
_LENGTHS = {
    recovery.APPROVE: ("approve", 64),
    recovery.REJECT: ("reject", 64),
    recovery.RUN: ("run", 4096),
    recovery.PAUSE: ("pause", 256),
    ABORT: ("abort", 256),
}
"""The annotations by which humans ask something of a policy or an experiment, and how much of each counts."""
_OWNED = {f"f:{name}" for name in _LENGTHS}
_HOLDS, _HOLDS_NOTHING = b'"holds":[', b'"holds":[]'


class Key(NamedTuple):
    """What an object is called, whichever incarnation it is."""

    kind: str
    namespace: str
    name: str


class Change(Enum):
    """What a newly seen version of an object means to us."""

    NOTHING = auto()  # older than what we have, or the same
    STATUS = auto()  # only the status or bookkeeping moved
    SPEC = auto()  # what the user wrote moved: evaluate
    REPLACED = auto()  # another object under the same name


@dataclass(frozen=True, slots=True)
class Asks:
    """What humans ask of a policy or an experiment by annotations; `manager`: what wrote the newest of them."""

    approve: str = ""
    reject: str = ""
    run: str = ""
    pause: str = ""
    abort: str = ""
    by: str = ""
    manager: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object at one version."""

    ref: Ref
    resource_version: str
    generation: int
    spec_json: bytes
    status_json: bytes
    is_deleting: bool = False
    has_finalizer: bool = False
    run_requested: str = ""
    asks: "Asks | None" = None

    @property
    def key(self) -> Key:
        """The key this entry is stored under."""
        return Key(self.ref.kind, self.ref.namespace, self.ref.name)

    @property
    def ref_fields(self) -> dict[str, str]:
        """Name the object in a log line."""
        return {"kind": self.ref.kind, "namespace": self.ref.namespace, "name": self.ref.name}

    @property
    def kind(self) -> Kind:
        """What kind of object it is."""
        return KIND_BY_NAME[self.ref.kind]

    def spec(self) -> Model | str:
        """Parse the spec; a string says what is wrong with it."""
        return _parse_spec(self.ref.kind, self.spec_json)

    def problem(self) -> Problem | None:
        """Say why the object is not evaluated as it asks: it cannot be read, or this release cannot do it yet."""
        return _problem_of(self.ref.kind, self.spec_json)

    def readable_status(self) -> Status | str:
        """Parse the status; a string says what is wrong with it. One of figures only that cannot be read is none."""
        status = _parse_status(self.ref.kind, self.status_json)
        return self.kind.status() if isinstance(status, str) and self.ref.kind not in ACTING_KINDS else status

    def status(self) -> Status:
        """Parse the status; one that cannot be read looks empty to others."""
        status = self.readable_status()
        return self.kind.status() if isinstance(status, str) else status

    def asks_the_same(self, other: "Entry") -> bool:
        """Whether both versions ask the same of us."""
        return self.asked == other.asked

    @property
    def asked(self) -> tuple[object, ...]:
        """What this version asks of us, as one comparable value."""
        ours = (self.generation, self.spec_json, self.is_deleting, self.has_finalizer)
        return (self.ref.uid, *ours, self.run_requested, self.asks)


def entry_from(body: dict[str, Any], kind: str) -> Entry:
    """Read an object as the API server gives it."""
    meta = body["metadata"]
    return Entry(
        ref=Ref(kind, meta.get("namespace", ""), meta["name"], meta["uid"]),
        resource_version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        spec_json=_compact(body.get("spec", {})),
        status_json=_compact(body.get("status", {})),
        is_deleting="deletionTimestamp" in meta,
        has_finalizer=FINALIZER in meta.get("finalizers", ()),
        run_requested=(meta.get("annotations") or {}).get(RUN, "")[:LONGEST_RUN],
        asks=_asks(meta) if kind in ACTING_KINDS else None,
    )


def _asks(meta: dict[str, Any]) -> Asks | None:
    """Read what humans ask for; None where nobody does, as nearly everywhere."""
    said = meta.get("annotations") or {}
    if not any(name in said for name in _LENGTHS):
        return None
    texts = {field: str(said.get(name, ""))[:most] for name, (field, most) in _LENGTHS.items()}
    if recovery.PAUSE in said:
        texts["pause"] = texts["pause"] or NO_REASON
    return Asks(**texts, by=str(said.get(recovery.BY, ""))[:LONGEST_NAME], manager=_manager(meta))


def _manager(meta: dict[str, Any]) -> str:
    """Name the program that wrote any of the annotations last."""
    wrote = [entry for entry in meta.get("managedFields") or () if _owned(entry) & _OWNED]
    newest: dict[str, Any] = max(wrote, key=lambda entry: str(entry.get("time", "")), default={})
    return str(newest.get("manager", ""))[:LONGEST_NAME]


def _owned(entry: dict[str, Any]) -> set[str]:
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return set(metadata.get("f:annotations") or ())


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _remembered(parse: Callable[[str, bytes], T]) -> Callable[[str, bytes], T]:
    """Remember what was parsed, of each kind by itself: 10,000 checks push no policy out."""
    kinds = {
        name: lru_cache(maxsize=REMEMBERED_OF.get(name, REMEMBERED))(partial(parse, name)) for name in KIND_BY_NAME
    }
    return lambda kind, raw: kinds[kind](raw)


@_remembered
def _parse_spec(kind: str, raw: bytes) -> Model | str:
    try:
        return KIND_BY_NAME[kind].spec.model_validate_json(raw)
    except ValidationError as error:
        return explain(error, "spec")


@_remembered
def _problem_of(kind: str, raw: bytes) -> Problem | None:
    spec = _parse_spec(kind, raw)
    if isinstance(spec, str):
        return INVALID, spec
    paths = unimplemented(spec)
    return (NOT_IMPLEMENTED, f"not implemented in this release: {', '.join(paths)}") if paths else None


@_remembered
def _parse_status(kind: str, raw: bytes) -> Status | str:
    try:
        return KIND_BY_NAME[kind].status.model_validate_json(raw)
    except ValidationError as error:
        return explain(error, "status")


def explain(error: ValidationError, part: str) -> str:
    """Say in one line which fields of `part` (spec or status) are wrong and why."""
    problems = (f"{part}.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False))
    return "; ".join(problems)[:1024]


class ObjectStore:
    """All objects of our kinds by key."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[Key, Entry]] = {name: {} for name in KIND_BY_NAME}
        self._places: dict[tuple[str, str], dict[Key, None]] = {}
        """The keys of a kind in a namespace: a decision on one object must not look through all of them."""
        self._holding: dict[str, dict[Key, None]] = {}
        """By namespace what holds something up by its status; a decision on one object looks through these alone."""

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def count(self, kind: str) -> int:
        """Give the number of objects of a kind."""
        return len(self._kinds[kind])

    def get(self, key: Key) -> Entry | None:
        """Give the entry, or None when there is no such object."""
        return self._kinds[key.kind].get(key)

    def put(self, entry: Entry) -> Change:
        """Take a version of an object; one that is not newer than ours changes nothing."""
        entries = self._kinds[entry.ref.kind]
        known = entries.get(entry.key)
        if known is not None and not _is_newer(entry, known):
            return Change.NOTHING
        entries[entry.key] = entry
        self._mark(entry)
        if known is None:
            self._places.setdefault((entry.ref.kind, entry.ref.namespace), {})[entry.key] = None
            return Change.SPEC
        if known.ref.uid != entry.ref.uid:
            return Change.REPLACED
        return Change.STATUS if known.asks_the_same(entry) else Change.SPEC

    def remove(self, key: Key, uid: str = "") -> Entry | None:
        """Drop an object; with `uid`, only that incarnation. Give what was dropped."""
        known = self.get(key)
        if known is None or (uid and known.ref.uid != uid):
            return None
        place = self._places[key.kind, key.namespace]
        del place[key]
        if not place:
            del self._places[key.kind, key.namespace]
        self._unmark(key)
        return self._kinds[key.kind].pop(key)

    def of_kind(self, kind: str, namespace: str | None = None) -> Iterator[Entry]:
        """Give the entries of a kind, of one namespace or of all."""
        entries = self._kinds[kind]
        if namespace is None:
            yield from list(entries.values())
        else:
            yield from [entries[key] for key in self._places.get((kind, namespace), ())]

    def holding(self, namespace: str) -> list[Entry]:
        """Give the objects of a namespace whose status says that they hold something up: few, of maybe thousands."""
        return [self._kinds[key.kind][key] for key in self._holding.get(namespace, ())]

    def keys(self) -> list[Key]:
        """Give all keys."""
        return [key for entries in self._kinds.values() for key in entries]

    def _mark(self, entry: Entry) -> None:
        if entry.status_json.count(_HOLDS) > entry.status_json.count(_HOLDS_NOTHING):
            self._holding.setdefault(entry.ref.namespace, {})[entry.key] = None
        else:
            self._unmark(entry.key)

    def _unmark(self, key: Key) -> None:
        marked = self._holding.get(key.namespace)
        if marked and key in marked:
            del marked[key]
            if not marked:
                del self._holding[key.namespace]


def _is_newer(entry: Entry, known: Entry) -> bool:
    """Whether `entry` is the later of two versions. API servers number versions in the order of writes."""
    ours, theirs = known.resource_version, entry.resource_version
    if ours.isdigit() and theirs.isdigit():
        return int(theirs) > int(ours)
    return ours != theirs
