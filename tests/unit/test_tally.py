"""What the windows of an objective hold by its method, over periods and with exclusions (S4, S5, S7, S8, S9)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.objective.burn import Terms
from homeostat.core.objective.calendar import period_at
from homeostat.core.objective.evaluation import ObjectiveSeen, SourceSeen, decide
from homeostat.core.objective.figures import Figures, measure
from homeostat.core.objective.tally import Tally, member
from homeostat.core.ref import Ref
from minutes import Minutes, epoch

END = epoch("2026-12-08T00:00")
NOW = datetime.fromtimestamp(END - 1, tz=UTC)
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
SLICES = {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}


def spec_of(objective: str = "99.9", rolling: str = "30d", **changes: Any) -> ServiceLevelObjectiveSpec:
    plain = {"objective": objective, "window": {"rolling": rolling}, "indicator": {"healthCheck": {"name": "checkout"}}}
    return ServiceLevelObjectiveSpec.model_validate(plain | changes)


def figures(spec: ServiceLevelObjectiveSpec, series: Minutes, now: datetime = NOW, interval: int = 10) -> Figures:
    series.now = now.timestamp()
    period = period_at(spec.window, now)
    terms = Terms((100 - spec.objective) / 100, period.length)
    tally = Tally(spec, series, timedelta(seconds=interval), period, now)
    return measure(tally, terms, (timedelta(hours=1),))


def status(spec: ServiceLevelObjectiveSpec, series: Minutes, now: datetime = NOW) -> dict[str, Any]:
    series.now = now.timestamp()
    source = SourceSeen(timedelta(seconds=10), now, timedelta(minutes=1))
    seen = ObjectiveSeen(Ref("ServiceLevelObjective", "shop", "checkout", "uid-1"), 1, series, source=source)
    return decide(spec, ServiceLevelObjectiveStatus(), seen, now).status.wire()


def spread(bad: int, of: int, span: int, each: int = 1) -> Minutes:
    """Spread so many events evenly over a span that ends now; the first `bad` of them are."""
    series = Minutes()
    for number in range(of):
        series.add((END - span + number * (span // of)) // MINUTE, each if number < bad else 0, each)
    return series


# --- occurrences ------------------------------------------------------------------------------------------


def test_ten_requests_an_hour_with_one_failure() -> None:
    """S4: 7,200 requests in 30 days, a budget of 7.2 of them: one is 13.9 %; 0 is no traffic, not no data (S5)."""
    series = Minutes().fill(END - 30 * DAY, END, 0, 0)
    for minute in range((END - 30 * DAY) // MINUTE, END // MINUTE, 6):
        series.add(minute, 0, 1)
    series.add(END // MINUTE - 6, 1, 0)
    found = figures(spec_of(), series)

    assert found.consumed is not None
    assert round(found.consumed * 100, 1) == Decimal("13.9")
    assert found.consumed == 1 / Decimal("7.2")
    assert found.coverage == 1


def test_a_failure_of_ten_thousand_is_a_tenth_of_the_budget_of_these_events() -> None:
    """S4: 9,999 good of 10,000 at 99.9 %."""
    wire = status(spec_of(rolling="7d"), Minutes().fill(END - WEEK, END, 0, 0).fill(END - MINUTE, END, 1, 10_000))

    assert (wire["budget"]["consumed"], wire["sli"], wire["bad"], wire["good"]) == ("10", "99.99", 1, 9_999)


def test_no_events_are_no_data_and_not_100_percent() -> None:
    """S5."""
    wire = status(spec_of(), Minutes().fill(END - DAY, END, 0, 0))

    assert "sli" not in wire
    assert wire["state"] == "Unknown"


def test_an_sli_is_exact() -> None:
    """S1, S4: 33 good of 90."""
    found = figures(spec_of("50", "1h"), spread(57, 90, 90 * MINUTE).fill(END - HOUR, END, 0, 0), interval=10)
    whole = figures(spec_of("50", "2h"), spread(57, 90, 90 * MINUTE))

    assert found.bad_ratio is None
    assert whole.bad_ratio is not None
    assert round(1 - whole.bad_ratio, 6) == Decimal("0.366667")


def test_a_result_speaks_for_its_interval() -> None:
    """S6: a check that runs every five minutes covers its window with one minute in five."""
    series = Minutes().fill(END - HOUR, END, 0, 1, every=5)

    assert figures(spec_of(rolling="1h"), series, interval=300).coverage == 1
    assert figures(spec_of(rolling="1h"), series, interval=10).coverage == Decimal("0.2")


# --- slices -----------------------------------------------------------------------------------------------


def test_a_week_of_minutes_at_three_and_a_half_nines() -> None:
    """S7: 10,080 slices, a budget of 5.04 minutes."""
    spec = spec_of("99.95", "7d", budgeting=SLICES)
    found = figures(spec, spread(5, 10_080, WEEK))

    assert found.consumed is not None
    assert round(found.consumed, 20) == round(5 / Decimal("5.04"), 20)
    assert (found.good, found.bad, found.coverage) == (10_075, 5, 1)


def test_the_sli_of_slices() -> None:
    """S7: 80 bad of 10,080, and 10 bad of 168."""
    minutes = figures(spec_of("99", "7d", budgeting=SLICES), spread(80, 10_080, WEEK))
    hours = figures(spec_of("99", "7d", budgeting={**SLICES, "slice": "1h"}), spread(10, 168, WEEK))

    assert minutes.bad_ratio is not None
    assert hours.bad_ratio is not None
    assert round(1 - minutes.bad_ratio, 8) == Decimal("0.99206349")
    assert round(1 - hours.bad_ratio, 8) == Decimal("0.94047619")


@pytest.mark.parametrize(("policy", "bad", "sli"), [("Unknown", 5, "0.9"), ("Good", 5, "0.9"), ("Bad", 15, "0.7")])
def test_slices_are_counted_of_all_of_the_period_and_missing_ones_by_the_policy(
    policy: str, bad: int, sli: str
) -> None:
    """S5, S7: 50 minutes, 5 bad ones and then 10 that are missing; the last one of the hour may still come."""
    series = Minutes().fill(END - 50 * MINUTE, END, 0, 1).fill(END - 50 * MINUTE, END - 45 * MINUTE, 1, 1)
    for minute in range(END // MINUTE - 30, END // MINUTE - 20):
        del series.counts[minute]
    found = figures(spec_of("90", "1h", budgeting=SLICES, noData=policy), series)

    assert found.bad_ratio is not None
    assert round(found.bad_ratio * 60) == bad
    assert round(1 - found.bad_ratio * 60 / 50, 1) == Decimal(sli)


def test_what_was_before_the_first_slice_is_not_missing() -> None:
    """S7: noData Bad counts lived time alone; a slice that has not had time to arrive is not missing either."""
    spec = spec_of("90", "1d", budgeting={**SLICES, "slice": "5m"}, noData="Bad")
    series = Minutes().fill(END - HOUR, END - 10 * MINUTE, 0, 1, every=5)

    assert figures(spec, series).bad_ratio == 0
    late = figures(spec, series, NOW + timedelta(hours=1))
    assert late.bad_ratio is not None
    assert round(late.bad_ratio * 288) == 12


def test_no_slices_at_all_are_no_data() -> None:
    """S5."""
    for policy in ("Unknown", "Good", "Bad"):
        assert figures(spec_of(budgeting=SLICES, noData=policy), Minutes()).bad_ratio is None


def test_slices_of_ratios_are_averaged() -> None:
    """S7: the mean of the slices' ratios, however many events each had; slices that are missing are no part of it."""
    spec = spec_of("90", "1h", budgeting={"method": "RatioTimeslices", "slice": "5m"})
    series = Minutes()
    for number in range(6):
        series.add(END // MINUTE - 1 - 5 * number, 0.5 if number < 3 else 0.0, 1)
    found = figures(spec, series)

    assert (found.bad_ratio, found.coverage, found.consumed) == (Decimal("0.25"), Decimal("0.5"), Decimal("1.25"))


def test_slices_burn_by_the_slices_that_a_window_has_room_for() -> None:
    """S7: six bad minutes of an hour, forty of it unknown, are a tenth of it."""
    series = Minutes().fill(END - 20 * MINUTE, END, 0, 1).fill(END - 6 * MINUTE, END, 1, 1)
    found = figures(spec_of("90", "1d", budgeting=SLICES), series)

    assert dict(found.rates)[timedelta(hours=1)] == 1


def test_a_slice_that_an_exclusion_touches_is_excluded_and_there_are_fewer_of_all() -> None:
    """S7, S9."""
    gone = {"from": "2026-12-07T23:02:00Z", "to": "2026-12-07T23:03:00Z"}
    spec = spec_of("90", "1h", budgeting={**SLICES, "slice": "5m"}, exclusions=[gone])
    series = Minutes()
    for number in range(12):
        series.add((END - HOUR) // MINUTE + 5 * number + 4, 1 if number in {0, 6} else 0, 1)
    found = figures(spec, series)

    assert (found.bad, found.good, found.bad_ratio) == (1, 10, Decimal(1) / 11)


# --- periods ----------------------------------------------------------------------------------------------

MONTH = {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00"}}


def test_a_calendar_period_counts_from_its_start_and_consumes_by_what_has_passed_of_it() -> None:
    """S6, S8: a week of December at a burn rate of 2 is 14/31 of the budget; what was in November is over."""
    series = Minutes().fill(END - 30 * DAY, END - WEEK, 10, 10).fill(END - WEEK, END, 2, 1000)
    found = figures(spec_of(window=MONTH), series)

    assert found.consumed == 2 * Decimal(7 * DAY) / (31 * DAY)
    assert (found.coverage, found.elapsed_coverage) == (Decimal(7 * DAY) / (31 * DAY), 1)
    assert found.is_covered


def test_slices_of_a_calendar_period_are_of_all_of_it() -> None:
    """S7, S8: 44,640 minutes has December, whatever has passed of it."""
    spec = spec_of("99.9", window=MONTH, budgeting=SLICES)
    series = Minutes().fill(END - WEEK, END, 0, 1).fill(END - 9 * MINUTE, END, 1, 1)
    found = figures(spec, series)

    assert found.bad_ratio == Decimal(9) / 44_640
    assert found.consumed == 9 / Decimal("44.64")
    assert (found.good, found.bad) == (10_071, 9)


def test_the_status_of_a_calendar_objective_shows_its_period() -> None:
    """S8, S16: and projects an exhaustion only if it comes before the end of the period."""
    calm = Minutes().fill(END - WEEK, END, 2, 1000)
    slow = Minutes().fill(END - WEEK, END, 0.9, 1000)
    wire = status(spec_of(window=MONTH), calm)

    assert wire["window"] == {
        "start": "2026-12-01T00:00:00Z", "end": "2027-01-01T00:00:00Z", "coverage": "22.5", "length": "Month"
    }  # fmt: skip
    assert wire["exhaustionAt"] == "2026-12-16T11:59:00Z"
    assert wire["budget"]["provisional"] is False
    assert "exhaustionAt" not in status(spec_of(window=MONTH), slow)


def test_time_that_is_removed_shortens_a_calendar_period_even_before_it_comes() -> None:
    """S8, S9: a week off at the end of December leaves 24 days."""
    off = {"from": "2026-12-25T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    found = figures(spec_of(window=MONTH, exclusions=[off]), Minutes().fill(END - WEEK, END, 1, 1000))

    assert found.consumed == Decimal(7) / 24


def test_the_figures_follow_an_exclusion_at_once_and_come_back_without_it() -> None:
    """S9: retroactive, by recomputing."""
    series = Minutes().fill(END - 30 * DAY, END, 0, 10).fill(END - 5 * DAY, END - 5 * DAY + HOUR, 10, 10)
    off = {"from": "2026-12-03T00:00:00Z", "to": "2026-12-03T01:00:00Z"}
    shown = [status(spec_of(exclusions=found), series) for found in ([], [off], [{**off, "mode": "CountAsGood"}], [])]

    assert [wire["state"] for wire in shown] == ["Exhausted", "Met", "Met", "Exhausted"]
    assert [wire["bad"] for wire in shown] == [600, 0, 0, 600]
    assert [wire["good"] for wire in shown][1:3] == [431_400, 432_000]
    assert shown[0] == shown[3]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60),
    st.sampled_from([{"method": "Occurrences"}, SLICES, {"method": "RatioTimeslices", "slice": "1m"}]),
    st.integers(0, 60),
    st.integers(1, 60),
)
def test_time_that_counts_as_good_never_makes_it_worse(
    counts: list[tuple[int, int]], method: dict[str, Any], since: int, length: int
) -> None:
    """S9: nor does time without anything good that is removed."""
    is_sliced = method["method"] != "Occurrences"
    series = Minutes()
    for number, (bad, good) in enumerate(counts):
        each = (float(bad > good), 1.0) if is_sliced else (bad, bad + good)
        series.counts[END // MINUTE - 1 - number] = each
    start = NOW.replace(microsecond=0) + timedelta(seconds=1) - timedelta(minutes=since)
    off = {"from": start.isoformat(), "to": (start + timedelta(minutes=length)).isoformat(), "mode": "CountAsGood"}

    before = figures(spec_of("50", "1h", budgeting=method), series)
    after = figures(spec_of("50", "1h", budgeting=method, exclusions=[off]), series)

    if before.consumed is not None and after.consumed is not None:
        assert after.consumed <= before.consumed + Decimal("1e-9")


# --- what is wrong, and what a short window must hold -----------------------------------------------------


def reasons(spec: ServiceLevelObjectiveSpec, groups: int = 0, **changes: Any) -> dict[str, tuple[str, str]]:
    """Give status and reason of each condition, of an objective that fares well but for what is changed."""
    series = Minutes(now=NOW.timestamp()).fill(END - WEEK, END, 0, 10)
    source = SourceSeen(
        **{"interval": timedelta(minutes=1), "observed_at": NOW, "stale_after": timedelta(minutes=3)} | changes
    )
    seen = ObjectiveSeen(
        Ref("ServiceLevelObjective", "shop", "checkout", "uid-1"),
        1,
        series,
        {f"region=r{number:03}": series for number in range(groups)},
        source,
    )
    status = decide(spec, ServiceLevelObjectiveStatus(), seen, NOW).status
    assert len(status.groups) == min(groups, 64)
    return {one.type: (one.status.value, one.reason) for one in status.conditions}


def test_all_conditions_of_an_objective_that_fares_well() -> None:
    """S13, api.md."""
    assert reasons(spec_of(rolling="7d")) == {
        "Ready": ("True", "Evaluated"),
        "QueryValid": ("True", "QueryValid"),
        "DataPresent": ("True", "Fresh"),
        "WindowComplete": ("True", "Covered"),
        "ObjectiveMet": ("True", "WithinBudget"),
        "BudgetExhausted": ("False", "BudgetLeft"),
        "BurnRateHigh": ("False", "NoAlertFires"),
        "RulesInstalled": ("False", "NotAsked"),
        "RolloutsAllowed": ("True", "NotHeld"),
    }


@pytest.mark.parametrize(
    ("changes", "query", "ready"),
    [
        ({"is_clamped": True}, ("False", "SliOutOfRange"), ("True", "Evaluated")),
        (
            {"is_valid": False, "reason": "InvalidQuery", "message": "no"},
            ("False", "InvalidQuery"),
            ("False", "InvalidQuery"),
        ),
        ({"is_valid": False}, ("False", "Invalid"), ("False", "Invalid")),
        ({"reason": "MemberMissing", "message": "a"}, ("False", "MemberMissing"), ("True", "Evaluated")),
        ({"reason": "TooManyGroups", "message": "a"}, ("False", "TooManyGroups"), ("True", "Evaluated")),
        ({"reason": "PrometheusUnreachable", "message": "a"}, ("True", "QueryValid"), ("True", "Evaluated")),
    ],
)
def test_what_is_wrong_with_a_source_is_said(
    changes: dict[str, Any], query: tuple[str, str], ready: tuple[str, str]
) -> None:
    """S13, S14."""
    found = reasons(spec_of(rolling="7d"), **changes)

    assert (found["QueryValid"], found["Ready"]) == (query, ready)


def test_a_source_that_is_stale_says_why_if_it_knows() -> None:
    """S13, faults.md 50."""
    old = NOW - timedelta(hours=1)

    assert reasons(spec_of(), observed_at=old)["DataPresent"] == ("False", "Stale")
    assert reasons(spec_of(), observed_at=None)["DataPresent"] == ("False", "NoDataYet")
    assert reasons(spec_of(), observed_at=old, reason="PrometheusTimeout", message="slow")["DataPresent"] == (
        "False",
        "PrometheusTimeout",
    )


def test_more_groups_than_there_may_be_are_said_to_be_too_many() -> None:
    """S14, faults.md 54."""
    assert reasons(spec_of(), 64)["QueryValid"] == ("True", "QueryValid")
    assert reasons(spec_of(), 65)["QueryValid"] == ("False", "TooManyGroups")


@pytest.mark.parametrize(
    ("slice_", "short", "is_fine"),
    [("1m", "2m", True), ("1m", "1m", False), ("5m", "10m", True), ("10m", "10m", False)],
)
def test_a_short_window_holds_two_slices(slice_: str, short: str, is_fine: bool) -> None:  # noqa: FBT001
    """S3, S7."""
    rates = {"burnRates": [{"budget": "2%", "long": "1h", "short": short}]}
    found = reasons(spec_of(budgeting={**SLICES, "slice": slice_}, alerting=rates))

    assert found["Ready"] == (("True", "Evaluated") if is_fine else ("False", "ShortWindowTooShort"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"window": {"calendar": {**MONTH["calendar"], "timeZone": "Mars/Olympus"}}}, "InvalidTimeZone"),
        ({"indicator": {"composite": {"members": [{"name": "a"}]}}, "budgeting": SLICES}, "Invalid"),
        ({"indicator": {}}, "Invalid"),
    ],
)
def test_what_cannot_be_evaluated_is_not_ready(changes: dict[str, Any], reason: str) -> None:
    """S8, S12, faults.md 35."""
    plain = spec_of().model_copy(update={key: getattr(spec_of(**{key: value}), key) for key, value in changes.items()})
    seen = ObjectiveSeen(Ref("ServiceLevelObjective", "shop", "checkout", "uid-1"), 1)
    found = decide(plain, ServiceLevelObjectiveStatus(), seen, NOW).status.conditions

    assert (found[0].type, found[0].status.value, found[0].reason) == ("Ready", "False", reason)
    assert {one.type: one.reason for one in found[1:] if one.reason != "NotEvaluated"} == {"Stalled": reason}


def test_what_no_window_can_hold_is_no_crash() -> None:
    """S5, faults.md 50."""
    odd = Minutes().fill(END - HOUR, END, float("nan"), 10).fill(END - 10 * MINUTE, END, 1e300, 1e308)
    wire = status(spec_of(rolling="1h"), odd)

    assert "NaN" not in str(wire)


def test_a_member_of_a_composite_is_seen_by_its_own_method_and_exclusions() -> None:
    """S7, S9, S12."""
    series = Minutes(now=NOW.timestamp()).fill(END - 30 * MINUTE, END, 1, 1)
    off = {"from": "2026-12-07T23:45:00Z", "to": "2026-12-08T00:00:00Z"}
    spec = spec_of("90", "1h", budgeting=SLICES, exclusions=[off])
    counts = member(spec, series, timedelta(minutes=1), NOW).last(HOUR)
    plain = member(spec_of(exclusions=[off]), series, timedelta(minutes=1), NOW)

    assert (counts.bad, counts.total, counts.span_seconds) == (15, 45, 45 * MINUTE)
    assert (plain.last(HOUR).total, len(plain.buckets(END - HOUR, END))) == (15, 15)
    assert len(list(member(spec, series, timedelta(minutes=1), NOW).buckets(END - HOUR, END))) == 15
