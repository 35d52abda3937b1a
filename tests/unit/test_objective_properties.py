"""What holds of every objective, whatever its spec, its status and its counts."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import MOST_ALERTS, Hold, ServiceLevelObjectiveStatus
from homeostat.core.history.window import Bucket, Counts
from homeostat.core.objective.burn import Terms
from homeostat.core.objective.calendar import period_at
from homeostat.core.objective.evaluation import ObjectiveSeen, SourceSeen, decide, significance
from homeostat.core.objective.figures import measure
from homeostat.core.objective.tally import Tally
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance

NOW = datetime(2026, 12, 1, 12, 0, 30, 250_000, tzinfo=UTC)
REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
EXACT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
TEN_SECONDS = timedelta(seconds=10)

spans = st.builds(lambda count, unit: f"{count}{unit}", st.integers(1, 90), st.sampled_from(["m", "h", "d"]))
times = st.integers(-120 * 1440, 3 * 1440).map(lambda minutes: NOW + timedelta(minutes=minutes))
HOLDS = tuple(hold.value for hold in Hold)
METHODS = (
    *[{"method": "Occurrences"}] * 3,
    {"method": "Timeslices", "slice": "5m", "sliceObjective": "95"},
    {"method": "Timeslices", "slice": "1h", "sliceObjective": "50"},
    {"method": "RatioTimeslices", "slice": "1m"},
)
INDICATORS = (
    *[{"healthCheck": {"name": "checkout"}}] * 5,
    {"events": {"groupBy": ["region"]}},
    {"composite": {"members": [{"name": "a"}]}},
    {},
)


TOLD_IN_TURN = (
    ("NoData", "DataReturned"),
    ("BudgetHolds", "BudgetReleases"),
    ("TotalOutage", "TotalOutageOver"),
    ("BudgetExhausted", "BudgetRestored"),
)


class Whatever:
    """A series that says of each window whatever was drawn, in no relation to the others."""

    def __init__(self, shares: Sequence[tuple[float, float, float]]) -> None:
        self._shares = shares

    def last(self, seconds: int) -> Counts:
        return self._counts(seconds, seconds)

    def between(self, since: int, until: int) -> Counts:
        return self._counts(until - since, since // 60)

    def buckets(self, since: int, until: int) -> Sequence[Bucket]:
        return ()

    def _counts(self, seconds: int, key: int) -> Counts:
        total, bad, observed = self._shares[key % len(self._shares)]
        return Counts(total - total * bad, total, observed * seconds, seconds)


def is_accepted(spec: dict[str, Any]) -> bool:
    try:
        ServiceLevelObjectiveSpec.model_validate(spec)
    except ValueError:
        return False
    return True


BARE = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": {"healthCheck": {"name": "checkout"}}}


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """Any window, and some that admission would refuse."""
    hours = draw(st.sampled_from([*range(1, 2161), 0]))
    if hours and draw(st.booleans()):
        return {"rolling": f"{hours}h"}
    unit = draw(st.sampled_from(["Day", "Week", "Month", "Quarter", "Year"]))
    zone = draw(st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Pacific/Apia", "Nowhere/Else"]))
    start = draw(st.sampled_from(["2026-01-31T08:00:00", "2030-03-29T02:30:00", "2024-02-29T00:00:00"]))
    return {"calendar": {"unit": unit, "start": start, "timeZone": zone}} if hours else {}


@st.composite
def exclusions(draw: st.DrawFn) -> dict[str, Any]:
    start, length = draw(times), timedelta(minutes=draw(st.integers(1, 20_000)))
    mode = draw(st.sampled_from(["Remove", "CountAsGood"]))
    return {"from": start.isoformat(), "to": (start + length).isoformat(), "mode": mode}


@st.composite
def specs(draw: st.DrawFn) -> ServiceLevelObjectiveSpec:
    """Any spec that the models accept, and some that admission would not."""
    rates = st.fixed_dictionaries(
        {
            "budget": st.integers(1, 100).map("{}%".format),
            "long": spans,
            "severity": st.sampled_from(["Page", "Ticket"]),
        },
        optional={"short": spans},
    )
    rules = st.fixed_dictionaries(
        {
            "remainingBelow": st.integers(0, 100).map("{}%".format),
            "hold": st.lists(st.sampled_from(HOLDS), min_size=1, max_size=3, unique=True),
        }
    )
    places = draw(st.integers(0, 12))
    objective = draw(st.integers(1, 100 * 10**places - 1).map(lambda n: format(Decimal(n).scaleb(-places), "f")))
    plain = {
        "objective": objective,
        "window": draw(windows()),
        "indicator": draw(st.sampled_from(INDICATORS)),
        "budgeting": draw(st.sampled_from(METHODS)),
        "noData": draw(st.sampled_from(["Unknown", "Good", "Bad"])),
        "exclusions": draw(st.lists(exclusions(), max_size=4)),
        "budgetPolicy": draw(st.lists(rules, max_size=3)),
        "alerting": {
            "disabled": draw(st.booleans()),
            "minBadEvents": draw(st.integers(0, 5)),
            "burnRates": draw(
                st.lists(rates, max_size=8).map(
                    lambda found: [rate for rate in found if is_accepted({**BARE, "alerting": {"burnRates": [rate]}})]
                )
            ),
        },
    }
    return ServiceLevelObjectiveSpec.model_validate(plain)


totals = st.one_of(st.just(0.0), st.floats(0.001, 1e12), st.integers(1, 10**6).map(float))
shares = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))
series = st.builds(Whatever, st.lists(st.tuples(totals, shares, shares), min_size=1, max_size=12))


@st.composite
def sights(draw: st.DrawFn) -> ObjectiveSeen:
    """Anything that may be known of an objective, some of it missing."""
    source = st.builds(
        SourceSeen,
        interval=st.timedeltas(timedelta(0), timedelta(days=1)),
        observed_at=st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=1)).map(lambda age: NOW - age)),
        stale_after=st.timedeltas(timedelta(seconds=1), timedelta(days=3)),
        reason=st.sampled_from(["", "", "PrometheusUnreachable", "MemberMissing", "TooManyGroups"]),
        is_valid=st.booleans(),
        is_clamped=st.booleans(),
    )
    problem = draw(st.sampled_from([None, None, None, ("NotImplemented", "spec.exclusions")]))
    groups = {f"region=r{number}": draw(series) for number in range(draw(st.sampled_from([0, 0, 1, 3, 12])))}
    return ObjectiveSeen(
        REF,
        draw(st.integers(1, 3)),
        series=draw(st.one_of(st.none(), series)),
        groups=groups,
        source=draw(st.one_of(st.none(), source)),
        problem=problem,
    )


def numbers(value: object) -> list[str]:
    """Collect the numbers that a status writes as strings."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key not in {"conditions", "alerts"} for text in numbers(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in numbers(inner)]
    return [value] if isinstance(value, str) and re.match(r"^-?[0-9.NaInf]+([eE].*)?$", value) else []


@given(st.data())
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_deciding_is_total_idempotent_and_never_says_nan(data: st.DataObject) -> None:
    """S5, S16: for two sights one after the other, so that alerts, holds and conditions have a past."""
    spec = data.draw(specs())
    status = ServiceLevelObjectiveStatus()
    for seen in (data.draw(sights()), data.draw(sights())):
        first = decide(spec, status, seen, NOW)
        again = decide(spec, first.status, seen, NOW)
        written = ServiceLevelObjectiveStatus.model_validate(first.status.wire())

        assert (again.status, again.events) == (first.status, ())
        assert decide(spec, written, seen, NOW).status == first.status
        assert significance(written, again.status) is Significance.NOTHING
        assert first.check_again_at is None or first.check_again_at > NOW
        assert all(EXACT.fullmatch(number) for number in numbers(first.status.wire())), first.status.wire()
        assert len(first.status.conditions) <= 16
        assert len(first.status.alerts) <= MOST_ALERTS
        status = first.status


@settings(deadline=None)
@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 99_999),
    st.floats(0, 1),
    st.sampled_from(METHODS),
    st.sampled_from([{"rolling": "30d"}, {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00"}}]),
)
def test_more_errors_never_leave_more_budget(  # noqa: PLR0913, PLR0917 - one for each thing that is drawn
    total: int, bad: int, more: int, objective: int, lived: float, method: dict[str, Any], window: dict[str, Any]
) -> None:
    """S4, S7, S16: monotone, exactly and as shown, by every method and for either kind of window."""
    spec = ServiceLevelObjectiveSpec.model_validate(
        {**BARE, "objective": format(Decimal(objective) / 1000, "f"), "budgeting": method, "window": window}
    )
    now = NOW + timedelta(days=20)
    period = period_at(spec.window, now)
    terms = Terms((100 - spec.objective) / 100, period.length)
    source = SourceSeen(TEN_SECONDS, now, timedelta(minutes=1))
    seen = [
        ObjectiveSeen(REF, 1, Whatever([(total, min(count, total) / total, lived)]), source=source)
        for count in (bad, bad + more)
    ]

    fewer, worse = (measure(Tally(spec, one.series, TEN_SECONDS, period, now), terms) for one in seen)
    shown = [decide(spec, ServiceLevelObjectiveStatus(), one, now).status for one in seen]

    assert fewer.consumed is not None
    assert worse.consumed is not None
    assert 0 <= fewer.consumed <= worse.consumed
    assert shown[0].budget is not None
    assert shown[1].budget is not None
    assert shown[0].budget.remaining >= shown[1].budget.remaining
    assert shown[0].budget.remaining <= 100 * (1 - fewer.consumed)
    assert shown[0].sli is not None
    assert shown[1].sli is not None
    assert shown[0].sli >= shown[1].sli


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40))
def test_a_figure_that_moves_at_random_never_tells_the_same_twice_in_a_row(looks: list[tuple[bool, float]]) -> None:
    """S2: what begins ends before it begins again, for alerts, holds and the budget, through gaps in the data."""
    spec = ServiceLevelObjectiveSpec.model_validate(
        {**BARE, "budgetPolicy": [{"remainingBelow": "25%", "hold": ["Chaos"]}]}
    )
    status, told = ServiceLevelObjectiveStatus(), list[tuple[str, str]]()
    for number, (is_fresh, bad) in enumerate(looks):
        now = NOW + timedelta(seconds=30 * number)
        source = SourceSeen(TEN_SECONDS, now if is_fresh else now - timedelta(hours=1), timedelta(minutes=1))
        seen = ObjectiveSeen(REF, 1, Whatever([(1e6, bad**6, 1.0)]), source=source)
        decision = decide(spec, status, seen, now)
        told += [(event.reason, event.note.rsplit(" ", 1)[-1]) for event in decision.events]
        status = decision.status

    for begins, ends in TOLD_IN_TURN:
        found = [reason for reason, _ in told if reason in {begins, ends}]
        assert found == [(begins, ends)[place % 2] for place in range(len(found))]
    for pair in {note for reason, note in told if reason == "BurnRateHigh"}:
        found = [reason for reason, note in told if note == pair and reason.startswith("BurnRate")]
        assert found == [("BurnRateHigh", "BurnRateNormal")[place % 2] for place in range(len(found))]


def test_a_sight_without_anything_is_no_crash() -> None:
    """S5."""
    spec = ServiceLevelObjectiveSpec.model_validate(BARE)
    bare = ObjectiveSeen(REF, 1)

    assert decide(spec, ServiceLevelObjectiveStatus(), bare, NOW).status.sli is None
    assert decide(spec, ServiceLevelObjectiveStatus(), replace(bare, groups={"a=b": Whatever([(0, 0, 0)])}), NOW)
