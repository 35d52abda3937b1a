"""Objectives over hours and days, from the first minute to the end of a budget."""

from datetime import timedelta

import pytest

from homeostat.api.objective_status import Hold, ObjectiveState
from minutes import Minutes
from scenarios.objective.days import Days, alternating, bad, good, in_turn, silence

HOUR, DAY = 60, 1440
MONTH = timedelta(days=31)
TICKETS = {"burnRates": [{"budget": "2%", "long": "1h", "short": "5m"}]}


# --- alerts -----------------------------------------------------------------------------------------------


def test_an_outage_pages_within_two_minutes_and_each_alert_begins_and_ends_once() -> None:
    """S2: half of everything is bad for ten minutes."""
    days = Days(MONTH).live(HOUR, good()).live(10, bad(0.5)).live(8 * HOUR, good())
    begun = [at for at, event in days.events if event.reason == "BurnRateHigh"]

    assert begun[0] <= timedelta(minutes=HOUR + 2)
    assert days.alerts == []
    assert days.told.count("BurnRateHigh") == days.told.count("BurnRateNormal") == 4
    assert days.state is ObjectiveState.MET


def test_a_rate_that_hovers_about_a_factor_does_not_flap() -> None:
    """S2: 14.4 times the allowed, a little more in one minute and a little less in the next."""
    days = Days(MONTH, alerting=TICKETS).live(8 * HOUR, alternating(0.0155, 0.0145, 0.0135))

    assert days.told == ["BurnRateHigh", "BudgetExhausted"][: len(days.told)]
    assert days.alerts[0] == "BurnRate 1:00:00"


def test_a_total_outage_at_a_request_every_other_minute_pages_whatever_the_least_number_of_bad_events() -> None:
    """S10: minBadEvents keeps the burn rates quiet, and must not keep this quiet."""
    trickle = alternating(0, 0)
    days = Days(MONTH, alerting={"minBadEvents": 1000}).live(HOUR, trickle)
    days.live(12, lambda number: (1, 1) if number % 2 else (0, 0))

    assert days.alerts == ["TotalOutage"]
    assert (days.state, days.why("BurnRateHigh")) == (ObjectiveState.BURNING, "True AlertsFire")
    days.live(2, lambda _: (0, 1))
    assert (days.alerts, days.told[-2:]) == ([], ["TotalOutage", "TotalOutageOver"])


def test_two_bad_events_are_no_total_outage_and_one_good_one_is_enough() -> None:
    """S10."""
    two = Days(MONTH, alerting={"minBadEvents": 1000}).live(20, lambda _: (0, 0)).live(2, lambda _: (1, 1))
    mixed = Days(MONTH, alerting={"minBadEvents": 1000}).live(9, lambda number: (number > 0, 1))

    assert two.alerts == mixed.alerts == []


def test_alerts_survive_a_restart_in_the_middle_of_it() -> None:
    """S2: since is of the beginning, and nothing is told twice; `Days` reads back each status as it was written."""
    days = Days(MONTH).live(5, bad())
    since = [alert.since for alert in days.written.alerts]
    days.live(5, bad())

    assert [alert.since for alert in days.written.alerts][: len(since)] == since
    assert len(days.told) == len(set(days.told) - {"BurnRateHigh"}) + days.told.count("BurnRateHigh")
    assert days.told.count("BurnRateHigh") == sum(alert.startswith("BurnRate") for alert in days.alerts)


def test_silence_holds_what_fires_and_tells_of_itself_once() -> None:
    """S5, S13: an outage that takes the measuring with it goes on until data says otherwise."""
    days = Days(MONTH).live(12, bad()).live(HOUR, silence)

    assert days.state is ObjectiveState.UNKNOWN
    assert {"BurnRate 1:00:00", "NoData", "TotalOutage"} <= set(days.alerts)
    assert days.told.count("NoData") == 1
    days.live(8 * HOUR, good())
    assert days.alerts == []
    assert in_turn(days.told, "NoData", "DataReturned")
    assert in_turn(days.told, "TotalOutage", "TotalOutageOver")


@pytest.mark.parametrize(("policy", "severity"), [("Unknown", ["Ticket"]), ("Bad", ["Page"]), ("Good", [])])
def test_how_urgent_it_is_that_there_is_no_data(policy: str, severity: list[str]) -> None:
    """S5, S13."""
    days = Days(MONTH, noData=policy).live(5, good()).live(10, silence)

    assert [alert.severity for alert in days.written.alerts] == severity


def test_an_objective_that_never_had_data_is_given_an_hour() -> None:
    """S13: a manifest may be there before its service; but not for long without a word."""
    days = Days().live(HOUR, silence)
    assert (days.alerts, days.why("DataPresent")) == ([], "False NoDataYet")

    days.live(2, silence)
    assert (days.alerts, days.told) == (["NoData"], ["NoData"])


# --- budgets, holds ---------------------------------------------------------------------------------------

POLICY = [{"remainingBelow": "25%", "hold": ["Chaos"]}, {"remainingBelow": "0%", "hold": ["Chaos", "Rollouts"]}]


def test_a_budget_that_runs_out_holds_more_and_more_and_lets_go_when_it_is_back() -> None:
    """S16: of a day's budget of 14.4 events twelve go, then three more, and a day later all is forgotten."""
    days = Days(MONTH, window={"rolling": "1d"}, budgetPolicy=POLICY).live(2, bad(0.55))
    assert (days.written.holds, days.why("RolloutsAllowed")) == ((Hold.CHAOS,), "True NotHeld")

    days.live(1, bad(0.4))
    assert (days.written.holds, days.state) == ((Hold.CHAOS, Hold.ROLLOUTS), ObjectiveState.EXHAUSTED)
    assert (days.why("RolloutsAllowed"), "BudgetExhausted" in days.alerts) == ("False BudgetLow", True)

    days.live(DAY + 5, good())
    assert (days.written.holds, days.why("RolloutsAllowed"), days.alerts) == ((), "True NotHeld", [])
    assert in_turn(days.told, "BudgetExhausted", "BudgetRestored")
    assert days.told.count("BudgetHolds") == 2


def test_a_budget_at_the_edge_neither_flaps_nor_lets_go() -> None:
    """S16: a rolling budget of which as much comes back as goes, about nothing at all."""
    days = Days(timedelta(0), window={"rolling": "1h"}, objective="90", budgetPolicy=POLICY)
    days.live(HOUR, bad(0.1)).live(4 * HOUR, alternating(0.0999, 0.1, 0.1001, 0.0999))

    assert days.state is ObjectiveState.EXHAUSTED
    assert days.told.count("BudgetExhausted") == 1
    assert "BudgetReleases" not in days.told
    assert "BudgetRestored" not in days.told


def test_without_data_what_is_held_stays_held_and_nothing_new_is() -> None:
    """S5: fail closed."""
    days = Days(MONTH, window={"rolling": "1d"}, budgetPolicy=POLICY).live(3, bad()).live(2 * DAY, silence)

    assert days.written.holds == (Hold.CHAOS, Hold.ROLLOUTS)
    assert days.why("RolloutsAllowed") == "False BudgetLow"
    free = Days(MONTH, budgetPolicy=POLICY).live(2, good()).live(HOUR, silence)
    assert (free.written.holds, free.why("RolloutsAllowed")) == ((), "Unknown NoFreshData")


def test_an_edited_policy_holds_or_lets_go_at_once() -> None:
    days = Days(MONTH, window={"rolling": "1d"}, budgetPolicy=POLICY).live(3, bad())
    days.edit(window={"rolling": "1d"}, budgetPolicy=POLICY[:1])
    days.look()

    assert days.written.holds == (Hold.CHAOS,)
    assert days.told[-1] == "BudgetReleases"


def test_an_exclusion_that_is_set_afterwards_ends_the_alert_and_gives_the_budget_back() -> None:
    """S9."""
    days = Days(MONTH).live(HOUR, good()).live(50, bad())
    assert days.state is ObjectiveState.EXHAUSTED

    days.edit(exclusions=[{"from": "2026-12-01T01:00:00Z", "to": "2026-12-01T01:50:00Z"}])
    days.live(1, good())
    assert (days.state, days.alerts) == (ObjectiveState.MET, [])
    assert days.written.budget is not None
    assert days.written.budget.remaining == 100


def test_a_new_period_is_a_new_budget() -> None:
    """S8: what was gone on one day is there on the next, and that is told."""
    day = {"calendar": {"unit": "Day", "start": "2026-01-01T00:00:00", "timeZone": "Asia/Tokyo"}}
    days = Days(timedelta(days=1), window=day).live(14 * HOUR, good()).live(50, bad()).live(10, good())
    assert (days.state, "BudgetExhausted" in days.alerts) == (ObjectiveState.EXHAUSTED, True)

    days.live(1, good())  # midnight in Tokyo: what burned an hour ago goes on being an alert, the budget is new
    assert (days.state, "BudgetExhausted" in days.alerts) == (ObjectiveState.BURNING, False)
    assert days.told.count("BudgetExhausted") == days.told.count("BudgetRestored") == 1
    assert days.written.budget is not None
    assert days.written.budget.remaining == 100


# --- groups -----------------------------------------------------------------------------------------------


def test_a_group_burns_while_the_whole_hardly_notices() -> None:
    """S14: each group has a budget; the state is the worst, the figures are of the whole."""
    days = Days(timedelta(0))
    groups = {f"region=r{number}": good() for number in range(9)}
    days.live(2 * HOUR, bad(0.0001, 1000), {**groups, "region=eu": good(0.5)})
    days.live(10, bad(0.0005, 1000), {**groups, "region=eu": bad(1, 0.5)})

    assert [group.name for group in days.written.groups] == sorted(days.groups)
    assert {group.state for group in days.written.groups if group.name != "region=eu"} == {ObjectiveState.MET}
    assert days.state is ObjectiveState.BURNING or days.state is ObjectiveState.EXHAUSTED
    assert "BurnRate 1:00:00 region=eu" in days.alerts
    assert all(alert.group == "region=eu" for alert in days.written.alerts)
    assert days.written.budget is not None
    assert days.written.budget.remaining > 99


def test_more_alerts_than_fit_are_counted_and_those_listed_stay() -> None:
    """S14: 32 at most, the worst first, and none makes room for another while it fires."""
    days = Days(timedelta(0), alerting=TICKETS)
    groups = {f"route=/{number:02}": bad(0.5 if number < 50 else 1.0) for number in range(60)}
    days.live(2, bad(), groups)
    listed = [alert.group for alert in days.written.alerts]

    assert len(listed) == 32
    assert {f"route=/{number:02}" for number in range(50, 60)} <= set(listed)
    assert "not listed:" in next(one.message for one in days.written.conditions if one.type == "BurnRateHigh")
    days.live(5, bad(), {name: bad(1.0) for name in groups})
    assert {alert.group for alert in days.written.alerts} >= set(listed)


def test_a_group_that_fell_silent_does_not_make_the_whole_unknown() -> None:
    """S14: nothing follows from a group without data."""
    days = Days(timedelta(0), window={"rolling": "1h"})
    days.live(5, good(), {"region=eu": good()}).live(2 * HOUR, good())

    assert (days.state, days.written.groups[0].state) == (ObjectiveState.MET, ObjectiveState.UNKNOWN)
    assert days.written.groups[0].sli is None


# --- steady state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"window": {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00"}}},
        {"budgetPolicy": POLICY},
        {"budgeting": {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}},
        {"exclusions": [{"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T01:00:00Z"}]},
    ],
    ids=["rolling", "calendar", "holds", "slices", "exclusions"],
)
def test_in_steady_state_next_to_nothing_is_written(spec: dict[str, object]) -> None:
    """S16: an hour of good traffic with groups; a month's coverage moves a percent in seven hours."""
    days = Days(MONTH, **spec)
    days.groups = {name: Minutes(days.series.counts) for name in ("region=eu", "region=us")}
    days.live(2, good(), {"region=eu": good(5), "region=us": good(5)})
    writes = days.writes
    days.live(HOUR, good(), {"region=eu": good(5), "region=us": good(5)})

    assert days.writes - writes <= 1


def test_what_is_gone_stays_written_once() -> None:
    """S16: an objective whose budget is gone, that holds and alerts, is quiet too."""
    days = Days(MONTH, budgetPolicy=POLICY).live(50, bad()).live(10 * HOUR, good())
    writes = days.writes
    days.live(HOUR, good())

    assert days.state is ObjectiveState.EXHAUSTED
    assert days.writes - writes <= 1
