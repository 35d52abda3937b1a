"""From what Prometheus answers to counts: which periods are to be asked for, and what happened in each. Pure.

A period is named by its end (epoch s), as of which it is asked for. Where the total is 0 there was no traffic, which
is data; where there is no total there is no data. A part of it that is absent where the total exists is 0 (S5, S15).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite, isinf, isnan
from typing import Final

from homeostat.api.meta import format_duration
from homeostat.api.objective_indicator import LONGEST_GROUP, PrometheusIndicator
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.core.objective.pushing import group_of
from homeostat.core.prometheus.answer import Matrix, Sample, Trouble, Vector
from homeostat.core.prometheus.queries import Part, Queries, Query, Unit, field_of

MOST_POINTS: Final = 720
"""Points of time that one range query asks for."""
MOST_SERIES: Final = 5000
"""Series that one query may give."""

_FIVE_MINUTES: Final = 5 * MINUTE
_MINUTES_REACH, _FIVES_REACH = 6 * HOUR, 3 * DAY  # as the ledger keeps them
_LONGEST_ABSENCE: Final = 6 * HOUR  # after which a counter that is back counts from 0
_ROUNDING: Final = 1e-6  # share of the total by which sums of floats may be beside it


class Finding(StrEnum):
    """What is wrong with answers that can be read."""

    NO_SAMPLES = "NoSamples"  # the total is not there
    BUCKET_MISSING = "BucketMissing"  # the histogram is there, but has no bucket at the threshold
    SEVERAL_SERIES = "SeveralSeries"  # where one is expected, for each group
    NOT_FINITE = "NotFinite"  # a count is infinite
    TOO_MANY_GROUPS = "TooManyGroups"
    PARTIAL = "PartialAnswer"  # Prometheus warned that something is missing


Problem = Trouble | Finding
_OWN: Final = "The operator's own Prometheus (its setting prometheus_url)"
_USERS: Final = "The Prometheus that spec.indicator.prometheus.url names"
_MESSAGES: Final[Mapping[Problem, str]] = {
    Trouble.UNREACHABLE: "{server} cannot be reached, or its address is not allowed.",
    Trouble.TIMEOUT: "{server} did not answer in time.",
    Trouble.UNAVAILABLE: "{server} failed, or what answers is no Prometheus.",
    Trouble.NOT_PERMITTED: "{server} does not permit the query.",
    Trouble.NOT_CONFIGURED: "spec.indicator.prometheus.url is not set, and the operator has no Prometheus of its own "
    "(its setting prometheus_url).",
    Trouble.INVALID_QUERY: "{server} refuses {field}, or it gives what is not a number. "
    "`homeostat validate -f FILE` may say why.",
    Trouble.TOO_LARGE: f"The answer to {{field}} is too large: a query may give {MOST_SERIES} series and 8 MiB.",
    Finding.NO_SAMPLES: "{server} has no samples for {field}. "
    "If there are some, resolution may be too short: it must be at least two scrapes long.",
    Finding.BUCKET_MISSING: "The histogram {histogram} has no bucket at the threshold of {threshold}.",
    Finding.SEVERAL_SERIES: "{field} gives several series where one is expected: sum them up, or divide by groupBy.",
    Finding.NOT_FINITE: "{field} gives an infinite count.",
    Finding.TOO_MANY_GROUPS: "There are groups that are not counted: too many, or with labels too long.",
    Finding.PARTIAL: "{server} warns that its answer is not complete.",
}
NOT_ASKED_YET: Final = "NotAskedYet"
"""The reason before there is an answer, or any trouble."""
_TO_REPAIR: Final[frozenset[Problem]] = frozenset(
    {
        Trouble.NOT_CONFIGURED,
        Trouble.INVALID_QUERY,
        Trouble.TOO_LARGE,
        Finding.BUCKET_MISSING,
        Finding.SEVERAL_SERIES,
        Finding.NOT_FINITE,
    }
)
_REASONS: Final[Mapping[Problem, str]] = {
    Finding.SEVERAL_SERIES: Trouble.INVALID_QUERY.value,
    Finding.NOT_FINITE: Trouble.INVALID_QUERY.value,
}


def explain(problem: Problem, indicator: PrometheusIndicator, *, is_of_part: bool = False) -> tuple[str, str, bool]:
    """Give the reason and the message of a problem, and whether the indicator is valid all the same.

    `is_of_part`: it is the query of bad or good events that has it, not that of all. No URL is in the message.
    """
    latency = indicator.latency
    message = _MESSAGES[problem].format(
        server=_server(indicator),
        field=field_of(indicator, is_part=is_of_part),
        histogram=latency.histogram if latency else "",
        threshold=format_duration(latency.threshold) if latency else "",
    )
    return _REASONS.get(problem, problem.value), message, problem not in _TO_REPAIR


def not_asked_yet(indicator: PrometheusIndicator) -> tuple[str, str]:
    """Give reason and message before the first answer."""
    return NOT_ASKED_YET, f"{_server(indicator)} is being asked; there is no answer yet."


def _server(indicator: PrometheusIndicator) -> str:
    return _USERS if indicator.url else _OWN


# --- which periods --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """Periods of `step` seconds, the first from `start`, the last to `end`; they are booked in buckets of `bucket`.

    `is_added`: nothing of it is counted yet, in no bucket; else buckets are put, the fuller one wins.
    """

    start: int
    end: int
    step: int
    bucket: int
    is_added: bool = False


def segments(
    since: int | None, end: int, period: int, reach: int, most_points: int = MOST_POINTS
) -> tuple[Segment, ...]:
    """Divide the time from `since` (None: never counted) to `end` into what is asked at once, oldest first.

    Minutes as far back as minutes are kept, then five minutes, then hours: so nothing is asked for in vain, and
    whoever is killed on the way goes on where the newest data ends.
    """
    since = max(end - reach, 0) if since is None else max(since, end - reach)
    first = since // HOUR * HOUR  # whole hours are put, whatever was counted of them
    fives, minutes = (end - _FIVES_REACH) // HOUR * HOUR, -(-(end - _MINUTES_REACH) // HOUR) * HOUR
    if since >= minutes:
        return tuple(_chunks(Segment(since, end, period, MINUTE, is_added=True), most_points))
    finest = minutes - (minutes - end + _MINUTES_REACH) // period * period
    whole = (
        Segment(first, fives, HOUR, HOUR),
        Segment(max(first, fives), minutes, _step_of_fives(period), _FIVE_MINUTES),
        Segment(max(since // period * period, finest), minutes, period, MINUTE),
        Segment(minutes, end, period, MINUTE, is_added=True),
    )
    return tuple(chunk for segment in whole for chunk in _chunks(segment, most_points))


def extension(end: int, period: int, reach: int) -> tuple[Segment, ...]:
    """Divide the time of a window that became longer; what is counted already stays unless this is fuller."""
    first, hour = (end - reach) // HOUR * HOUR, end // HOUR * HOUR
    fives = (end - _FIVES_REACH) // HOUR * HOUR
    minutes = max(first, -(-(end - _MINUTES_REACH) // period) * period)
    whole = (
        Segment(first, fives, HOUR, HOUR),
        Segment(max(first, fives), hour, _step_of_fives(period), _FIVE_MINUTES),
        Segment(minutes, hour, period, MINUTE),
    )
    return tuple(chunk for segment in whole for chunk in _chunks(segment, MOST_POINTS))


def _step_of_fives(period: int) -> int:
    return -(-period // _FIVE_MINUTES) * _FIVE_MINUTES


def _chunks(whole: Segment, most_points: int) -> Iterator[Segment]:
    """Divide a segment, at whole hours where hours are made up of it."""
    start, step = whole.start, whole.step
    end = start + max(0, whole.end - start) // step * step
    longest = most_points * step if whole.bucket == MINUTE else max(HOUR, most_points * step // HOUR * HOUR)
    for first in range(start, end, longest):
        yield replace(whole, start=first, end=min(end, first + longest))


# --- counters -------------------------------------------------------------------------------------------

Points = Mapping[int, Sequence[Sample]]
"""What was found at each point of time."""
Labels = frozenset[tuple[str, str]]


def points_of(answer: Vector | Matrix, at: int) -> Points:
    """Give what an answer has, by the time that it is about; `at` is that of a vector."""
    if isinstance(answer, Vector):
        return {at: answer.samples} if answer.samples else {}
    points: dict[int, list[Sample]] = {}
    for line in answer.lines:
        for time, value in line.points:
            points.setdefault(round(time), []).append(Sample(value, line.labels))
    return points


def is_too_large(answer: Vector | Matrix, most: int = MOST_SERIES) -> bool:
    """Say whether an answer has more series than are taken."""
    return len(answer.samples if isinstance(answer, Vector) else answer.lines) > most


Values = Mapping[Labels, tuple[float, int]]
"""The newest value of each series of counters, and when it was seen (epoch s)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The counters of an objective as they were at `until`."""

    until: int
    part: Values = field(default_factory=dict)
    total: Values = field(default_factory=dict)


def needs_start(queries: Queries, memory: Memory | None, segment: Segment) -> bool:
    """Say whether counters must also be asked for as they were at the start of a segment."""
    return queries.has_counters and (memory is None or memory.until != segment.start)


def count_up(
    queries: Queries, memory: Memory | None, part: Points, total: Points, segment: Segment
) -> tuple[Memory | None, Points, Points]:
    """Turn the counters among what was found into their increases; give them with what is to be remembered.

    A counter that was not there before counts from 0 if the objective was watched before: what is found with the first
    data of a history is where counting begins.
    """
    if not queries.has_counters:
        return None, part, total
    if memory is not None and memory.until != segment.start:
        memory = None
    since = -1 if memory is not None else min(total, default=segment.end)
    before = memory or Memory(segment.start)
    part_values, total_values = before.part, before.total
    if queries.query.unit is Unit.COUNTER:
        part_values, part = increases(before.part, part, since, segment.end)
    if queries.total is not None and queries.total.unit is Unit.COUNTER:
        total_values, total = increases(before.total, total, since, segment.end)
    is_watched = memory is not None or segment.is_added or since < segment.end
    return Memory(segment.end, part_values, total_values) if is_watched else None, part, total


def increases(values: Values, points: Points, since: int, until: int) -> tuple[Values, Points]:
    """Turn counters into their increases, series by series, from point to point.

    A counter that is smaller than before began again from 0. One that was not there before begins with what it has
    until `since`, and from 0 later. One that vanished is remembered for a while. Those that are no finite number are
    passed over.
    """
    known, found = dict(values), dict[int, Sequence[Sample]]()
    for at in sorted(points):
        samples = [(frozenset(one.labels.items()), one) for one in points[at] if isfinite(one.value)]
        if at > since:
            found[at] = [Sample(_growth(known.get(series), one.value), one.labels) for series, one in samples]
        known |= {series: (one.value, at) for series, one in samples}
    return {series: seen for series, seen in known.items() if until - seen[1] <= _LONGEST_ABSENCE}, found


def _growth(before: tuple[float, int] | None, value: float) -> float:
    return value - before[0] if before is not None and value >= before[0] else value


# --- counts ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What happened in the period that ended `at`: (bad, total) of each group, "" where there are none.

    `is_clamped`: something was below 0 or above the total, and was taken for that. `problem` may be beside counts: what
    it is about is not in them. `is_of_part`: the query of bad or good events has it.
    """

    at: int
    counts: Mapping[str, tuple[float, float]]
    problem: Problem | None = None
    is_clamped: bool = False
    is_of_part: bool = False


def read(queries: Queries, part: Points, total: Points, segment: Segment) -> tuple[Reading, ...]:
    """Read what queries gave for each period of a segment; `total` is what an error ratio gave, if it is one."""
    ends = range(segment.start + segment.step, segment.end + 1, segment.step)
    return tuple(_read(queries, part.get(at, ()), total.get(at, ()), segment.step, at) for at in ends)


def _read(queries: Queries, part: Sequence[Sample], total: Sequence[Sample], seconds: int, at: int) -> Reading:
    whole = queries.total or queries.query
    totals = _by_group(whole, total, queries.groups, seconds)
    parts = _by_group(queries.query, part, queries.groups, seconds) if queries.total is not None else {}
    if isinstance(totals, Finding):
        return Reading(at, {}, totals)
    if isinstance(parts, Finding):
        return Reading(at, {}, parts, is_of_part=True)
    counts: dict[str, tuple[float, float]] = {}
    problem: Problem | None = None if totals else Finding.NO_SAMPLES
    is_clamped = is_of_part = False
    for group, value in totals.items():
        judged = _count(queries, parts.get(group), value, seconds)
        if isinstance(judged, Finding):
            problem, is_of_part = judged, isfinite(value)
        elif len(group) > LONGEST_GROUP:
            problem = Finding.TOO_MANY_GROUPS
        else:
            bad, of, is_outside = judged
            counts[group] = bad, of
            is_clamped |= is_outside
    return Reading(at, counts, problem, is_clamped, is_of_part)


def _by_group(
    query: Query, samples: Sequence[Sample], labels: Sequence[str], seconds: int
) -> dict[str, float] | Finding:
    """Give the events of each group; only counters are summed up: of anything else there must be one series."""
    found: dict[str, float] = {}
    for sample in samples:
        group = name_of(sample.labels, labels)
        events = query.events(sample.value, seconds)
        if group in found and query.unit is not Unit.COUNTER:
            return Finding.SEVERAL_SERIES
        found[group] = found.get(group, 0.0) + events
    return found


def _count(queries: Queries, part: float | None, whole: float, seconds: int) -> tuple[float, float, bool] | Finding:
    """Give bad and total of a group, and whether they had to be clamped."""
    if queries.total is None:
        minutes = seconds / MINUTE
        share = min(max(whole, 0.0), 1.0)
        is_outside = share != whole and not isnan(whole)
        return (0.0, 0.0, False) if isnan(whole) else (share * minutes, minutes, is_outside)
    if isnan(whole):
        return Finding.NO_SAMPLES
    if part is None:
        part = 0.0
        if queries.needs_part and whole > 0:
            return Finding.BUCKET_MISSING
    if isinf(whole) or isinf(part):
        return Finding.NOT_FINITE
    return _clamped(queries.part, part, whole)


def _clamped(kind: Part, part: float, whole: float) -> tuple[float, float, bool] | Finding:
    total = max(whole, 0.0)
    if isnan(part):  # a share of nothing
        return Finding.NO_SAMPLES if total else (0.0, 0.0, False)
    bad = total - part if kind is Part.GOOD else part
    kept = min(max(bad, 0.0), total)
    return kept, total, whole < 0 or abs(kept - bad) > _ROUNDING * total


def name_of(labels: Mapping[str, str], by: Sequence[str]) -> str:
    """Name the group of a series by the labels `by`; a comma in a value would make two groups one by name."""
    return group_of({name: _printable(labels.get(name, "")) for name in by})


def _printable(value: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in value).replace(",", "%2C")


# --- books ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Entry:
    """What is booked in one bucket of a group: `observed` minutes of it had data."""

    bad: float = 0.0
    total: float = 0.0
    observed: int = 0


Entries = Mapping[tuple[str, int, int], Entry]
"""By group, start (epoch s) and length (s) of the bucket."""


def entries(readings: Sequence[Reading], segment: Segment) -> Entries:
    """Spread what was read evenly over the buckets of a segment; five minutes make up hours, too.

    Where buckets are put, groups make up the whole.
    """
    booked: dict[tuple[str, int, int], Entry] = {}
    for reading in readings:
        starts = range(reading.at - segment.step, reading.at, segment.bucket)
        for group, (bad, total) in _with_whole(reading.counts, segment).items():
            for start in starts:
                share = Entry(bad / len(starts), total / len(starts), segment.bucket // MINUTE)
                _book(booked, (group, start, segment.bucket), share)
                if segment.bucket == _FIVE_MINUTES:
                    _book(booked, (group, start // HOUR * HOUR, HOUR), share)
    return booked


def _with_whole(counts: Mapping[str, tuple[float, float]], segment: Segment) -> Mapping[str, tuple[float, float]]:
    if segment.is_added or not counts or "" in counts:
        return counts
    return {"": (sum(bad for bad, _ in counts.values()), sum(total for _, total in counts.values())), **counts}


def _book(booked: dict[tuple[str, int, int], Entry], where: tuple[str, int, int], share: Entry) -> None:
    entry = booked.setdefault(where, Entry())
    entry.bad += share.bad
    entry.total += share.total
    entry.observed += share.observed
