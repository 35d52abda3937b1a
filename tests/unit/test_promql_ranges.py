"""Queries of others over a range: what becomes `{{window}}`, and what stays as it is."""

import pytest

from homeostat.interchange.promql import Taken, counts, selector


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(rate(x[{{.window}}]))", "sum(rate(x[{{window}}]))"),
        ("sum(rate(x[{{ .window }}]))", "sum(rate(x[{{window}}]))"),
        ("sum(x)", "sum(x)"),
        ("sum(rate(x[5m]))", "sum(rate(x[{{window}}]))"),
        ("sum(increase(x[1h])) or vector(0)", "sum(increase(x[{{window}}])) or vector(0)"),
        ('sum(rate(x{a="[5m]"}[ 5m ]))', 'sum(rate(x{a="[5m]"}[{{window}}]))'),
    ],
)
def test_a_query_of_counts_is_asked_over_the_window(query: str, expected: str) -> None:
    assert counts([query], is_counter=True).queries == (expected,)


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(x[5m] offset 1h))",
        "sum(sum_over_time(x[5m]))",
        "sum(irate(x[5m]))",
        "max_over_time(rate(x[5m])[1h:1m])",
    ],
)
def test_a_range_that_means_something_stays_and_that_is_told(query: str) -> None:
    taken = counts([query], is_counter=True)

    assert taken.queries == (query,)
    assert "its own range" in taken.notes[0]


def test_rate_and_increase_are_not_mixed_up() -> None:
    query = "sum(rate(x[5m])) + sum(increase(y[1h]))"

    assert counts([query], is_counter=True).queries == (query,)


def test_what_is_no_counter_counts_by_its_mean() -> None:
    assert counts(["sum(x)"], is_counter=False).queries == ("avg_over_time((sum(x))[{{window}}:])",)


def test_what_is_no_promql_stays_for_others_to_refuse() -> None:
    assert counts(["sum("], is_counter=True) == Taken(("sum(",))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("x", "x"),
        ('x{a="b",c=~"d.*",e!="f",g!~"h"}', 'x{a="b",c=~"d.*",e!="f",g!~"h"}'),
        ('x{a="\\"b\\\\"}', 'x{a="\\"b\\\\"}'),
        ("sum(x)", None),
        ("x offset 5m", None),
        ("x[5m]", None),
        ('{__name__="x"}', None),
        ("x{", None),
    ],
)
def test_a_selector_is_read_and_written_as_it_was(query: str, expected: str | None) -> None:
    found = selector(query)

    assert (None if found is None else str(found)) == expected
