"""The shared vocabulary: exact numbers, durations and times survive the wire; nonsense is refused."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from homeostat.api.meta import (
    Condition,
    ConditionStatus,
    Duration,
    ExactDecimal,
    GoDuration,
    IntOrPercent,
    Model,
    Percent,
    PreciseTime,
    Status,
    Time,
    between,
    exactly_one,
    format_decimal,
    format_duration,
    format_go_duration,
    format_precise_time,
    format_time,
    parse_duration,
)


class Sample(Model):
    hold_for: Duration = timedelta(0)
    objective: ExactDecimal = Decimal("99.9")
    share: Percent = Decimal("0.25")
    count: IntOrPercent = 1
    at: PreciseTime | None = None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0s", timedelta(0)),
        ("200ms", timedelta(milliseconds=200)),
        ("30s", timedelta(seconds=30)),
        ("1h30m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(days=28)),
    ],
)
def test_a_duration_is_read_in_units_of_go_and_prometheus(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "abc", "5", "-1s", "1.5h", "1h 30m", "1y", "1hh", "s"])
def test_what_is_no_duration_is_refused_never_taken_for_no_limit(text: str) -> None:
    """C1: unparsable is refused."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.integers(0, 10**12).map(lambda milliseconds: timedelta(milliseconds=milliseconds)))
def test_a_duration_survives_the_wire(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


def test_a_duration_that_cel_reads_is_written_without_days() -> None:
    """A default or a status of a day or more must pass the pattern of its own field."""
    assert format_duration(timedelta(hours=36)) == "1d12h"
    assert format_go_duration(timedelta(hours=36)) == "36h"


@given(st.timedeltas(min_value=timedelta(seconds=-5), max_value=timedelta(0)))
def test_a_duration_is_never_written_as_negative(value: timedelta) -> None:
    assert format_duration(value) == "0s"


@pytest.mark.parametrize(("value", "text"), [("100", "100"), ("1E+2", "100"), ("-0.0", "0"), ("99.950", "99.95")])
def test_a_decimal_is_written_plain(value: str, text: str) -> None:
    assert format_decimal(Decimal(value)) == text


@given(st.decimals(-(10**9), 10**9, places=9))
def test_a_decimal_is_exact_end_to_end(value: Decimal) -> None:
    """S1: 0.999 stays 0.999."""
    adapter: TypeAdapter[Decimal] = TypeAdapter(ExactDecimal)

    assert adapter.validate_python(adapter.dump_python(value)) == value


def test_the_error_budget_of_an_objective_is_exact() -> None:
    """S1: 0.999 gives B = 0.001, not 0.0009999999999999432."""
    assert 1 - Sample.model_validate({"objective": "99.9"}).objective / 100 == Decimal("0.001")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "abc", ""])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate({"objective": text})


@given(st.integers(0, 10**8).map(lambda millionths: Decimal(millionths) / 10**8))
def test_a_percentage_survives_the_wire_as_an_exact_ratio(ratio: Decimal) -> None:
    sample = Sample(share=ratio)

    assert Sample.model_validate(sample.wire()).share == ratio
    assert sample.wire()["share"].endswith("%")


@pytest.mark.parametrize("text", ["101%", "-1%", "25", "%", "1e1%", "100.0000001%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate({"share": text})


@pytest.mark.parametrize(("wire", "value"), [(3, 3), ("4", 4), ("25%", Decimal("0.25")), ("100%", Decimal(1)), (0, 0)])
def test_a_count_or_share_is_an_int_or_a_ratio(wire: object, value: int | Decimal) -> None:
    count = Sample.model_validate({"count": wire}).count

    assert count == value
    assert type(count) is type(value)
    assert Sample.model_validate({"count": Sample(count=value).wire()["count"]}).count == value


def test_times_are_written_in_utc_to_the_second_or_to_the_microsecond() -> None:
    moment = datetime(2026, 12, 1, 2, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))

    assert format_time(moment) == "2026-12-01T00:00:00Z"
    assert format_precise_time(moment) == "2026-12-01T00:00:00.250000Z"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive
def test_a_precise_time_survives_the_wire(moment: datetime) -> None:
    assert Sample.model_validate(Sample(at=moment).wire()).at == moment


@pytest.mark.parametrize("text", ["2026-12-01T00:00:00", "yesterday"])
def test_a_time_needs_a_zone(text: str) -> None:
    adapter: TypeAdapter[datetime] = TypeAdapter(Time)

    with pytest.raises(ValidationError):
        adapter.validate_python(text)


def test_the_wire_has_camel_case_and_no_nulls() -> None:
    assert Sample(hold_for=timedelta(seconds=90)).wire() == {
        "holdFor": "1m30s",
        "objective": "99.9",
        "share": "25%",
        "count": 1,
    }


def test_unknown_fields_are_pruned_as_the_api_server_does() -> None:
    assert Sample.model_validate({"nonsense": 1}) == Sample()


def test_a_model_cannot_be_changed() -> None:
    sample = Sample()

    with pytest.raises(ValidationError):
        sample.count = 2  # type: ignore[misc]


def test_a_status_starts_unobserved() -> None:
    assert Status().wire() == {"observedGeneration": -1, "conditions": []}


def test_a_reason_must_be_a_word_for_machines() -> None:
    with pytest.raises(ValidationError):
        Condition(
            type="Ready",
            status=ConditionStatus.TRUE,
            last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
            reason="it is",
        )


def test_a_rule_of_a_union_names_its_members() -> None:
    rule = exactly_one("http", "tcp", what="probe")

    assert rule.expression == "[has(self.http), has(self.tcp)].filter(x, x).size() == 1"
    assert rule.message == "probe: exactly one of http, tcp must be set"


def test_a_rule_of_bounds_names_them() -> None:
    assert between("1s", "2h").message == "must be between 1s and 2h"


def test_only_units_of_go_may_be_compared_by_cel() -> None:
    schema = TypeAdapter(Annotated[timedelta, *GoDuration.__metadata__]).json_schema()

    assert "d|w" not in schema["pattern"]
