"""The books of the process: what counts once, what does not count, and what becomes history."""

from datetime import datetime, timedelta
from typing import Any

from fakes import NOON, check_body
from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.probing import Reason, Verdict
from homeostat.core.run import Run
from homeostat.core.track import Track
from homeostat.engine.checks import Check
from homeostat.engine.meters import Meters, minute_of
from homeostat.engine.objects import Key, entry_from

SLO, OTHER = Key("ServiceLevelObjective", "shop", "web"), Key("ServiceLevelObjective", "shop", "fast")
HOUR = timedelta(hours=1)
PASS, FAIL = Run(Verdict.PASS, Reason.OK, 0.2, 1, 1), Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1)


def check_of(meters: Meters, name: str = "web", **more: Any) -> Check:
    body = check_body(name, **more)
    entry = entry_from(body, "HealthCheck")
    plan = compile(HealthCheckSpec.model_validate(body["spec"]), entry.ref)
    assert isinstance(plan, Plan)
    return Check(entry.key, entry.ref, plan, Track(since=NOON, fresh_at=NOON), meters.open_check(entry.ref))


def begun() -> Meters:
    """Make books without a past."""
    meters = Meters()
    meters.roll(NOON)
    return meters


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
    meters.count(check, PASS)
    meters.count(check, FAIL)

    assert uptime(meters, check) == (1, 2)
    assert counts(meters, SLO) == (1, 2)
    assert counts(meters, OTHER) == (0, 2)


def test_only_passes_and_fails_count() -> None:
    """H1."""
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", check.key, None)
    for verdict in set(Verdict) - {Verdict.PASS, Verdict.FAIL}:
        meters.count(check, Run(verdict, Reason.INTERNAL, 0.1, 0, 1))

    assert uptime(meters, check) == (0, 0)
    assert counts(meters, SLO) == (0, 0)


def test_an_objective_that_turns_to_another_check_counts_that_alone_and_keeps_its_books() -> None:
    meters = begun()
    first, second = check_of(meters), check_of(meters, "api", uid="uid-2")
    meters.open_objective(SLO, "slo-1", first.key, None)
    meters.count(first, PASS)
    meters.open_objective(SLO, "slo-1", second.key, None)
    meters.count(first, PASS)
    meters.count(second, FAIL)

    assert counts(meters, SLO) == (1, 2)


def test_a_closed_objective_counts_no_more_and_others_go_on() -> None:
    meters = begun()
    check = check_of(meters)
    meters.open_objective(SLO, "slo-1", check.key, None)
    meters.open_objective(OTHER, "slo-2", check.key, None)
    meters.close_objective(SLO)
    meters.close_objective(SLO)
    meters.count(check, PASS)

    assert meters.counts(SLO, [HOUR]) == {}
    assert counts(meters, OTHER) == (1, 1)
    assert len(meters._of_check[check.key]) == 1


def test_a_new_check_does_not_inherit_the_books_of_one_that_is_gone() -> None:
    """Fault 37."""
    meters = begun()
    old = check_of(meters)
    meters.count(old, FAIL)
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
        meters.count(check, PASS)

    assert uptime(meters, check) == (60, 60)


def test_a_minute_becomes_history_when_it_is_over_and_not_before() -> None:
    meters = begun()
    check = check_of(meters)
    meters.count(check, PASS)

    assert meters.roll(NOON + timedelta(seconds=59)) == []
    minutes = [bucket for bucket in meters.roll(minutes_later(1)) if bucket.seconds == 60]
    assert [(one.series, one.start, one.good, one.total) for one in minutes] == [
        ("check/uid-1", int(NOON.timestamp()), 1, 1)
    ]
    assert meters.roll(minutes_later(1)) == []


def test_uptime_and_objectives_survive_a_restart() -> None:
    """H6: what a graceful stop wrote, the next process takes up."""
    before = begun()
    check = check_of(before)
    before.open_objective(SLO, "slo-1", check.key, None)
    history = []
    for minute in range(10):
        before.count(check, FAIL if minute % 5 == 0 else PASS)
        history += before.roll(minutes_later(minute + 1))
    before.count(check, PASS)
    history += before.close()

    after = Meters()
    check = check_of(after)
    after.open_objective(SLO, "slo-1", check.key, None)
    for book in after.books:
        book.load(history)
    after.roll(minutes_later(11))

    assert uptime(after, check) == (9, 11)
    assert counts(after, SLO) == (9, 11)


def test_a_clock_that_goes_back_books_nothing_twice() -> None:
    """Fault 25: a jump of the wall clock."""
    meters = begun()
    check = check_of(meters)
    meters.count(check, PASS)
    meters.roll(minutes_later(1))

    assert meters.roll(minutes_later(-60)) == []
    meters.count(check, PASS)
    assert uptime(meters, check) == (2, 2)


def test_a_minute_is_counted_since_the_epoch() -> None:
    assert minute_of(NOON + timedelta(seconds=59, microseconds=999_999)) == int(NOON.timestamp()) // 60
