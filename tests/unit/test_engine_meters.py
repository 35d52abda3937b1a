"""The books of the process: what counts once, what does not count, and what becomes history."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import pytest

from fakes import NOON, check_body
from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.objective import BudgetingMethod
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.run import Run
from homeostat.core.health.track import Track
from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import Known, Latencies, Runs
from homeostat.core.history.window import Bucket, Counts
from homeostat.core.objective.survey import Watched
from homeostat.core.probing.result import Reason, Verdict
from homeostat.engine.checks import Check
from homeostat.engine.meters import Meters, minute_of
from homeostat.engine.objective.counting import Counting, Slicing
from homeostat.engine.objects import Key, entry_from
from homeostat.ports import Record

T = TypeVar("T")

MONTH = timedelta(days=30)
SLO, OTHER = Key("ServiceLevelObjective", "shop", "web"), Key("ServiceLevelObjective", "shop", "fast")
PASS, FAIL = Run(Verdict.PASS, Reason.OK, 0.2, 1, 1), Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1)


def check_of(meters: Meters, name: str = "web", **more: Any) -> Check:
    body = check_body(name, **more)
    entry = entry_from(body, "HealthCheck")
    plan = compile(HealthCheckSpec.model_validate(body["spec"]), entry.ref)
    assert isinstance(plan, Plan)
    return Check(entry.key, entry.ref, plan, Track(since=NOON, fresh=0.0), meters.open_check(entry.ref))


def begun() -> Meters:
    """Make books without a past."""
    meters = Meters()
    meters.roll(NOON)
    return meters


def take_up(meters: Meters, *history: Closed) -> list[Record]:
    """Take up history as `minutes` does."""
    for wanted in meters.wanted():
        for closed in history:
            if wanted.until is None or closed.start < wanted.until:
                wanted.ledger.load(closed)
    return [record for wanted in meters.wanted() for record in meters.recalled(wanted)]


def of_kind(kind: type[T], records: list[Record]) -> list[T]:
    return [record for record in records if isinstance(record, kind)]


def uptime(meters: Meters, check: Check) -> tuple[int, int]:
    return meters.uptime(check)["1h"][:2]


def counts(meters: Meters, key: Key) -> tuple[float, float]:
    series = meters.series(key)
    assert series is not None
    found = series.last(3600)
    return found.good, found.total


def minutes_later(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_run_counts_once_for_its_check_and_once_for_each_objective() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    meters.open_objective(OTHER, "slo-2", Counting(MONTH, check.key, 0.1))
    meters.count(check, PASS, NOON)
    meters.count(check, FAIL, NOON)

    assert uptime(meters, check) == (1, 2)
    assert counts(meters, SLO) == (1, 2)
    assert counts(meters, OTHER) == (0, 2)


def test_only_passes_and_fails_count() -> None:
    """H1."""
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    for verdict in set(Verdict) - {Verdict.PASS, Verdict.FAIL}:
        meters.count(check, Run(verdict, Reason.INTERNAL, 0.1, 0, 1), NOON)

    assert uptime(meters, check) == (0, 0)
    assert counts(meters, SLO) == (0, 0)


def test_an_objective_that_turns_to_another_check_counts_that_alone_and_keeps_its_books() -> None:
    meters = begun()
    first, second = check_of(meters), check_of(meters, "api", uid="uid-2")
    meters.open_objective(SLO, "slo-1", Counting(MONTH, first.key))
    meters.count(first, PASS, NOON)
    meters.open_objective(SLO, "slo-1", Counting(MONTH, second.key))
    meters.count(first, PASS, NOON)
    meters.count(second, FAIL, NOON)

    assert counts(meters, SLO) == (1, 2)


def test_a_closed_objective_counts_no_more_and_others_go_on() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    meters.open_objective(OTHER, "slo-2", Counting(MONTH, check.key))
    meters.close_objective(SLO)
    meters.close_objective(SLO)
    meters.count(check, PASS, NOON)

    assert meters.series(SLO) is None
    assert counts(meters, OTHER) == (1, 1)


def test_a_new_check_does_not_inherit_the_books_of_one_that_is_gone() -> None:
    """Fault 37."""
    meters = begun()
    old = check_of(meters)
    meters.count(old, FAIL, NOON)
    meters.close_check(old.ref)
    new = check_of(meters, uid="uid-2")

    assert new.slot == old.slot
    assert uptime(meters, new) == (0, 0)


def test_an_hour_is_sixty_minutes_and_not_two_clock_hours() -> None:
    """H6."""
    meters = begun()
    check = check_of(meters)
    for minute in range(120):
        meters.roll(minutes_later(minute))
        meters.count(check, PASS, NOON)

    assert uptime(meters, check) == (60, 60)


def minutes(records: list[Record]) -> list[Bucket]:
    """Give what was closed in minutes."""
    return [bucket for one in records if isinstance(one, Closed) and one.seconds == 60 for bucket in one]


def test_a_minute_becomes_history_when_it_is_over_and_not_before() -> None:
    meters = begun()
    check = check_of(meters)
    meters.roll(NOON)
    meters.count(check, PASS, NOON)

    assert minutes(meters.roll(NOON + timedelta(seconds=59))) == []
    assert minutes(meters.roll(minutes_later(1))) == [Bucket("check/uid-1", int(NOON.timestamp()), 60, 1, 1, 1)]
    assert minutes(meters.roll(minutes_later(1))) == []


def test_every_run_becomes_history_with_its_minute_whatever_its_verdict() -> None:
    """H1: all six results are there to be looked at, also those that enter no figure."""
    meters = begun()
    check = check_of(meters)
    for number, verdict in enumerate(Verdict):
        meters.count(check, Run(verdict, Reason.INTERNAL, 0.5, 0, 1), NOON + timedelta(seconds=number))
    meters.count(check, PASS, minutes_later(1))

    [runs] = of_kind(Runs, meters.roll(minutes_later(1)))

    assert (runs.start, runs.series, len(runs.verdict)) == (int(NOON.timestamp()), ("check/uid-1",), len(Verdict))
    assert runs.offset.tolist() == [0, 1000, 2000, 3000, 4000, 5000]
    assert [len(runs.verdict) for runs in of_kind(Runs, meters.close())] == [1]


def test_history_is_told_whose_runs_a_series_counts_once_and_then_daily() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_check(check.ref, "cart")
    meters.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    told = [of_kind(Known, meters.roll(minutes_later(minute))) for minute in (1, 2, 24 * 60, 24 * 60 + 1)]
    seen = [minute_of(NOON) * 60 + 60 * minute for minute in (1, 24 * 60)]

    assert [len(news) for news in told] == [2, 0, 2, 0]
    assert [told[0], told[2]] == [
        [Known("check/uid-1", "shop", "web", "cart", at), Known("slo/slo-1", "shop", "web", "", at)] for at in seen
    ]


def test_a_check_that_is_gone_is_told_of_but_not_again() -> None:
    """Fault 36: created and deleted within a minute."""
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    meters.close_check(check.ref)
    meters.close_objective(SLO)

    assert len(of_kind(Known, meters.roll(minutes_later(1)))) == 2
    assert of_kind(Known, meters.roll(minutes_later(24 * 60))) == []


def test_the_latencies_of_an_hour_are_told_when_it_is_over_or_at_a_stop() -> None:
    meters = begun()
    check = check_of(meters)
    for minute in range(60):
        meters.count(check, PASS, minutes_later(minute))
        meters.count(check, FAIL, minutes_later(minute))
    told = meters.roll(minutes_later(59))
    [hour] = of_kind(Latencies, meters.roll(minutes_later(61)))
    meters.count(check, PASS, minutes_later(61))
    [part] = of_kind(Latencies, meters.close())

    assert of_kind(Latencies, told) == []
    assert (hour.start, hour.series, hour.count.tolist()) == (int(NOON.timestamp()), ("check/uid-1",), [60])
    assert hour.seconds[:, 0].tolist() == pytest.approx([0.2] * 4, rel=0.05)
    assert (part.start, part.count.tolist()) == (int(NOON.timestamp()) + 3600, [1])


def test_uptime_and_objectives_survive_a_restart() -> None:
    """H6: what a graceful stop wrote, the next process takes up."""
    before = begun()
    check = check_of(before)
    before.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    take_up(before)
    history: list[Record] = []
    for minute in range(10):
        before.count(check, FAIL if minute % 5 == 0 else PASS, minutes_later(minute))
        history += before.roll(minutes_later(minute + 1))
    before.count(check, PASS, minutes_later(10))
    history += before.close()

    after = Meters()
    check = check_of(after)
    after.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    for book in after.books:
        book.roll(minute_of(minutes_later(10)))
        for closed in of_kind(Closed, history):
            book.load(closed)
    take_up(after)
    after.roll(minutes_later(11))

    assert uptime(after, check) == (9, 11)
    assert counts(after, SLO) == (9, 11)


def test_a_clock_that_goes_back_books_nothing_twice() -> None:
    """Fault 25: a jump of the wall clock."""
    meters = begun()
    check = check_of(meters)
    meters.count(check, PASS, NOON)
    meters.roll(minutes_later(1))

    assert minutes(meters.roll(minutes_later(-60))) == []
    meters.count(check, PASS, NOON)
    assert uptime(meters, check) == (2, 2)


def test_a_minute_is_counted_since_the_epoch() -> None:
    assert minute_of(NOON + timedelta(seconds=59, microseconds=999_999)) == int(NOON.timestamp()) // 60


# --- objectives: by events, slices and groups -------------------------------------------------------------

EVENTS = Counting(MONTH)
MINUTELY = Slicing(BudgetingMethod.TIMESLICES, 60, Decimal("0.9"))
FIVES = Slicing(BudgetingMethod.RATIO_TIMESLICES, 300)
NOW = int(NOON.timestamp()) // 60


def counted(series: Any, since: int = NOW - 24 * 60) -> tuple[float, float]:
    """Give bad and total since a minute."""
    found = series.between(since * 60, (NOW + 2000) * 60)
    return found.bad, found.total


def opened(counting: Counting = EVENTS) -> Meters:
    meters = begun()
    meters.open_objective(SLO, "slo-1", counting)
    take_up(meters)
    return meters


def test_events_count_in_their_group_and_in_the_whole() -> None:
    """S14."""
    meters = opened()
    assert meters.add(SLO, "region=eu", NOW, 1, 4)
    assert meters.add(SLO, "region=us", NOW - 3, 0, 2)
    assert meters.add(SLO, "", NOW - 300, 2, 2)

    assert meters.groups(SLO) == ("region=eu", "region=us")
    assert [counted(meters.series(SLO, group)) for group in ("", *meters.groups(SLO))] == [(3, 8), (1, 4), (0, 2)]
    assert meters.series(SLO, "region=asia") is None
    assert meters.slices(SLO) is None


@pytest.mark.parametrize(
    ("minute", "bad", "total"),
    [(NOW + 1, 0, 1), (NOW - 400, 0, 1), (NOW, 2, 1), (NOW, -1, 1), (NOW, float("nan"), 1), (NOW, 0, float("inf"))],
)
def test_events_of_the_future_the_far_past_or_of_no_sense_are_refused(minute: int, bad: float, total: float) -> None:
    """Faults 50, 51."""
    meters = opened()

    assert not meters.add(SLO, "region=eu", minute, bad, total)
    assert not meters.add(OTHER, "", NOW, 0, 1)
    assert meters.groups(SLO) == ()
    assert counted(meters.series(SLO)) == (0, 0)


def test_too_many_groups_are_refused_and_change_nothing() -> None:
    """Fault 54."""
    meters = opened()
    for number in range(64):
        assert meters.add(SLO, f"region={number}", NOW, 0, 1)

    assert not meters.add(SLO, "region=64", NOW, 0, 1)
    assert not meters.put(SLO, "region=64", Bucket("", NOW * 60 - 60, 60, 1, 1, 1))
    assert meters.series_name(SLO, "region=64") is None
    assert not opened().add(SLO, "x" * 257, NOW, 0, 1)
    assert meters.add(SLO, "region=63", NOW, 0, 1)
    assert counted(meters.series(SLO)) == (0, 65)


def test_series_have_names_by_uid_and_group() -> None:
    meters = opened()
    name = meters.series_name(SLO, "region=eu")

    assert meters.series_name(SLO, "") == "slo/slo-1"
    assert name is not None
    assert (name[:10], len(name)) == ("slo/slo-1/", 22)
    assert meters.series_name(OTHER, "") is None
    meters.add(SLO, "region=eu", NOW, 0, 1)
    news = of_kind(Known, meters.roll(minutes_later(1)))
    assert {(one.series, one.service) for one in news} == {("slo/slo-1", ""), (name, "region=eu")}


def test_a_slice_is_booked_once_when_it_ends_and_anew_when_late_events_change_it() -> None:
    """S7: good from its objective on."""
    meters = opened(Counting(MONTH, slicing=MINUTELY))
    meters.add(SLO, "region=eu", NOW, 1, 10)
    before = counted(meters.slices(SLO))
    meters.roll(minutes_later(1))
    meters.roll(minutes_later(2))
    good = [counted(meters.slices(SLO, group)) for group in ("", "region=eu")]
    meters.add(SLO, "region=eu", NOW, 1, 1)
    bad = [counted(meters.slices(SLO, group)) for group in ("", "region=eu")]
    meters.add(SLO, "region=eu", NOW, 0, 100)
    [told] = [b for one in of_kind(Closed, meters.snapshot()) for b in one if b.series == "slice/slo-1"]

    assert (before, good, bad) == ((0, 0), [(0, 1)] * 2, [(1, 1)] * 2)
    assert counted(meters.slices(SLO)) == (0, 1)
    assert told == Bucket("slice/slo-1", NOW * 60, 60, 1, 1, 1)


def test_slices_without_events_are_observed_or_no_data() -> None:
    """S5."""
    meters = opened(Counting(MONTH, slicing=MINUTELY))
    meters.add(SLO, "", NOW, 0, 0)
    meters.roll(minutes_later(5))
    slices = meters.slices(SLO)
    assert slices is not None

    assert slices.last(600) == Counts(0, 0, 60, 600)


def test_slices_of_ratios_are_booked_with_the_minute_in_which_they_end_also_over_a_gap() -> None:
    """Fault 25: a suspended host."""
    meters = opened(Counting(MONTH, slicing=FIVES))
    meters.add(SLO, "", NOW, 1, 2)
    meters.roll(minutes_later(2))
    meters.add(SLO, "", NOW + 2, 1, 6)

    records = of_kind(Closed, meters.roll(minutes_later(23)))

    booked = [b for one in records for b in one if b.series == "slice/slo-1" and b.seconds == 60]
    assert booked == [Bucket("slice/slo-1", (NOW + 4) * 60, 60, 0.75, 1, 1)]
    assert counted(meters.slices(SLO)) == (0.25, 1)


def test_a_restart_in_the_middle_of_a_slice_loses_nothing() -> None:
    """S7, H6."""
    counting = Counting(MONTH, slicing=FIVES)
    before = opened(counting)
    before.add(SLO, "", NOW, 1, 1)
    history = of_kind(Closed, [*before.roll(minutes_later(2)), *before.snapshot()])

    after = Meters()
    after.open_objective(SLO, "slo-1", counting)
    for book in after.books:
        book.roll(NOW)
    take_up(after, *history)
    after.roll(minutes_later(3))
    after.add(SLO, "", NOW + 3, 0, 3)
    after.roll(minutes_later(5))

    assert counted(after.slices(SLO)) == (0.25, 1)


def test_a_slice_that_late_events_made_bad_is_bad_after_a_kill_that_lost_its_new_verdict() -> None:
    """S7: the events are in the store before they are acknowledged, the verdict of their slice is only on its way."""
    counting = Counting(MONTH, slicing=MINUTELY)
    before = opened(counting)
    before.add(SLO, "", NOW, 0, 10)
    written = of_kind(Closed, before.roll(minutes_later(30)))
    events = Closed(NOW * 60, 60, ("slo/slo-1",), np.array([[90.0], [100.0], [1.0]]))

    after = Meters()
    after.open_objective(SLO, "slo-1", counting)
    for book in after.books:
        book.roll(NOW + 30)
    take_up(after, *written, events)

    assert (counted(before.slices(SLO)), counted(after.slices(SLO))) == ((0, 1), (1, 1))


def test_an_hour_that_is_backfilled_is_a_slice_of_an_hour() -> None:
    meters = opened(Counting(MONTH, slicing=Slicing(BudgetingMethod.RATIO_TIMESLICES, 3600)))

    assert meters.put(SLO, "", Bucket("", (NOW // 60 - 200) * 3600, 3600, 3, 4, 60))

    assert counted(meters.slices(SLO), NOW - 300 * 60) == (0.25, 1)


def test_an_objective_that_looks_further_back_moves_with_all_it_counted_and_wants_what_is_older() -> None:
    """Fault 52: the window is extended."""
    meters = opened(Counting(MONTH, slicing=MINUTELY))
    meters.add(SLO, "region=eu", NOW, 1, 4)
    short = meters.books[1]
    assert meters.wanted() == []

    meters.open_objective(SLO, "slo-1", Counting(timedelta(days=90), slicing=MINUTELY))
    wanted = meters.wanted()
    old = Closed((NOW // 60 - 24 * 60) * 3600, 3600, ("slo/slo-1",), np.array([[5.0], [6.0], [60.0]]))
    young = Closed((NOW // 60 - 24 * 3) * 3600, 3600, ("slo/slo-1",), np.array([[5.0], [6.0], [60.0]]))
    assert meters.is_recalled(SLO)
    take_up(meters, old, young)

    assert [one.ledger for one in wanted] == [meters.books[2]]
    assert short.series == ()
    assert [counted(meters.series(SLO, group)) for group in ("", "region=eu")] == [(1, 4)] * 2
    assert counted(meters.series(SLO), NOW - 89 * 24 * 60) == (6, 10)
    assert meters.wanted() == []
    meters.open_objective(SLO, "slo-1", EVENTS)
    assert counted(meters.series(SLO), NOW - 89 * 24 * 60) == (6, 10)


def test_runs_of_a_check_go_on_counting_after_a_move() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", Counting(MONTH, check.key))
    meters.open_objective(OTHER, "slo-2", Counting(timedelta(days=366), check.key))
    meters.open_objective(SLO, "slo-1", Counting(timedelta(days=60), check.key))
    meters.count(check, FAIL, NOON)

    assert (counts(meters, SLO), counts(meters, OTHER)) == ((0, 1), (0, 1))


def test_an_objective_is_not_recalled_before_its_history_was_taken_up() -> None:
    """Whoever adds what is in history already would have it counted twice."""
    meters = begun()
    meters.open_objective(SLO, "slo-1", EVENTS)
    known = [meters.is_recalled(SLO), meters.is_recalled(OTHER)]
    take_up(meters)
    known.append(meters.is_recalled(SLO))
    meters.add(SLO, "region=eu", NOW, 0, 1)

    assert [*known, meters.is_recalled(SLO)] == [False, False, True, True]


def test_groups_that_history_knows_are_there_after_a_restart() -> None:
    """S14: also those whose status was not written before a kill."""
    before = opened()
    before.add(SLO, "region=eu", NOW, 1, 4)
    records = before.snapshot()

    after = begun()
    after.open_objective(SLO, "slo-1", EVENTS)
    after.meet(
        [*of_kind(Known, records), Known("slo/other/abc", "shop", "web", "x", 1), Known("slo/slo-1/a", "", "", "y", 1)]
    )
    take_up(after, *of_kind(Closed, records))

    assert after.groups(SLO) == ("region=eu",)
    assert [counted(after.series(SLO, group)) for group in ("", "region=eu")] == [(1, 4)] * 2


def test_an_objective_that_was_replaced_under_its_name_begins_anew() -> None:
    """Fault 37."""
    meters = opened()
    meters.add(SLO, "region=eu", NOW, 1, 4)
    meters.open_objective(SLO, "slo-9", EVENTS)

    assert meters.groups(SLO) == ()
    assert counted(meters.series(SLO)) == (0, 0)


def test_it_is_known_when_events_last_came() -> None:
    meters = opened()
    known = [meters.last_counted(SLO), meters.last_counted(OTHER)]
    meters.add(SLO, "", NOW - 100, 0, 1)
    known.append(meters.last_counted(SLO))
    meters.add(SLO, "", NOW, 0, 0)
    known.append(meters.last_counted(SLO))
    meters.add(SLO, "", NOW, 0, 1)
    known.append(meters.last_counted(SLO))
    meters.roll(minutes_later(4000))
    known.append(meters.last_counted(SLO))

    at = [(NOW - 99) * 60, (NOW - 99) * 60, NOW * 60, NOW * 60 + 300]
    assert known == [None, None, *at]


def test_a_snapshot_tells_the_unfinished_minute_and_what_changed_before_it_once() -> None:
    meters = opened()
    check = check_of(meters)
    meters.count(check, FAIL, NOON)
    meters.add(SLO, "", NOW - 2, 0, 1)

    told = [[b for one in of_kind(Closed, meters.snapshot()) for b in one] for _ in range(2)]

    assert {(b.series, b.start // 60 - NOW, b.seconds) for b in told[0]} == {
        ("check/uid-1", 0, 60), ("slo/slo-1", -2, 60), ("slo/slo-1", -5, 300), ("slo/slo-1", -60, 3600)
    }  # fmt: skip
    assert told[1] == []
    assert Meters().snapshot() == []


def test_watched_objectives_are_told_of_when_their_budgets_move() -> None:
    meters = opened()
    watched = Watched(0.01, 30 * 86400, ((3600, 300, 14.4),))
    meters.watch(SLO, watched)
    meters.watch(OTHER, watched)
    told = [meters.moved(), meters.moved()]
    meters.add(SLO, "region=eu", NOW, 0, 100)
    told.append(meters.moved())
    meters.add(SLO, "region=eu", NOW, 3, 3)
    told.append(meters.moved())
    meters.open_objective(SLO, "slo-1", Counting(timedelta(days=90)))
    told += [meters.moved(), meters.moved()]
    meters.close_objective(SLO)

    assert [*told, meters.moved()] == [(SLO,), (), (SLO,), (SLO,), (SLO,), (), ()]


def test_an_objective_is_told_of_within_the_minute_when_an_alert_of_it_or_of_a_group_may_begin() -> None:
    """S2: and not when its budget only moves."""
    meters = opened()
    meters.watch(SLO, Watched(0.01, 30 * 86400, ((3600, 300, 14.4),), interval=3600))
    told = [meters.moved(), meters.crossed()]
    meters.add(SLO, "", NOW, 1, 100)
    told.append(meters.crossed())
    meters.add(SLO, "region=eu", NOW, 20, 20)
    told += [meters.crossed(), meters.crossed()]

    assert told == [(SLO,), (), (), (SLO,), ()]
