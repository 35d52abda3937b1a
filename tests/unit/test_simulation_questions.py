"""What Prometheus is asked for a replay: all of the time, no more questions than are allowed, and nothing made up."""

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.core.prometheus.answer import Sample
from homeostat.core.prometheus.collecting import Points, Segment
from homeostat.core.prometheus.comparing import Comparison
from homeostat.core.prometheus.queries import period_of
from homeostat.core.simulation.questions import (
    FEWEST_POINTS,
    MOST_QUERIES,
    Gathering,
    Times,
    Values,
    fewer,
    plan,
    plan_of_values,
)

BEGIN = 1_795_305_600 // HOUR * HOUR
START = datetime.fromtimestamp(BEGIN, UTC)
RATES = {"bad": "sum(rate(errors[{{window}}]))", "total": "sum(rate(all[{{window}}]))"}


def indicator(**more: Any) -> PrometheusIndicator:
    return PrometheusIndicator.model_validate({"ratio": RATES} | more)


def times(days: float, back: float = 30) -> Times:
    since = START + timedelta(minutes=7)
    return Times(since - timedelta(days=back), since, since + timedelta(days=days))


@given(
    days=st.floats(0.01, 300),
    back=st.floats(0, 400),
    resolution=st.sampled_from(["1m", "2m", "5m", "12m", "1h"]),
    groups=st.sampled_from([[], ["pod"]]),
    most=st.integers(1, 500),
)
def test_all_of_the_time_is_asked_for_once_in_no_more_queries_than_allowed(
    days: float,
    back: float,
    resolution: str,
    groups: list[str],
    most: int,
) -> None:
    asked, wanted = indicator(resolution=resolution, groupBy=groups), times(days, back)
    found = plan(asked, wanted, most=most)
    if found is None:
        return
    assert 2 * len(found) <= most
    assert all(one.end - one.start <= 720 * one.step for one in found)
    assert all((one.end - one.start) % one.step == 0 and one.step % one.bucket == 0 for one in found)
    assert all(sooner.end == later.start for sooner, later in itertools.pairwise(found))
    if found:
        assert found[0].start <= wanted.begin.timestamp()
        left = wanted.until.timestamp() - found[-1].end
        assert 0 < left <= period_of(asked.resolution) + 5


@pytest.mark.parametrize(("days", "bucket"), [(30, MINUTE), (120, 5 * MINUTE), (1000, HOUR)])
def test_the_longer_the_time_the_coarser_it_is_asked_for(days: int, bucket: int) -> None:
    found = plan(indicator(), times(days))
    assert found is not None
    assert found[-2].bucket == bucket
    assert found[-1].bucket == MINUTE
    assert found[0].bucket == HOUR


def test_the_days_before_are_as_fine_as_alerts_need_them() -> None:
    found = plan(indicator(), times(1))
    assert found is not None
    fine = min(one.start for one in found if one.bucket == MINUTE)
    assert fine <= times(1).since.timestamp() - 3 * DAY


def test_slices_are_asked_for_in_buckets_no_longer_than_they_are_or_not_at_all() -> None:
    found = plan(indicator(), times(1), 5 * MINUTE)
    assert found is not None
    assert {one.bucket for one in found} == {MINUTE}
    assert plan(indicator(), times(200), MINUTE) is None


def test_too_long_a_time_is_not_asked_for() -> None:
    assert plan(indicator(), times(100_000), most=MOST_QUERIES) is None
    assert plan_of_values(times(10_000)) is not None
    assert plan_of_values(times(100_000)) is None


@given(points=st.integers(1, 2000), step=st.sampled_from([60, 300, 3600]))
def test_what_is_too_much_is_divided_until_it_is_little(points: int, step: int) -> None:
    whole = Segment(0, points * step, step, MINUTE)
    smaller = fewer(whole)
    assert bool(smaller) is (points > FEWEST_POINTS)
    if smaller:
        assert (smaller[0].start, smaller[-1].end) == (0, whole.end)
        assert max(one.end - one.start for one in smaller) < whole.end


# --- answers --------------------------------------------------------------------------------------------

a_minute = st.one_of(
    st.none(), st.integers(1, 20).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
)


@given(minutes=st.lists(a_minute, min_size=1, max_size=60), cuts=st.integers(1, 20))
def test_what_prometheus_answers_is_counted_and_what_it_does_not_is_a_gap(
    minutes: list[tuple[int, int] | None], cuts: int
) -> None:
    gathering = Gathering(indicator())
    for first in range(0, len(minutes), cuts):
        chunk = range(first, min(first + cuts, len(minutes)))
        known = {BEGIN + (number + 1) * MINUTE: minutes[number] for number in chunk}
        bad, total = (
            {at: (Sample(one[which] / MINUTE),) for at, one in known.items() if one is not None} for which in (0, 1)
        )
        segment = Segment(BEGIN + first * MINUTE, BEGIN + (chunk[-1] + 1) * MINUTE, MINUTE, MINUTE)
        gathering.take(segment, bad, total, is_partial=False)
    found = gathering.series()
    there = [one for one in minutes if one is not None]
    assert bool(found) is bool(there)
    if not found:
        assert "no samples" in gathering.why_nothing()
        return
    end = BEGIN + len(minutes) * MINUTE
    counts = found[""].at(datetime.fromtimestamp(end, UTC)).between(BEGIN, end)
    assert counts.bad == pytest.approx(sum(bad for bad, _ in there))
    assert counts.total == pytest.approx(sum(total for _, total in there))
    missing = sum(until - since for since, until in found[""].gaps(BEGIN, end))
    assert missing == MINUTE * minutes.count(None)


@given(
    increments=st.lists(st.tuples(st.integers(0, 5), st.integers(5, 9)), min_size=1, max_size=40),
    cuts=st.integers(1, 9),
)
def test_counters_are_counted_to_the_event_however_the_questions_are_divided(
    increments: list[tuple[int, int]], cuts: int
) -> None:
    gathering = Gathering(indicator(ratio={"bad": "errors_total", "total": "requests_total"}))
    sums = [(1000, 2000)]
    for bad, total in increments:
        sums.append((sums[-1][0] + bad, sums[-1][1] + total))
    for first in range(0, len(increments), cuts):
        last = min(first + cuts, len(increments))
        segment = Segment(BEGIN + first * MINUTE, BEGIN + last * MINUTE, MINUTE, MINUTE)
        asked = gathering.asked(segment)
        assert asked.start == segment.start - (0 if first else MINUTE)
        points = [
            {BEGIN + number * MINUTE: (Sample(float(sums[number][which])),)
             for number in range((asked.start - BEGIN) // MINUTE + 1, last + 1)}
            for which in (0, 1)
        ]  # fmt: skip
        gathering.take(segment, points[0], points[1], is_partial=False)
    end = BEGIN + len(increments) * MINUTE
    counts = gathering.series()[""].at(datetime.fromtimestamp(end, UTC)).between(BEGIN, end)
    assert (counts.bad, counts.total) == (sum(one[0] for one in increments), sum(one[1] for one in increments))


def test_groups_are_counted_by_themselves_and_all_together() -> None:
    gathering = Gathering(indicator(groupBy=["pod"]))
    answers = (Sample(1.0, {"pod": "a"}), Sample(3.0, {"pod": "b"}))
    gathering.take(Segment(BEGIN, BEGIN + MINUTE, MINUTE, MINUTE), {}, {BEGIN + MINUTE: answers}, is_partial=False)
    found = gathering.series()
    assert {name: one.at(START).last(MINUTE).total for name, one in found.items()} == {
        "": 240,
        "pod=a": 60,
        "pod=b": 180,
    }


@pytest.mark.parametrize(
    ("part", "total", "said"),
    [
        ((Sample(2.0),), (Sample(1.0),), "1 of 2 periods counted less than none or more than all"),
        ((Sample(0.0),), (Sample(1.0, {"a": "1"}), Sample(1.0, {"a": "2"})), "gives several series where one"),
        ((Sample(0.0),), (Sample(math.inf),), "gives an infinite count"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_answers_is_said(part: Any, total: Any, said: str) -> None:
    gathering = Gathering(indicator())
    at = BEGIN + MINUTE
    gathering.take(Segment(BEGIN, BEGIN + 2 * MINUTE, MINUTE, MINUTE), {at: part}, {at: total}, is_partial=True)
    told = list(gathering.remarks())
    assert any(said in one for one in told)
    assert any("2 of 2 periods are not answered completely" in one for one in told)


# --- triggers -------------------------------------------------------------------------------------------

a_value = st.one_of(st.none(), st.floats(), st.just("two"))


@given(minutes=st.lists(a_value, min_size=1, max_size=40))
def test_a_trigger_fires_where_the_one_value_says_so_and_is_unknown_where_there_is_none(
    minutes: list[float | str | None],
) -> None:
    points: Points = {
        BEGIN + number * MINUTE: (Sample(one),) if isinstance(one, float) else (Sample(9.0), Sample(9.0, {"a": "b"}))
        for number, one in enumerate(minutes)
        if one is not None
    }
    found = Values(points, MINUTE, Comparison(">", 5.0))
    fires = []
    for number, one in enumerate(minutes):
        now = START + timedelta(minutes=number)
        is_known = isinstance(one, float) and math.isfinite(one)
        assert found.verdict(now) is ((one > 5) if is_known and isinstance(one, float) else None)
        fires += [now] if found.verdict(now) else []
    before = START - timedelta(minutes=1)
    assert found.next_look(before) == (fires[0] if fires else None)
    known = sum(isinstance(one, float) and math.isfinite(one) for one in minutes)
    missing = sum(end - start for start, end in found.gaps(BEGIN, BEGIN + len(minutes) * MINUTE))
    assert missing == (len(minutes) - known) * MINUTE
    assert found.refused == len(points) - known
