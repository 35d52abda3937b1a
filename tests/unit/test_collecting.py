import re
from itertools import pairwise
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.history.window import DAY, HOUR
from homeostat.core.prometheus.answer import Line, Matrix, Sample, Trouble, Vector
from homeostat.core.prometheus.collecting import (
    MOST_POINTS,
    Entry,
    Finding,
    Memory,
    Points,
    Problem,
    Reading,
    Segment,
    count_up,
    entries,
    explain,
    extension,
    is_too_large,
    name_of,
    needs_start,
    points_of,
    read,
    segments,
)
from homeostat.core.prometheus.queries import Queries, queries_of

END = 1_795_269_600  # a whole hour
MINUTE = Segment(END - 60, END, 60, 60, is_added=True)


def prometheus(**spec: Any) -> PrometheusIndicator:
    return PrometheusIndicator.model_validate(spec)


def asking(**spec: Any) -> Queries:
    return queries_of(prometheus(**spec))


BAD = asking(ratio={"bad": "increase(b[{{window}}])", "total": "increase(t[{{window}}])"})
GOOD = asking(ratio={"good": "increase(g[{{window}}])", "total": "increase(t[{{window}}])"})
RATES = asking(ratio={"bad": "rate(b[{{window}}])", "total": "rate(t[{{window}}])"}, groupBy=["a"])
COUNTERS = asking(ratio={"bad": "b", "total": "t"})
RATIO = asking(ratioQuery="r")
LATENCY = asking(latency={"histogram": "h", "threshold": "1s"})


def one(*samples: Sample) -> Points:
    return {END: samples} if samples else {}


def reading(queries: Queries, part: Points, total: Points) -> Reading:
    (found,) = read(queries, part, total, MINUTE)
    return found


def value(number: float, **labels: str) -> Sample:
    return Sample(number, labels)


# --- one period -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queries", "part", "total", "counts"),
    [
        (BAD, 3.0, 10.0, (3.0, 10.0)),
        (GOOD, 3.0, 10.0, (7.0, 10.0)),
        (BAD, None, 10.0, (0.0, 10.0)),
        (GOOD, None, 10.0, (10.0, 10.0)),
        (BAD, 0.0, 0.0, (0.0, 0.0)),
        (BAD, nan, 0.0, (0.0, 0.0)),
        (LATENCY, None, 0.0, (0.0, 0.0)),
    ],
)
def test_a_period_is_counted(queries: Queries, part: float | None, total: float, counts: tuple[float, float]) -> None:
    """S15: what is absent where the total exists is 0. S5: no traffic is data."""
    found = reading(queries, one(value(part)) if part is not None else {}, one(value(total)))

    assert (found.counts, found.problem, found.is_clamped) == ({"": counts}, None, False)


@pytest.mark.parametrize(
    ("part", "total", "counts", "is_clamped"),
    [
        (12.0, 10.0, (10.0, 10.0), True),
        (-1.0, 10.0, (0.0, 10.0), True),
        (1.0, -5.0, (0.0, 0.0), True),
        (10.0 + 1e-9, 10.0, (10.0, 10.0), False),
    ],
)
def test_what_is_out_of_range_is_clamped_and_said(
    part: float, total: float, counts: tuple[float, float], *, is_clamped: bool
) -> None:
    """S14; what floats differ by in sums is not said."""
    found = reading(BAD, one(value(part)), one(value(total)))

    assert (found.counts, found.is_clamped) == ({"": counts}, is_clamped)


@pytest.mark.parametrize(
    ("ratio", "counts", "is_clamped"),
    [
        (0.25, (0.25, 1.0), False),
        (nan, (0.0, 0.0), False),
        (1.5, (1.0, 1.0), True),
        (-0.5, (0.0, 1.0), True),
        (inf, (1.0, 1.0), True),
    ],
)
def test_an_error_ratio_weighs_every_minute_alike(
    ratio: float, counts: tuple[float, float], *, is_clamped: bool
) -> None:
    """S5, S14: 0/0 is no traffic; what is not between 0 and 1 is clamped."""
    found = reading(RATIO, {}, one(value(ratio)))

    assert (found.counts, found.is_clamped) == ({"": counts}, is_clamped)


@pytest.mark.parametrize(
    ("queries", "part", "total", "problem"),
    [
        (BAD, (), (), Finding.NO_SAMPLES),
        (BAD, (value(1),), (), Finding.NO_SAMPLES),
        (BAD, (), (value(nan),), Finding.NO_SAMPLES),
        (BAD, (value(nan),), (value(5),), Finding.NO_SAMPLES),
        (RATIO, (), (), Finding.NO_SAMPLES),
        (LATENCY, (), (value(5),), Finding.BUCKET_MISSING),
        (BAD, (), (value(1, pod="a"), value(2, pod="b")), Finding.SEVERAL_SERIES),
        (BAD, (value(1, pod="a"), value(2, pod="b")), (value(5),), Finding.SEVERAL_SERIES),
        (RATIO, (), (value(1, pod="a"), value(2, pod="b")), Finding.SEVERAL_SERIES),
        (BAD, (value(inf),), (value(5),), Finding.NOT_FINITE),
        (BAD, (), (value(inf),), Finding.NOT_FINITE),
    ],
)
def test_what_cannot_be_counted_is_not(
    queries: Queries, part: tuple[Sample, ...], total: tuple[Sample, ...], problem: Problem
) -> None:
    """Fault 50: two series for one objective are no sum; S11: a bucket must exist; no data is no count."""
    found = reading(queries, one(*part), one(*total))

    assert (found.counts, found.problem) == ({}, problem)


def test_groups_are_the_values_of_labels() -> None:
    """S14; rates are per second."""
    total = one(value(1, a="x", pod="1"), value(2, a="y"), value(3), value(4, a="p,q"), value(9, a="z" * 300))
    found = reading(RATES, one(value(0.5, a="y")), total)

    assert found.counts == {"a=x": (0.0, 60.0), "a=y": (30.0, 120.0), "a=": (0.0, 180.0), "a=p%2Cq": (0.0, 240.0)}
    assert found.problem is Finding.TOO_MANY_GROUPS


def test_a_group_in_several_series_is_no_sum() -> None:
    found = reading(RATES, {}, one(value(1, a="x", pod="1"), value(1, a="x", pod="2")))

    assert found.problem is Finding.SEVERAL_SERIES


def test_names_of_groups_are_sorted_and_printable() -> None:
    assert name_of({"region": "eu\n", "route": "/pay", "pod": "1"}, ("route", "region")) == "region=eu?,route=/pay"
    assert name_of({"pod": "1"}, ()) == ""


def test_every_problem_has_a_reason_a_message_and_says_who_repairs_it() -> None:
    told = {problem: explain(problem, prometheus(ratioQuery="r")) for problem in (*Trouble, *Finding)}

    assert all(reason.isalpha() and message.endswith(".") for reason, message, _ in told.values())
    assert told[Finding.SEVERAL_SERIES][0] == "InvalidQuery"
    assert {problem for problem, (_, _, is_valid) in told.items() if not is_valid} == {
        Trouble.NOT_CONFIGURED,
        Trouble.INVALID_QUERY,
        Trouble.TOO_LARGE,
        Finding.BUCKET_MISSING,
        Finding.SEVERAL_SERIES,
        Finding.NOT_FINITE,
    }


RATIO_OF_GOOD = {"ratio": {"good": "g", "total": "t"}}


@pytest.mark.parametrize(
    ("spec", "is_of_part", "field"),
    [
        ({"ratio": {"bad": "b", "total": "t"}}, True, "ratio.bad"),
        (RATIO_OF_GOOD, True, "ratio.good"),
        (RATIO_OF_GOOD, False, "ratio.total"),
        ({"ratioQuery": "r"}, False, "ratioQuery"),
        ({"latency": {"histogram": "h", "threshold": "1s"}}, True, "latency"),
    ],
)
def test_a_query_that_is_refused_is_named(spec: dict[str, Any], field: str, *, is_of_part: bool) -> None:
    """S13."""
    for problem in (Trouble.INVALID_QUERY, Trouble.TOO_LARGE, Finding.SEVERAL_SERIES, Finding.NOT_FINITE):
        _, message, _ = explain(problem, prometheus(**spec), is_of_part=is_of_part)

        assert re.search(rf"spec\.indicator\.prometheus\.{re.escape(field)}[ ,]", message)
    assert "homeostat validate -f" in explain(Trouble.INVALID_QUERY, prometheus(**spec))[1]


def test_a_bucket_that_is_missing_is_named() -> None:
    """S11."""
    latency = prometheus(latency={"histogram": "request_seconds", "threshold": "300ms"})

    assert explain(Finding.BUCKET_MISSING, latency)[1] == (
        "The histogram request_seconds has no bucket at the threshold of 300ms."
    )


def test_whose_prometheus_it_is_is_said_without_its_address() -> None:
    for problem in (Trouble.UNREACHABLE, Trouble.TIMEOUT, Trouble.UNAVAILABLE, Trouble.NOT_PERMITTED):
        own, users = (
            explain(problem, prometheus(ratioQuery="r", url=url))[1] for url in ("", "http://user:secret@host:1")
        )

        assert own.startswith("The operator's own Prometheus (its setting prometheus_url) ")
        assert users.startswith("The Prometheus that spec.indicator.prometheus.url names ")
        assert "secret" not in users


@pytest.mark.parametrize(
    ("part", "total", "is_of_part"),
    [
        ((value(1, pod="a"), value(2, pod="b")), (value(5),), True),
        ((), (value(1, pod="a"), value(2, pod="b")), False),
        ((value(inf),), (value(5),), True),
        ((), (value(inf),), False),
        ((value(nan),), (value(5),), True),
        ((), (value(nan),), False),
    ],
)
def test_a_reading_says_which_query_it_could_not_be_made_of(part: Any, total: Any, *, is_of_part: bool) -> None:
    """S13."""
    found = reading(BAD, one(*part), one(*total))

    assert found.problem is not None
    assert found.is_of_part is is_of_part


# --- counters -------------------------------------------------------------------------------------------


def counted(steps: list[dict[str, float]], memory: Memory | None = None) -> tuple[list[float | None], Memory | None]:
    """Give the increase of all events by period; each step has the value of each pod, the first is the start."""
    start = END - 60 * (len(steps) - 1)
    segment = Segment(start, END, 60, 60, is_added=True)
    total = {
        start + 60 * number: tuple(value(count, pod=pod) for pod, count in step.items())
        for number, step in enumerate(steps)
        if step
    }
    memory, part, total_points = count_up(COUNTERS, memory, {}, total, segment)
    found = read(COUNTERS, part, total_points, segment)
    return [each.counts[""][1] if each.counts else None for each in found], memory


@pytest.mark.parametrize(
    ("steps", "increases"),
    [
        ([{"a": 5}, {"a": 7}, {"a": 7}], [2, 0]),
        ([{"a": 5}, {"a": 3}, {"a": 4}], [3, 1]),  # a reset
        ([{"a": 5}, {"a": 6, "b": 10}, {"a": 6, "b": 11}], [11, 1]),  # born late
        ([{"a": 5, "b": 5}, {"a": 6}, {"a": 7, "b": 8}], [1, 4]),  # vanished, and back
        ([{"a": 5}, {}, {"a": 9}], [None, 4]),
        ([{}, {"a": 1000}, {"a": 1001}], [None, 1]),  # a history begins
        ([{"a": 5, "b": 5}, {"a": 4, "b": 9}, {"a": 5, "b": 9}], [8, 1]),
        ([{"a": 5}, {"a": nan}, {"a": 7}], [None, 2]),
    ],
)
def test_the_increase_of_counters_is_taken_series_by_series(
    steps: list[dict[str, float]], increases: list[float | None]
) -> None:
    """Fault 50: counter resets."""
    assert counted(steps)[0] == increases


def test_a_counter_goes_on_where_it_was_left_and_a_new_one_begins_at_0_when_it_was_watched() -> None:
    _, memory = counted([{"a": 5}, {"a": 7}])
    assert memory is not None
    segment = Segment(END, END + 60, 60, 60, is_added=True)
    assert not needs_start(COUNTERS, memory, segment)

    again, part, total = count_up(
        COUNTERS, memory, {END + 60: [value(3, pod="x")]}, {END + 60: [value(9, pod="a"), value(4, pod="b")]}, segment
    )
    (found,) = read(COUNTERS, part, total, segment)

    assert found.counts == {"": (3.0, 6.0)}
    assert again is not None
    assert again.until == END + 60


def test_an_objective_that_had_no_data_yet_counts_its_first_events() -> None:
    """Of a service that is started while it is watched, no event is lost."""
    increases, memory = counted([{}, {}])
    assert increases == [None]
    segment = Segment(END, END + 60, 60, 60, is_added=True)

    _, part, total = count_up(COUNTERS, memory, {}, {END + 60: [value(4, pod="a")]}, segment)

    assert read(COUNTERS, part, total, segment)[0].counts == {"": (0.0, 4.0)}


def test_a_history_that_is_not_there_is_not_taken_for_one_without_events() -> None:
    """Where Prometheus keeps less than the window, counters do not begin at 0."""
    segment = Segment(END - 7200, END, HOUR, HOUR)

    memory, _, _ = count_up(COUNTERS, None, {}, {}, segment)

    assert memory is None


def test_a_memory_of_another_time_is_of_no_use() -> None:
    _, memory = counted([{"a": 5}, {"a": 7}])
    later = Segment(END + 600, END + 660, 60, 60, is_added=True)

    assert needs_start(COUNTERS, memory, later)
    assert not needs_start(BAD, None, later)
    _, _, total = count_up(
        COUNTERS, memory, {}, {END + 600: [value(50, pod="a")], END + 660: [value(51, pod="a")]}, later
    )
    assert total == {END + 660: [value(1, pod="a")]}


@given(st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=2), min_size=1, max_size=30), st.data())
def test_increases_add_up_to_what_was_counted(growth: list[list[int]], data: st.DataObject) -> None:
    """However a range is cut into pieces, and whatever restarts at 0, nothing is lost or counted twice."""
    counters, steps = [100, 200], [{"a": 100.0, "b": 200.0}]
    for step in growth:
        for number, grown in enumerate(step):
            counters[number] = (
                grown
                if grown and data.draw(st.integers(0, 9)) == 0 and grown < counters[number]
                else counters[number] + grown
            )
        steps.append({"a": float(counters[0]), "b": float(counters[1])})
    cut = data.draw(st.integers(0, len(growth)))
    start = END - 60 * len(growth)
    memory: Memory | None = None
    found = 0.0
    for first, last in ((0, cut), (cut, len(growth))):
        segment = Segment(start + 60 * first, start + 60 * last, 60, 60, is_added=True)
        points = {
            start + 60 * n: [value(v, pod=p) for p, v in steps[n].items()]
            for n in range(first + (memory is not None), last + 1)
        }
        memory, part, total = count_up(COUNTERS, memory, {}, points, segment)
        found += sum(each.counts[""][1] for each in read(COUNTERS, part, total, segment))

    assert found == sum(map(sum, growth))


# --- which periods --------------------------------------------------------------------------------------


def test_the_next_period_is_one_segment() -> None:
    assert segments(END - 60, END, 60, 30 * DAY) == (MINUTE,)
    assert segments(END, END, 60, 30 * DAY) == ()
    assert segments(END + 600, END, 60, 30 * DAY) == ()
    assert segments(END - 240, END, 300, 30 * DAY) == ()


def test_missed_minutes_are_one_segment() -> None:
    """Fault 53."""
    assert segments(END - 600, END, 60, 30 * DAY) == (Segment(END - 600, END, 60, 60, is_added=True),)


def test_a_history_is_hours_then_five_minutes_then_minutes() -> None:
    found = segments(None, END, 60, 30 * DAY)

    assert found[0] == Segment(END - 30 * DAY, END - 3 * DAY, 3600, 3600)
    assert {segment.bucket for segment in found[1:-1]} == {300}
    assert (found[1].start, found[-2].end) == (END - 3 * DAY, END - 6 * HOUR)
    assert found[-1] == Segment(END - 6 * HOUR, END, 60, 60, is_added=True)


@given(
    since=st.none() | st.integers(END - 91 * DAY, END - 60).map(lambda at: at // 60 * 60),
    end=st.integers(END - 2 * HOUR, END).map(lambda at: at // 60 * 60),
    period=st.sampled_from([60, 120, 300, 600, 720, 1200, 1800, 3600]),
    reach=st.sampled_from([HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY]),
    most=st.sampled_from([24, 120, MOST_POINTS]),
)
def test_segments_leave_no_gap_and_add_nothing_twice(
    since: int | None, end: int, period: int, reach: int, most: int
) -> None:
    """Fault 53: what is missing is asked for once, as far as the window reaches, and where it is kept that finely."""
    end = end // period * period
    found = segments(since, end, period, reach, most)
    first = max(end - reach, since or 0)

    added = [segment for segment in found if segment.is_added]
    whole = [segment for segment in found if segment.bucket != 60 or segment.is_added]
    assert all(one.end == other.start for one, other in pairwise(whole))
    if whole:
        assert whole[0].start <= first or whole[0].is_added
        assert whole[-1].end > end - period
    assert all((segment.end - segment.start) % segment.step == 0 for segment in found)
    assert all((segment.end - segment.start) // segment.step <= max(most, 12) for segment in found)
    assert all(segment.step % segment.bucket == 0 for segment in found)
    assert all(segment.start % segment.bucket == 0 for segment in found)
    assert sum(segment.end - segment.start for segment in added) <= 6 * HOUR
    assert [segment.end for segment in whole] == sorted(segment.end for segment in whole)
    hours = [segment for segment in found if segment.bucket > 60]
    assert all(segment.start % HOUR == 0 and segment.end % HOUR == 0 for segment in hours)


def test_a_window_that_became_longer_is_filled_by_what_can_be_put() -> None:
    """Fault 52."""
    found = extension(END + 600, 60, 30 * DAY)

    assert not any(segment.is_added for segment in found)
    assert (found[0].start, found[-1].end) == (END + 600 - 30 * DAY - 600, END)
    assert {segment.bucket for segment in found} == {3600, 300, 60}


# --- books ----------------------------------------------------------------------------------------------


def test_a_long_period_is_spread_over_its_minutes() -> None:
    segment = Segment(END - 300, END, 300, 60, is_added=True)
    found = entries([Reading(END, {"a=x": (5.0, 10.0)})], segment)

    assert found == {("a=x", END - 300 + 60 * n, 60): Entry(1.0, 2.0, 1) for n in range(5)}


def test_five_minutes_make_up_hours_and_groups_the_whole() -> None:
    segment = Segment(END - 3600, END, 600, 300)
    readings = [Reading(END - 3000, {"a=x": (1.0, 10.0), "a=y": (0.0, 2.0)}), Reading(END, {"a=x": (2.0, 20.0)})]
    found = entries(readings, segment)

    assert found["a=x", END - 3600, 3600] == Entry(3.0, 30.0, 20)
    assert found["", END - 3600, 3600] == Entry(3.0, 32.0, 20)
    assert found["", END - 3600, 300] == Entry(0.5, 6.0, 5)


@given(
    counts=st.lists(st.none() | st.tuples(st.integers(0, 50), st.integers(50, 100)), min_size=12, max_size=12),
    period=st.sampled_from([300, 600, 1200, 1800, 3600]),
)
def test_nothing_is_lost_in_books(counts: list[tuple[int, int] | None], period: int) -> None:
    segment = Segment(END - 12 * period, END, period, 300)
    readings = [
        Reading(END - n * period, {} if each is None else {"": (float(each[0]), float(each[1]))})
        for n, each in enumerate(counts)
    ]
    for length in (300, 3600):
        booked = [entry for (_, _, seconds), entry in entries(readings, segment).items() if seconds == length]
        assert sum(entry.bad for entry in booked) == pytest.approx(sum(each[0] for each in counts if each))
        assert sum(entry.total for entry in booked) == pytest.approx(sum(each[1] for each in counts if each))
        assert sum(entry.observed for entry in booked) * 60 == period * sum(each is not None for each in counts)


# --- answers --------------------------------------------------------------------------------------------


def test_points_are_what_an_answer_has_at_each_time() -> None:
    matrix = Matrix((Line(((60.0, 1.0), (120.0, 2.0)), {"a": "x"}), Line(((120.0, 3.0),), {"a": "y"})))

    assert points_of(matrix, 0) == {60: [value(1, a="x")], 120: [value(2, a="x"), value(3, a="y")]}
    assert points_of(Vector((value(1),)), 60) == {60: (value(1),)}
    assert points_of(Vector(()), 60) == {}


def test_too_many_series_are_not_taken() -> None:
    """Fault 54."""
    samples = tuple(value(1, pod=str(n)) for n in range(5001))

    assert is_too_large(Vector(samples))
    assert not is_too_large(Vector(samples[1:]))
    assert not is_too_large(Matrix(()))
