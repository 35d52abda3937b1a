import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective_indicator import Indicator, PrometheusIndicator
from homeostat.core.prometheus.queries import Part, Unit, bucket_pattern, period_of, problems, queries_of


def indicator(**spec: Any) -> PrometheusIndicator:
    return PrometheusIndicator.model_validate(spec)


def latency(**spec: Any) -> PrometheusIndicator:
    return indicator(latency={"histogram": "req_seconds", "threshold": "300ms", **spec})


@pytest.mark.parametrize("placeholder", ["{{window}}", "{{ window }}", "{{.window}}", "{{  .window }}"])
def test_the_window_may_be_written_as_others_write_it(placeholder: str) -> None:
    queries = queries_of(
        indicator(ratio={"bad": f"sum(rate(e[{placeholder}]))", "total": f"sum(rate(x[{placeholder}]))"})
    )

    assert queries.query.text(300) == "sum(rate(e[300s]))"
    assert queries.total is not None
    assert queries.total.text(60) == "sum(rate(x[60s]))"
    assert queries.part is Part.BAD


@pytest.mark.parametrize(
    ("text", "unit", "events"),
    [
        ("sum(rate(x[{{window}}]))", Unit.RATE, 600.0),
        ("sum(irate(x[{{window}}]))", Unit.RATE, 600.0),
        ("sum(increase(x[{{window}}]))", Unit.COUNT, 2.0),
        ("sum_over_time(x[{{window}}])", Unit.COUNT, 2.0),
        ("sum(increase(x[{{window}}])) or vector(0)", Unit.COUNT, 2.0),
        ("sum_over_time(rate(x[1m])[{{window}}:1m])", Unit.COUNT, 2.0),
        ("-(sum by (a) (rate(x[{{window}}])))", Unit.RATE, 600.0),
        ("job:requests[{{window}}", Unit.COUNT, 2.0),
        ("sum(rate(x[{{window}}]) smoothed newer", Unit.RATE, 600.0),
        ("sum(rate(x[5m]))", Unit.RATE, 600.0),
        ("sum(increase(x[10m]))", Unit.COUNT, 1.0),
        ("x_total", Unit.COUNTER, 2.0),
        ("sum(x_total)", Unit.COUNTER, 2.0),
        ("sum by (a) (x_total)", Unit.RATE, 600.0),
        ("sum(x_total) + sum(y_total)", Unit.RATE, 600.0),
    ],
)
def test_the_outermost_function_over_a_range_tells_what_the_numbers_are(text: str, unit: Unit, events: float) -> None:
    """A rate is per second, an increase is a count, and what is neither is a counter."""
    total = queries_of(indicator(ratio={"good": "x_good", "total": text})).total

    assert total is not None
    assert total.unit is unit
    assert total.events(2.0, 300) == events


def test_good_and_an_error_ratio_are_told_apart() -> None:
    assert queries_of(indicator(ratio={"good": "g", "total": "t"})).part is Part.GOOD
    ratio = queries_of(indicator(ratioQuery="1 - avg(probe_success)", groupBy=["region"]))
    assert (ratio.query.unit, ratio.total, ratio.groups) == (Unit.RATIO, None, ("region",))


def test_an_indicator_without_queries_is_refused() -> None:
    with pytest.raises(ValueError, match="no queries"):
        queries_of(indicator())


# --- latency --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "spellings"),
    [
        ("1", ["1", "1.0", "1.000", "1e+00", "1e0", "1.0e+00"]),
        ("0.3", ["0.3", "0.30", "0.300", "3e-01", "3e-1", "3.0e-01"]),
        ("0.25", ["0.25", "0.250", "2.5e-01", "2.50e-1"]),
        ("10", ["10", "10.0", "1e+01", "1e1"]),
        ("0.005", ["0.005", "0.0050", "5e-03"]),
        ("2.5", ["2.5", "2.50", "2.5e+00"]),
        ("3600", ["3600", "3600.0", "3.6e+03"]),
    ],
)
def test_a_bucket_is_found_however_its_bound_is_written(seconds: str, spellings: list[str]) -> None:
    """S11: `1` and `1.0` match."""
    pattern = bucket_pattern(Decimal(seconds))

    assert all(re.fullmatch(pattern, spelling) for spelling in spellings)


@given(st.integers(1, 3_600_000), st.integers(1, 3_600_000))
def test_a_bucket_matches_its_own_bound_and_no_other(wanted: int, other: int) -> None:
    """S11."""
    pattern = bucket_pattern(Decimal(wanted) / 1000)
    for milliseconds in (wanted, other):
        for text in (repr(milliseconds / 1000), f"{milliseconds / 1000:e}", f"{milliseconds / 1000:.3f}"):
            assert (re.fullmatch(pattern, text) is not None) is (milliseconds == wanted)


def test_a_classic_histogram_gives_its_bucket_and_its_count() -> None:
    histogram = {"histogram": "req_seconds", "threshold": "300ms", "selector": 'job="api",'}
    queries = queries_of(indicator(latency=histogram, groupBy=["route", "region"]))

    assert queries.total is not None
    assert queries.total.text(60) == 'sum by (route, region) (increase(req_seconds_count{job="api"}[60s]))'
    good = queries.query.text(60)
    assert good.startswith('sum by (route, region) (increase(req_seconds_bucket{job="api",le=~"')
    assert (queries.part, queries.needs_part) == (Part.GOOD, True)


def test_a_native_histogram_gives_a_fraction_of_its_count() -> None:
    queries = queries_of(latency(type="Native"))

    assert queries.total is not None
    assert queries.total.text(60) == "histogram_count(sum(increase(req_seconds{}[60s])))"
    assert queries.query.text(60).startswith(
        "histogram_fraction(0, 0.3, sum(increase(req_seconds{}[60s]))) * histogram"
    )
    assert problems(Indicator(prometheus=latency(type="Native", selector='a="b"'))) == ()


def test_a_period_is_whole_minutes() -> None:
    assert [period_of(timedelta(seconds=seconds)) for seconds in (60, 90, 300, 3600)] == [60, 120, 300, 3600]


# --- what can be said offline ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "path", "told"),
    [
        ({"ratio": {"bad": "sum(x", "total": "t"}}, "ratio.bad", "cannot be read"),
        ({"ratio": {"good": "g", "total": "rate(x{{window}})"}}, "ratio.total", "cannot be read"),
        ({"ratio": {"good": "g", "total": "x[{{window}}]"}}, "ratio.total", "ranges"),
        ({"ratio": {"good": '"g"', "total": "t"}}, "ratio.good", "a text"),
        ({"ratioQuery": "rate(x[{{windows}}])"}, "ratioQuery", "{{windows}} stands for nothing"),
        ({"latency": {"histogram": "h", "threshold": "1s", "selector": "a=b"}}, "latency.selector", "cannot be read"),
    ],
)
def test_what_cannot_be_a_query_is_said_with_its_place(spec: dict[str, Any], path: str, told: str) -> None:
    ((where, what),) = problems(Indicator(prometheus=indicator(**spec)))

    assert where == f"spec.indicator.prometheus.{path}"
    assert told in what
    assert "\n" not in what


def test_good_queries_and_other_indicators_have_no_problems() -> None:
    ratio = {"bad": "sum(rate(e[{{ window }}]))", "total": "sum(rate(x[{{.window}}]))"}

    assert problems(Indicator(prometheus=indicator(ratio=ratio))) == ()
    assert problems(Indicator(prometheus=latency(selector='job=~"a|b"'))) == ()
    assert problems(Indicator.model_validate({"events": {}})) == ()


@pytest.mark.parametrize(
    ("text", "groups", "asked"),
    [
        ('sum(x{a="b"})', (), 'x{a="b"}'),
        ("(sum by (route, zone) (x))", ("zone", "route"), "x{}"),
        ("sum(x) + sum(y)", (), "sum(rate(x{}[60s])) + sum(rate(y{}[60s]))"),
        ("sum without (pod) (x)", (), "sum without (pod)(rate(x{}[60s]))"),
        ("sum(x)", ("route",), "sum(rate(x{}[60s]))"),
        ('sum(x{p="[1y]"}) - sum(y)', (), 'sum(rate(x{p="[1y]"}[60s])) - sum(rate(y{}[60s]))'),
        ("max(x)", (), "max(x)"),
        ("sum(x offset 5m)", (), "sum(x offset 5m)"),
    ],
)
def test_the_increase_is_taken_of_each_counter_and_not_of_their_sum(
    text: str, groups: tuple[str, ...], asked: str
) -> None:
    """S4: when one of several counters begins anew, the sum falls, and that is no reset of all."""
    query = queries_of(indicator(ratio={"bad": text, "total": text}, groupBy=list(groups))).query

    assert query.text(60) == asked
    assert query.written == text
