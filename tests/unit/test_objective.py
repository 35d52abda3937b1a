"""Where an objective stands, and what it tells."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.api.meta import ConditionStatus
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ObjectiveState, ServiceLevelObjectiveStatus
from homeostat.core.condition import condition
from homeostat.core.decision import Decision
from homeostat.core.history.window import Bucket, Counts
from homeostat.core.objective.conditions import EVALUATED
from homeostat.core.objective.evaluation import ObjectiveSeen, SourceSeen, decide, significance
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance

NOW = datetime(2026, 12, 1, 12, 0, 30, 250_000, tzinfo=UTC)
REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FRESH = SourceSeen(interval=timedelta(seconds=10), observed_at=NOW, stale_after=timedelta(seconds=32))
LATER = SourceSeen(
    interval=timedelta(seconds=10), observed_at=NOW + timedelta(minutes=2), stale_after=timedelta(seconds=90)
)
STALE = SourceSeen(interval=timedelta(seconds=10), observed_at=NOW - MINUTE, stale_after=timedelta(seconds=32))
BLANK = ServiceLevelObjectiveStatus()

Outcome = Decision[ServiceLevelObjectiveStatus]


def spec_of(**changes: Any) -> ServiceLevelObjectiveSpec:
    plain = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": {"healthCheck": {"name": "checkout"}}}
    return ServiceLevelObjectiveSpec.model_validate(plain | changes)


SPEC = spec_of()
WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 30, 60, 120, 360, 1440, 4320, 43200))


class Told:
    """A series that was told what each of its windows holds, and no more."""

    def __init__(self, counts: Mapping[timedelta, Counts]) -> None:
        self.counts = counts

    def last(self, seconds: int) -> Counts:
        return self.counts.get(timedelta(seconds=seconds), Counts())

    def between(self, since: int, until: int) -> Counts:
        return Counts(span_seconds=until - since)

    def buckets(self, since: int, until: int) -> Sequence[Bucket]:
        return ()


def seen_of(
    bad: dict[timedelta, float] | None = None,
    *,
    lived: timedelta = 90 * DAY,
    source: SourceSeen | None = FRESH,
) -> ObjectiveSeen:
    """Six results a minute as long as the service has lived; `bad` is the share of them by window, else 0."""
    counts = {}
    for window in {*WINDOWS, *(bad or {})}:
        observed = min(window, lived)
        total = observed / MINUTE * 6
        share = (bad or {}).get(window, 0.0)
        counts[window] = Counts(total - total * share, total, observed.total_seconds(), int(window.total_seconds()))
    return ObjectiveSeen(ref=REF, generation=3, series=Told(counts), source=source)


def everywhere(share: float) -> dict[timedelta, float]:
    return dict.fromkeys(WINDOWS, share)


def told(decision: Outcome) -> list[str]:
    return [event.reason for event in decision.events]


def verdict(decision: Outcome, kind: str) -> tuple[ConditionStatus, str]:
    found = condition(decision.status.conditions, kind)
    assert found is not None
    return found.status, found.reason


TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

# --- figures --------------------------------------------------------------------------------------------


def test_a_service_within_its_objective_shows_what_it_consumed() -> None:
    """S4, S16: half the allowed errors over the whole window are half the budget."""
    wire = decide(SPEC, BLANK, seen_of(everywhere(0.0005)), NOW).status.wire()

    assert {key: wire[key] for key in ("sli", "objective", "state", "budget", "window", "good", "bad")} == {
        "sli": "99.95",
        "objective": "99.9",
        "state": "Met",
        "budget": {"total": "0.1", "consumed": "50", "remaining": "50", "provisional": False},
        "window": {"start": "2026-11-01T12:00:30Z", "end": "2026-12-01T12:00:30Z", "coverage": "100", "length": "30d"},
        "good": 259_070,
        "bad": 130,
    }
    assert wire["burnRates"] == [
        {"window": window, "rate": "0.5"} for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    ]
    assert "exhaustionAt" not in wire


def test_figures_never_claim_better_than_the_truth() -> None:
    """S16: 99.9996 percent is not 100, a drop of budget is not nothing, 0.4 events are one."""
    status = decide(SPEC, BLANK, seen_of({30 * DAY: 0.4 / 259_200, HOUR: 0.4 / 360}), NOW).status
    wire = status.wire()

    assert (wire["sli"], wire["bad"], wire["good"]) == ("99.999", 1, 259_199)
    assert (wire["budget"]["consumed"], wire["budget"]["remaining"]) == ("0.2", "99.8")
    assert {entry["window"]: entry["rate"] for entry in wire["burnRates"]}["1h"] == "1.12"


def test_an_objective_of_many_nines_is_exact() -> None:
    """S1: the SLI is shown two decimals finer than the objective, the budget is what is left to 100."""
    spec = spec_of(objective="99.9999")
    wire = decide(spec, BLANK, seen_of({30 * DAY: 1e-6}), NOW).status.wire()

    assert (wire["sli"], wire["budget"]["total"], wire["budget"]["consumed"]) == ("99.9999", "0.0001", "100")


def test_the_largest_figures_still_fit_into_the_api() -> None:
    """S5: nothing that the schema would refuse, whatever the objective."""
    spec = spec_of(objective="99.999999999999")
    wire = decide(spec, BLANK, seen_of(everywhere(1.0)), NOW).status.wire()

    assert wire["budget"]["remaining"] == "-999999999899"
    assert {entry["rate"] for entry in wire["burnRates"]} == {"999999999999"}


def test_a_budget_can_be_overspent() -> None:
    """S16: remaining is negative."""
    decision = decide(SPEC, BLANK, seen_of(everywhere(0.0012)), NOW)
    wire = decision.status.wire()

    assert (wire["state"], wire["budget"]["consumed"], wire["budget"]["remaining"]) == ("Exhausted", "120", "-20")
    assert verdict(decision, "ObjectiveMet") == (FALSE, "OverBudget")
    assert verdict(decision, "BudgetExhausted") == (TRUE, "NoBudgetLeft")


def test_the_last_drop_of_budget_is_gone_before_the_objective_is_missed() -> None:
    decision = decide(SPEC, BLANK, seen_of({30 * DAY: 0.001}), NOW)

    assert decision.status.state is ObjectiveState.EXHAUSTED
    assert verdict(decision, "ObjectiveMet") == (TRUE, "WithinBudget")
    assert verdict(decision, "BudgetExhausted") == (TRUE, "NoBudgetLeft")


def test_until_the_window_is_covered_the_budget_is_provisional_and_only_lived_time_consumes() -> None:
    """S6: consumed = burn x elapsed share of the window; 3 of 30 days at a burn rate of 2 are a fifth."""
    decision = decide(SPEC, BLANK, seen_of(everywhere(0.002), lived=3 * DAY), NOW)
    wire = decision.status.wire()

    assert wire["window"]["coverage"] == "10"
    assert wire["budget"] == {"total": "0.1", "consumed": "20", "remaining": "80", "provisional": True}
    assert verdict(decision, "WindowComplete") == (FALSE, "NotCovered")


def test_a_covered_window_says_so_and_names_no_held_alert() -> None:
    """S6."""
    decision = decide(SPEC, BLANK, seen_of(), NOW)
    found = condition(decision.status.conditions, "WindowComplete")

    assert verdict(decision, "WindowComplete") == (TRUE, "Covered")
    assert found is not None
    assert "eld" not in found.message


def test_exhaustion_is_projected_from_the_last_hour() -> None:
    """S16: half the budget left, burning at 10: half of a tenth of 30 days."""
    wire = decide(SPEC, BLANK, seen_of({30 * DAY: 0.0005, HOUR: 0.01}), NOW).status.wire()

    assert wire["exhaustionAt"] == "2026-12-03T00:00:00Z"


def test_an_exhaustion_that_is_about_to_happen_is_not_in_the_past() -> None:
    wire = decide(SPEC, BLANK, seen_of({30 * DAY: 0.000999999, HOUR: 0.9}), NOW).status.wire()

    assert wire["exhaustionAt"] == "2026-12-01T12:00:30Z"


@pytest.mark.parametrize("bad", [{30 * DAY: 0.0005, HOUR: 0.000999}, {30 * DAY: 0.002, HOUR: 0.1}, {}])
def test_nothing_is_projected_while_the_budget_is_not_running_out(bad: dict[timedelta, float]) -> None:
    """S16: below a burn rate of 1 the window forgets faster than it learns; what is gone cannot run out."""
    assert decide(SPEC, BLANK, seen_of(bad), NOW).status.exhaustion_at is None


def test_a_short_objective_shows_the_windows_that_fit() -> None:
    spec = spec_of(window={"rolling": "2h"})

    assert [entry.window for entry in decide(spec, BLANK, seen_of(), NOW).status.burn_rates] == [
        5 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
    ]


# --- alerts ---------------------------------------------------------------------------------------------

OUTAGE = {5 * MINUTE: 1.0, 30 * MINUTE: 0.2, HOUR: 0.1}


def test_an_outage_pages_once_and_tells_when_it_is_over() -> None:
    """S2: 2 percent of the budget within an hour, and still going on; the short window ends it."""
    begun = decide(SPEC, BLANK, seen_of(OUTAGE), NOW)
    going = decide(SPEC, begun.status, seen_of(OUTAGE, source=LATER), NOW + MINUTE)
    ended = decide(SPEC, going.status, seen_of({HOUR: 0.1}, source=LATER), NOW + 2 * MINUTE)

    assert [told(decision) for decision in (begun, going, ended)] == [["BurnRateHigh"], [], ["BurnRateNormal"]]
    assert begun.status.wire()["alerts"] == going.status.wire()["alerts"]
    assert begun.status.wire()["alerts"] == [
        {
            "type": "BurnRate",
            "severity": "Page",
            "long": "1h",
            "short": "5m",
            "group": "",
            "since": "2026-12-01T12:00:30.250000Z",
        }
    ]
    assert (begun.status.state, ended.status.state) == (ObjectiveState.BURNING, ObjectiveState.MET)
    assert verdict(begun, "BurnRateHigh") == (TRUE, "AlertsFire")
    assert verdict(ended, "BurnRateHigh") == (FALSE, "NoAlertFires")


def test_slow_alerts_are_held_until_their_window_is_covered_and_fast_ones_are_not() -> None:
    """S6."""
    young = decide(SPEC, BLANK, seen_of(everywhere(0.02), lived=12 * HOUR), NOW)
    older = decide(SPEC, BLANK, seen_of(everywhere(0.02), lived=DAY), NOW)
    complete = condition(young.status.conditions, "WindowComplete")

    assert [alert.long for alert in young.status.alerts] == [HOUR, 6 * HOUR]
    assert [alert.long for alert in older.status.alerts] == [HOUR, 6 * HOUR, DAY]
    assert complete is not None
    assert complete.message.endswith("Held until their own windows are covered: 24h/2h, 72h/6h.")


def test_disabled_alerting_raises_no_alert_and_hides_nothing() -> None:
    spec = spec_of(alerting={"disabled": True})
    decision = decide(spec, BLANK, seen_of(OUTAGE), NOW)

    assert (decision.status.alerts, told(decision)) == ((), [])
    assert decision.status.state is ObjectiveState.BURNING
    assert verdict(decision, "BurnRateHigh") == (TRUE, "AlertsFire")


def test_an_alert_waits_for_enough_bad_events() -> None:
    """S10."""
    spec = spec_of(alerting={"minBadEvents": 37})

    assert decide(spec, BLANK, seen_of(OUTAGE), NOW).status.alerts == ()
    assert decide(spec_of(alerting={"minBadEvents": 36}), BLANK, seen_of(OUTAGE), NOW).status.alerts != ()


def test_two_alerts_that_differ_in_their_budget_only_are_told_as_one() -> None:
    listed = [{"budget": "2%", "long": "1h"}, {"budget": "1%", "long": "1h"}]
    decision = decide(spec_of(alerting={"burnRates": listed}), BLANK, seen_of(OUTAGE), NOW)

    assert told(decision) == ["BurnRateHigh"]
    assert len(decision.status.alerts) == 1


def test_the_end_of_the_budget_is_told_once() -> None:
    gone = decide(SPEC, BLANK, seen_of({30 * DAY: 0.002}), NOW)
    still = decide(SPEC, gone.status, seen_of({30 * DAY: 0.002}, source=LATER), NOW + MINUTE)

    assert [told(gone), told(still)] == [["BudgetExhausted"], []]


def test_an_alert_that_can_never_fire_is_named() -> None:
    """S3: a default alert that admission cannot refuse."""
    spec = spec_of(objective="93")
    decision = decide(spec, BLANK, seen_of(), NOW)
    found = condition(decision.status.conditions, "QueryValid")

    assert verdict(decision, "QueryValid") == (FALSE, "AlertNeverFires")
    assert verdict(decision, "Ready") == (TRUE, "Evaluated")
    assert found is not None
    assert "1h/5m:" in found.message


def test_a_default_alert_too_short_for_the_check_is_off_and_named() -> None:
    """S3: two results must fit into the short window."""
    slow = SourceSeen(interval=4 * MINUTE, observed_at=NOW, stale_after=12 * MINUTE)
    decision = decide(SPEC, BLANK, seen_of(OUTAGE, source=slow), NOW)

    assert verdict(decision, "QueryValid") == (FALSE, "ShortWindowTooShort")
    assert verdict(decision, "Ready") == (TRUE, "Evaluated")
    assert decision.status.alerts == ()


def test_a_listed_alert_too_short_for_the_check_is_refused() -> None:
    """S3."""
    slow = SourceSeen(interval=MINUTE, observed_at=NOW, stale_after=3 * MINUTE)
    listed = [{"budget": "2%", "long": "1h", "short": "1m"}]
    decision = decide(spec_of(alerting={"burnRates": listed}), BLANK, seen_of(OUTAGE, source=slow), NOW)

    assert verdict(decision, "Ready") == (FALSE, "ShortWindowTooShort")


# --- no data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "state"),
    [("Unknown", ObjectiveState.UNKNOWN), ("Good", ObjectiveState.MET), ("Bad", ObjectiveState.BURNING)],
)
@pytest.mark.parametrize(
    ("source", "reason"), [(None, "HealthCheckNotRunning"), (STALE, "Stale")], ids=["absent", "stale"]
)
def test_without_fresh_data_the_state_is_what_the_policy_says(
    policy: str, state: ObjectiveState, source: SourceSeen | None, reason: str
) -> None:
    """S5, S13: a HealthCheck that is missing, or tells nothing new."""
    decision = decide(spec_of(noData=policy), BLANK, seen_of(source=source), NOW)

    assert decision.status.state is state
    assert verdict(decision, "DataPresent") == (FALSE, reason)
    assert verdict(decision, "ObjectiveMet")[0] is {"Unknown": UNKNOWN, "Good": TRUE, "Bad": FALSE}[policy]
    assert verdict(decision, "Ready")[0] is (TRUE if source else FALSE)
    assert verdict(decision, "QueryValid")[0] is (TRUE if source else FALSE)
    told = next(one.message for one in decision.status.conditions if one.type == "DataPresent")
    assert source or told.startswith(f"The HealthCheck {SPEC.indicator.health_check.name} ")  # type: ignore[union-attr]
    assert verdict(decision, "RolloutsAllowed")[0] is (TRUE if policy == "Good" else UNKNOWN)


def test_an_answer_that_is_not_complete_is_counted_and_told() -> None:
    """S13: a partial answer of Thanos is not a silent one."""
    partial = replace(FRESH, reason="PartialAnswer", message="Something is missing.")
    decision = decide(SPEC, BLANK, seen_of(source=partial), NOW)

    assert verdict(decision, "QueryValid") == (FALSE, "PartialAnswer")
    assert verdict(decision, "DataPresent") == (TRUE, "Fresh")
    assert verdict(decision, "Ready")[0] is TRUE
    assert decision.status.state is ObjectiveState.MET


@pytest.mark.parametrize(
    ("policy", "state"),
    [("Unknown", ObjectiveState.UNKNOWN), ("Good", ObjectiveState.MET), ("Bad", ObjectiveState.BURNING)],
)
def test_an_objective_that_never_had_data_has_no_figures(policy: str, state: ObjectiveState) -> None:
    """S5: nothing is 0 percent or 100 percent or NaN."""
    waiting = SourceSeen(interval=timedelta(seconds=10), observed_at=None, stale_after=MINUTE)
    decision = decide(spec_of(noData=policy), BLANK, ObjectiveSeen(REF, 1, source=waiting), NOW)
    wire = decision.status.wire()

    assert decision.status.state is state
    assert not {"sli", "budget", "good", "bad", "exhaustionAt"} & wire.keys()
    assert wire["burnRates"] == []
    assert verdict(decision, "DataPresent") == (FALSE, "NoDataYet")
    assert verdict(decision, "BurnRateHigh")[0] is (UNKNOWN if policy == "Unknown" else FALSE)


def test_a_budget_that_is_gone_is_gone_even_where_missing_data_is_good() -> None:
    decision = decide(spec_of(noData="Good"), BLANK, seen_of({30 * DAY: 0.002}, source=STALE), NOW)

    assert decision.status.state is ObjectiveState.EXHAUSTED
    assert verdict(decision, "ObjectiveMet") == (FALSE, "OverBudget")


@pytest.mark.parametrize("policy", ["Unknown", "Bad"])
def test_without_fresh_data_an_alert_neither_ends_nor_begins(policy: str) -> None:
    """S5, S13: silence is not recovery, and an old outage is not a new one."""
    spec = spec_of(noData=policy)
    firing = decide(spec, BLANK, seen_of(OUTAGE), NOW).status

    kept = decide(spec, firing, seen_of({}, source=STALE), NOW)
    none = decide(spec, BLANK, seen_of(OUTAGE, source=STALE), NOW)

    assert (kept.status.alerts[:-1], told(kept)) == (firing.alerts, ["NoData"])
    assert ([alert.type for alert in none.status.alerts], told(none)) == (["NoData"], ["NoData"])


def test_where_missing_data_is_good_an_alert_ends_with_the_data() -> None:
    spec = spec_of(noData="Good")
    firing = decide(spec, BLANK, seen_of(OUTAGE), NOW).status

    assert told(decide(spec, firing, seen_of({}, source=None), NOW)) == ["BurnRateNormal"]


# --- not evaluated --------------------------------------------------------------------------------------


def test_what_is_not_implemented_is_not_evaluated_at_all() -> None:
    """api.md: fails closed, and says which field it is."""
    before = decide(SPEC, BLANK, seen_of(OUTAGE), NOW).status
    seen = replace(seen_of(OUTAGE), generation=4, problem=("NotImplemented", "spec.exclusions"))
    decision = decide(SPEC, before, seen, NOW)

    assert verdict(decision, "Ready") == (FALSE, "NotImplemented")
    assert {verdict(decision, kind) for kind in EVALUATED} == {(UNKNOWN, "NotEvaluated")}
    assert decision.status.wire().keys() == {
        "observedGeneration", "conditions", "objective", "state", "burnRates", "alerts", "groups", "holds"
    }  # fmt: skip
    assert decision.status.alerts == before.alerts
    assert (decision.status.observed_generation, decision.check_again_at) == (4, None)


@pytest.mark.parametrize("changes", [{"window": {}}, {"indicator": {}}])
def test_a_spec_that_admission_should_have_refused_is_invalid_not_a_crash(changes: dict[str, Any]) -> None:
    """faults.md 35: an object stored under an older schema."""
    spec = spec_of(**changes)

    assert verdict(decide(spec, BLANK, ObjectiveSeen(REF, 1), NOW), "Ready") == (FALSE, "Invalid")


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "0"},
        {"objective": "100"},
        {"objective": "-1"},
        {"objective": "NaN"},
        {"objective": "many"},
        {"window": {"rolling": "59m"}},
        {"window": {"rolling": "91d"}},
        {"window": {"rolling": "1e9h"}},
        {"alerting": {"burnRates": [{"budget": "0%", "long": "1h"}]}},
        {"alerting": {"burnRates": [{"budget": "2%", "long": "1h", "short": "59s"}]}},
    ],
)
def test_the_models_refuse_what_admission_refuses(changes: dict[str, Any]) -> None:
    """S1, faults.md 32 and 34: stored objects may predate the schema."""
    with pytest.raises(ValidationError):
        spec_of(**changes)


# --- when to look again, what to write ------------------------------------------------------------------


def test_a_service_in_trouble_is_looked_at_more_often() -> None:
    quiet, troubled = decide(SPEC, BLANK, seen_of(), NOW), decide(SPEC, BLANK, seen_of(OUTAGE), NOW)

    assert quiet.check_again_at == NOW + timedelta(seconds=30)
    assert troubled.check_again_at == NOW + timedelta(seconds=10)


def test_where_thousands_are_in_trouble_each_is_looked_at_less_often() -> None:
    """S2: the survey tells when a page may begin."""
    seen = replace(seen_of(OUTAGE), trouble_again_in=timedelta(seconds=100))

    assert decide(SPEC, BLANK, seen, NOW).check_again_at == NOW + timedelta(seconds=100)


def difference(before: ObjectiveSeen, after: ObjectiveSeen, spec: ServiceLevelObjectiveSpec = SPEC) -> Significance:
    old = decide(spec, BLANK, before, NOW).status
    return significance(old, decide(spec, old, after, NOW + MINUTE).status)


@pytest.mark.parametrize("share", [0.0, 0.0002])
def test_in_steady_state_nothing_is_written(share: float) -> None:
    """Time passes, events are counted, and rates tremble."""
    trembling = everywhere(share) | {5 * MINUTE: share * 1.2}

    assert difference(seen_of(everywhere(share)), seen_of(trembling, source=LATER)) is Significance.NOTHING


@pytest.mark.parametrize(
    ("before", "after", "worth"),
    [
        (seen_of(), seen_of({HOUR: 0.001}), Significance.REFRESH),
        (seen_of(), seen_of({30 * DAY: 0.0000005}), Significance.CHANGE),
        (seen_of(lived=HOUR), seen_of(everywhere(0.00001), lived=HOUR), Significance.CHANGE),
        (seen_of(lived=10 * DAY), seen_of(lived=10 * DAY + 8 * HOUR), Significance.REFRESH),
        (seen_of(lived=10 * DAY), seen_of(lived=10 * DAY + HOUR), Significance.NOTHING),
        (seen_of({HOUR: 0.0001}), seen_of({HOUR: 0.002}), Significance.REFRESH),
        (seen_of(), seen_of(OUTAGE), Significance.CHANGE),
        (seen_of(), seen_of({30 * DAY: 0.002}), Significance.CHANGE),
        (seen_of(), seen_of(source=None), Significance.CHANGE),
        (seen_of(), replace(seen_of(), generation=4), Significance.CHANGE),
    ],
)
def test_what_moved_visibly_is_refreshed_and_what_others_act_on_is_a_change(
    before: ObjectiveSeen, after: ObjectiveSeen, worth: Significance
) -> None:
    if after.source is not None:
        after = replace(after, source=LATER)

    assert difference(before, after) is worth


def test_a_budget_that_comes_is_told_and_other_figures_that_come_or_go_are_refreshed() -> None:
    bare = BLANK.model_copy(update={"objective": Decimal("99.9")})
    full = decide(SPEC, BLANK, seen_of(), NOW).status.model_copy(
        update={"conditions": (), "observed_generation": -1, "state": ObjectiveState.UNKNOWN}
    )
    windowless = full.model_copy(update={"window": None, "sli": None})

    assert significance(bare, full) is Significance.CHANGE
    assert significance(windowless, full) is Significance.REFRESH
    assert significance(windowless, windowless.model_copy(update={"burn_rates": ()})) is Significance.REFRESH
    assert significance(full.model_copy(update={"window": None}), full) is Significance.REFRESH
