"""The books of the process: what counts once, what does not count, and what becomes history."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from fakes import NOON, check_body
from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.history import Known, Latencies, Runs
from homeostat.core.ledger import Closed
from homeostat.core.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.probing import Reason, Verdict
from homeostat.core.run import Run
from homeostat.core.track import Track
from homeostat.core.window import Bucket
from homeostat.engine.checks import Check
from homeostat.engine.meters import Meters, minute_of
from homeostat.engine.objects import Key, entry_from
from homeostat.ports import Record

T = TypeVar("T")

SLO, OTHER = Key("ServiceLevelObjective", "shop", "web"), Key("ServiceLevelObjective", "shop", "fast")
HOUR = timedelta(hours=1)
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


def of_kind(kind: type[T], records: list[Record]) -> list[T]:
    return [record for record in records if isinstance(record, kind)]


def uptime(meters: Meters, check: Check) -> tuple[int, int]:
    return meters.uptime(check)["1h"][:2]


def counts(meters: Meters, key: Key) -> tuple[float, float]:
    found = meters.counts(key, [HOUR])[HOUR]
    return found.good, found.total


def minutes_later(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_run_counts_once_for_its_check_and_once_for_each_objective() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", check.key, None)
    meters.open_objective(OTHER, "slo-2", check.key, 0.1)
    meters.count(check, PASS, NOON)
    meters.count(check, FAIL, NOON)

    assert uptime(meters, check) == (1, 2)
    assert counts(meters, SLO) == (1, 2)
    assert counts(meters, OTHER) == (0, 2)


def test_only_passes_and_fails_count() -> None:
    """H1."""
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", check.key, None)
    for verdict in set(Verdict) - {Verdict.PASS, Verdict.FAIL}:
        meters.count(check, Run(verdict, Reason.INTERNAL, 0.1, 0, 1), NOON)

    assert uptime(meters, check) == (0, 0)
    assert counts(meters, SLO) == (0, 0)


def test_an_objective_that_turns_to_another_check_counts_that_alone_and_keeps_its_books() -> None:
    meters = begun()
    first, second = check_of(meters), check_of(meters, "api", uid="uid-2")
    meters.open_objective(SLO, "slo-1", first.key, None)
    meters.count(first, PASS, NOON)
    meters.open_objective(SLO, "slo-1", second.key, None)
    meters.count(first, PASS, NOON)
    meters.count(second, FAIL, NOON)

    assert counts(meters, SLO) == (1, 2)


def test_a_closed_objective_counts_no_more_and_others_go_on() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", check.key, None)
    meters.open_objective(OTHER, "slo-2", check.key, None)
    meters.close_objective(SLO)
    meters.close_objective(SLO)
    meters.count(check, PASS, NOON)

    assert meters.counts(SLO, [HOUR]) == {}
    assert counts(meters, OTHER) == (1, 1)
    assert len(meters._of_check[check.key]) == 1


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
    meters.open_objective(SLO, "slo-1", check.key, None)
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
    meters.open_objective(SLO, "slo-1", check.key, None)
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
    before.open_objective(SLO, "slo-1", check.key, None)
    history: list[Record] = []
    for minute in range(10):
        before.count(check, FAIL if minute % 5 == 0 else PASS, minutes_later(minute))
        history += before.roll(minutes_later(minute + 1))
    before.count(check, PASS, minutes_later(10))
    history += before.close()

    after = Meters()
    check = check_of(after)
    after.open_objective(SLO, "slo-1", check.key, None)
    for book in after.books:
        book.roll(minute_of(minutes_later(10)))
        for closed in of_kind(Closed, history):
            book.load(closed)
        book.sum_up()
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
