"""Pushed events: what a request says, checked against the objective it is for. Pure; `now` and the body come in.

A batch is taken whole or not at all: one entry that cannot be counted refuses all of them, and says which it was.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from homeostat.api.objective_indicator import LONGEST_GROUP
from homeostat.core.history.window import MINUTE

MOST_ENTRIES = 1000
MOST_EVENTS = 1_000_000_000
"""Good or bad events of one entry, at most."""
AHEAD, BEHIND = timedelta(seconds=60), timedelta(hours=6)
"""How far from now an event may be: a clock that runs ahead counts as now; minutes do not reach farther back."""
LONGEST_VALUE = 128
_KEY = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")
_BODY = 'The body must be {"events": [...]}, and "key" beside it or not'
_ENTRY = 'An entry has "good" or "bad" or both, "at" or not, "labels" or not, and nothing else'
_LONGEST_NAME = 64  # of a field, as it is told


class PushReason(StrEnum):
    """Why pushed events are not counted."""

    INVALID_KEY = "InvalidIdempotencyKey"
    INVALID_BODY = "InvalidBody"
    TOO_MANY_ENTRIES = "TooManyEntries"
    INVALID_ENTRY = "InvalidEntry"
    INVALID_COUNT = "InvalidCount"
    INVALID_TIME = "InvalidTime"
    TIME_OUT_OF_REACH = "TimeOutOfReach"
    LABELS_DIFFER = "LabelsDiffer"
    INVALID_LABEL = "InvalidLabel"
    TOO_MANY_GROUPS = "TooManyGroups"
    NOT_FOUND = "NotFound"
    NOT_PUSHED_TO = "NotPushedTo"  # the objective measures something else
    NOT_ACCEPTED = "NotAccepted"  # the objective is not evaluated as it is
    NOT_READY = "NotReady"  # what was counted before is not taken up yet
    STORE_UNAVAILABLE = "StoreUnavailable"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was counted. `index` is that of the entry to blame, if it is one; the message is safe to show."""

    reason: PushReason
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The entries of the batch are counted, durably; or they were before, when the key was seen then."""

    entries: int
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """Events of one group ("" without groups) in one minute (since the epoch)."""

    group: str
    minute: int
    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What a request asks to be counted: one Count for each group and minute. `groups` says which entry named each."""

    key: str
    entries: int
    counts: tuple[Count, ...]
    groups: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Entry:
    group: str
    minute: int
    good: int
    bad: int


class _Refusal(Exception):
    """A part of the body cannot be counted."""

    def __init__(self, reason: PushReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def read_batch(body: object, header_key: str, group_by: Sequence[str], now: datetime) -> Batch | Refused:
    """Read a parsed body for an objective with these labels; `header_key` is "" when no header gave a key."""
    try:
        entries = _entries(body)
        key = _key(body, header_key)
    except _Refusal as refusal:
        return Refused(refusal.reason, refusal.message)
    totals, bads, groups = Counter[tuple[str, int]](), Counter[tuple[str, int]](), dict[str, int]()
    for index, raw in enumerate(entries):
        try:
            entry = _entry(raw, group_by, now)
        except _Refusal as refusal:
            return Refused(refusal.reason, refusal.message, index)
        place = entry.group, entry.minute
        totals[place] += entry.good + entry.bad
        bads[place] += entry.bad
        groups.setdefault(entry.group, index)
    counts = tuple(Count(*place, bads[place], total) for place, total in totals.items())
    return Batch(key, len(entries), counts, groups)


def group_of(labels: Mapping[str, str]) -> str:
    """Name a group by its labels: `region=eu,route=/pay`, sorted by label; "" without labels."""
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


# --- the parts of a body --------------------------------------------------------------------------------


def _entries(body: object) -> Sequence[object]:
    if not isinstance(body, dict):
        raise _Refusal(PushReason.INVALID_BODY, f"{_BODY}.")
    _check_fields(body, {"events", "key"}, PushReason.INVALID_BODY, _BODY)
    entries = body.get("events")
    if not isinstance(entries, list) or not entries:
        raise _Refusal(PushReason.INVALID_BODY, '"events" must be a list with at least one entry.')
    if len(entries) > MOST_ENTRIES:
        raise _Refusal(PushReason.TOO_MANY_ENTRIES, f"A batch has {MOST_ENTRIES} entries at most.")
    return entries


def _key(body: object, header_key: str) -> str:
    """Give the key of header or body; "" when there is none, and then a repetition counts again."""
    told = body.get("key") if isinstance(body, dict) else None
    if told is None:
        return _checked(header_key) if header_key else ""
    if not isinstance(told, str) or (header_key and header_key != told):
        raise _Refusal(
            PushReason.INVALID_KEY, '"key" must be a text, and the one of Idempotency-Key if both are given.'
        )
    return _checked(told)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise _Refusal(PushReason.INVALID_KEY, "The key must be 1 to 128 printable ASCII characters.")
    return key


def _entry(raw: object, group_by: Sequence[str], now: datetime) -> _Entry:
    if not isinstance(raw, dict):
        raise _Refusal(PushReason.INVALID_ENTRY, f"{_ENTRY}.")
    _check_fields(raw, {"good", "bad", "at", "labels"}, PushReason.INVALID_ENTRY, _ENTRY)
    if not {"good", "bad"} & set(raw):
        raise _Refusal(PushReason.INVALID_ENTRY, f"{_ENTRY}: there is neither.")
    good, bad = _count(raw, "good"), _count(raw, "bad")
    at = _time(raw["at"], now) if raw.get("at") is not None else now
    return _Entry(_group(raw.get("labels"), group_by), int(at.timestamp()) // MINUTE, good, bad)


def _check_fields(given: Mapping[str, object], known: Collection[str], reason: PushReason, rule: str) -> None:
    """Refuse a field that is not known, by its name: a misspelt one would be events that nobody counts."""
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in unknown[:_LONGEST_NAME])
        raise _Refusal(reason, f'{rule}: "{shown}" is not known.')


def _count(raw: Mapping[str, object], name: str) -> int:
    value = raw.get(name, 0)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MOST_EVENTS or value != int(value):  # type: ignore[operator,call-overload]
        raise _Refusal(PushReason.INVALID_COUNT, f'"{name}" must be a whole number from 0 to {MOST_EVENTS}.')
    return int(value)  # type: ignore[call-overload,no-any-return]


def _time(value: object, now: datetime) -> datetime:
    """Read a time that may be counted in; one that is a little ahead is now."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        at = at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise _Refusal(PushReason.INVALID_TIME, '"at" must be a time with its zone, such as 2026-11-21T12:00:00Z.')
    if at > now + AHEAD:
        raise _Refusal(PushReason.TIME_OUT_OF_REACH, '"at" is more than 60 s in the future.')
    if at < now - BEHIND:
        raise _Refusal(PushReason.TIME_OUT_OF_REACH, '"at" is more than 6 h ago: nothing is counted so late.')
    return min(at, now)


def _group(labels: object, group_by: Sequence[str]) -> str:
    given = {} if labels is None else labels
    if not isinstance(given, dict) or set(given) != set(group_by):
        wanted = ", ".join(sorted(group_by)) or "none"
        raise _Refusal(PushReason.LABELS_DIFFER, f'"labels" must be those of spec.indicator.events.groupBy: {wanted}.')
    for name in group_by:
        _check_value(name, given[name])
    group = group_of(given)
    if len(group) > LONGEST_GROUP:
        raise _Refusal(PushReason.INVALID_LABEL, f"The labels together have {LONGEST_GROUP} characters at most.")
    return group


def _check_value(name: str, value: object) -> None:
    """A comma would make two groups one by name: `a=1,b=2`."""
    is_good = isinstance(value, str) and 0 < len(value) <= LONGEST_VALUE and value.isprintable() and "," not in value
    if not is_good:
        told = f'Label "{name}" must be 1 to {LONGEST_VALUE} printable characters without a comma.'
        raise _Refusal(PushReason.INVALID_LABEL, told)
