"""What Prometheus answers: samples and ranges, what is wrong with an answer, and which rules it has loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Trouble(StrEnum):
    """Why there is no answer that can be used."""

    UNREACHABLE = "PrometheusUnreachable"  # no connection, or refused by the guard of networks
    TIMEOUT = "PrometheusTimeout"
    UNAVAILABLE = "PrometheusUnavailable"  # it erred, or what came is no answer
    NOT_PERMITTED = "PrometheusNotPermitted"  # 401, 403
    NOT_CONFIGURED = "PrometheusNotConfigured"  # the indicator names none, and the operator has none
    INVALID_QUERY = "InvalidQuery"  # Prometheus cannot read or work it out, or it gives what is no number
    TOO_LARGE = "AnswerTooLarge"


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that cannot be used. Nothing of what came over the wire is in it.

    `is_of_part`: what was asked was not all events, but the bad or the good ones of them.
    """

    trouble: Trouble
    is_of_part: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an instant vector; a scalar has no labels. `value` may be NaN or infinite."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector. `is_partial`: Prometheus (or Thanos) warned that something is missing in it."""

    samples: tuple[Sample, ...]
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One element of a range vector: (epoch s, value) in order of time."""

    points: tuple[tuple[float, float], ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A range vector."""

    lines: tuple[Line, ...]
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class LoadedGroup:
    """A group of rules that Prometheus has loaded: its name, the names of its rules, and whether all are healthy."""

    name: str
    file: str
    rules: tuple[str, ...]
    is_healthy: bool = True
