"""The vocabulary every kind shares: model base, exact units, conditions, CEL rules, and what a kind is.

A model says what users may write; `hack/gen_crds.py` turns it into a CustomResourceDefinition. Three marks
in `Annotated[...]` or on a model carry what JSON schema cannot: `Rule` (CEL), `Later` (accepted, but its
behaviour is not built yet) and `ListMap` or `ListSet` (how server-side apply merges a list).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

GROUP = "homeostat.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "homeostat"


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of a schema node: `expression` over `self`, and the sentence a user reads when it fails."""

    expression: str
    message: str
    field_path: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Marks a field that the schema accepts and a later release implements: `Ready=False, NotImplemented`.

    With `values` only these values of it (or of its items) are meant, as of an enum that is half built.
    """

    what: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListMap:
    """Marks a list that server-side apply merges by `key`."""

    key: str


@dataclass(frozen=True, slots=True)
class ListSet:
    """Marks a list of scalars without order or duplicates; a list of enum values is one anyway."""


class Model(BaseModel):
    """Base of all API models: frozen, camelCase outside, unknown fields ignored (the API server prunes them)."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", use_attribute_docstrings=True
    )

    rules: ClassVar[Sequence[Rule]] = ()

    def wire(self) -> dict[str, Any]:
        """Give the JSON form as Kubernetes holds it: camelCase, absent rather than null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def exactly_one(*fields: str, what: str) -> Rule:
    """Build the rule of a tagged union: one and only one of `fields` is set."""
    members = ", ".join(f"has(self.{name})" for name in fields)
    return Rule(f"[{members}].filter(x, x).size() == 1", f"{what}: exactly one of {', '.join(fields)} must be set")


# --- durations ------------------------------------------------------------------------------------------

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)(ms|[smhdw])")
GO_DURATION_PATTERN = r"^([0-9]{1,9}(ms|s|m|h))+$"
DURATION_PATTERN = r"^([0-9]{1,9}(ms|s|m|h|d|w))+$"


def parse_duration(text: str) -> timedelta:
    """Read `1h30m`, `200ms`, `7d`. Raises ValueError on anything else."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r} (like 30s, 1h30m, 7d)")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))


_SIZES = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def format_duration(value: timedelta) -> str:
    """Write a duration in the fewest whole units, largest first: `1h30m`, `41s`, `3ms`, `0s`."""
    return _format(value, _SIZES)


def format_go_duration(value: timedelta) -> str:
    """Write a duration in units that CEL reads, of which a day is none: `36h`."""
    return _format(value, _SIZES[1:])


def _format(value: timedelta, sizes: Iterable[tuple[str, int]]) -> str:
    rest = round(value.total_seconds() * 1000)
    if rest <= 0:
        return "0s"
    text = ""
    for unit, size in sizes:
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _duration_type(pattern: str, write: Callable[[timedelta], str]) -> Any:  # noqa: ANN401 - an Annotated type's parts
    return (
        BeforeValidator(_duration),
        PlainSerializer(write, return_type=str),
        WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": 32}),
    )


_GO = _duration_type(GO_DURATION_PATTERN, format_go_duration)
_ANY = _duration_type(DURATION_PATTERN, format_duration)
GoDuration = Annotated[timedelta, _GO[0], _GO[1], _GO[2]]
"""A duration of Go's units (ms, s, m, h), so that CEL can compare it with `duration(self)`."""
Duration = Annotated[timedelta, _ANY[0], _ANY[1], _ANY[2]]
"""A duration that may also use days and weeks, as Prometheus does."""


def between(low: str, high: str) -> Rule:
    """Build the rule that bounds a `GoDuration` field, ends included."""
    return Rule(
        f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')",
        f"must be between {low} and {high}",
    )


def divides_an_hour() -> Rule:
    """Build the rule of a `GoDuration` field whose multiples must fall on whole hours and minutes."""
    seconds = "duration(self).getSeconds()"
    return Rule(
        f"{seconds} >= 60 && {seconds} % 60 == 0 && 3600 % {seconds} == 0",
        "must be whole minutes that divide an hour, such as 1m, 5m, 10m, 15m, 30m or 1h",
    )


# --- exact numbers --------------------------------------------------------------------------------------

PERCENT_PATTERN = r"^(100|[0-9]{1,2})(\.[0-9]{1,6})?%$"


def _decimal(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"not a decimal number: {value!r}") from error
    if not number.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return number


def format_decimal(value: Decimal) -> str:
    """Write a decimal without exponent or trailing zeros: `99.95`, `100`, `-3.2`."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


ExactDecimal = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(format_decimal, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$", "maxLength": 27}),
]
"""A decimal string, exact end to end (S1): `"99.9"`."""


def _percent(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(PERCENT_PATTERN[1:-1], value):
        raise ValueError(f"not a percentage: {value!r} (like 25%)")
    return Decimal(value[:-1]) / 100


def _format_percent(value: Decimal) -> str:
    return format_decimal(value * 100) + "%"


Percent = Annotated[
    Decimal,
    BeforeValidator(_percent),
    PlainSerializer(_format_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN, "maxLength": 12}),
]
"""A share written as `"25%"`, held as an exact ratio: `Decimal("0.25")`."""


def _int_or_percent(value: object) -> object:
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return _percent(value)


def _format_int_or_percent(value: int | Decimal) -> int | str:
    return value if isinstance(value, int) else _format_percent(value)


IntOrPercent = Annotated[
    int | Decimal,
    BeforeValidator(_int_or_percent),
    PlainSerializer(_format_int_or_percent, return_type=int | str),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "pattern": r"^([0-9]{1,6}|(100|[0-9]{1,2})%)$",
            "maxLength": 8,
            "minimum": 0,
            "maximum": 999_999,
        }
    ),
]
"""A count (`1`) or a share (`"25%"`): an `int`, or a `Decimal` ratio."""


# --- time -----------------------------------------------------------------------------------------------


def _utc(value: object) -> object:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("a time needs a zone, like 2026-12-01T00:00:00Z")
    return value


def format_time(value: datetime) -> str:
    """Write a time as Kubernetes does: `2026-12-01T00:00:00Z`."""
    return value.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def format_precise_time(value: datetime) -> str:
    """Write a time with its microseconds (metav1.MicroTime): the loop is timed in less than seconds."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime,
    BeforeValidator(_utc),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
PreciseTime = Annotated[
    datetime,
    BeforeValidator(_utc),
    PlainSerializer(format_precise_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
"""Like `Time`, kept to the microsecond: deadlines and timings that decisions compare."""


# --- names and references -------------------------------------------------------------------------------

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class NameRef(Model):
    """A reference to an object of the same namespace."""

    name: ObjectName
    """Name of the object, in the same namespace."""


class SecretKeyRef(Model):
    """A key of a Secret of the same namespace."""

    name: ObjectName
    """Name of the Secret, in the same namespace."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key inside the Secret."""


# --- conditions -----------------------------------------------------------------------------------------


class ConditionStatus(StrEnum):
    """The three values of a condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One `metav1.Condition`."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """What the condition is about, such as Ready."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """The generation of the spec this condition was computed from."""
    last_transition_time: Time
    """When the status last changed from one value to another."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """A CamelCase word for machines that says why."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence for humans that says why."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), ListMap("type")]


class Status(Model):
    """What every status has."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """The generation of the spec that this status was computed from; -1 before the first evaluation."""
    conditions: Conditions = ()
    """The latest observations of the object's state."""


# --- kinds ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind is called and what it consists of."""

    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    spec: type[Model]
    status: type[Status]
    columns: tuple[Column, ...]
    description: str
    categories: tuple[str, ...] = (CATEGORY,)
    is_namespaced: bool = True
    selectable_fields: tuple[str, ...] = ()
