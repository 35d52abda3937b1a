"""A survey wakes those whose alerts or budgets moved, and agrees with what each window says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.core.history.ledger import Ledger
from homeostat.core.history.window import MONTH_TIERS
from homeostat.core.objective.survey import Survey, Watched, burn_rates

START = 30_000_000
WATCHED = Watched(0.01, 30 * 86400, ((3600, 300, 14.4), (6 * 3600, 1800, 6.0)))


def books(count: int) -> tuple[Ledger, list[int]]:
    ledger = Ledger(MONTH_TIERS)
    slots = [ledger.open(str(number)) for number in range(count)]
    ledger.roll(START)
    return ledger, slots


def live(ledger: Ledger, minutes: int, bad: dict[int, float], total: float = 100) -> None:
    for _ in range(minutes):
        for slot, of_slot in bad.items():
            ledger.add(slot, of_slot, total)
        ledger.roll(ledger.minute + 1)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80))
def test_burn_rates_of_all_are_those_of_each(history: list[tuple[int, int]]) -> None:
    """S2, S4, S5: and never NaN."""
    ledger, slots = books(2)
    for bad, good in history:
        ledger.roll(ledger.minute + 1)
        ledger.add(slots[0], bad, bad + good)
    windows = (300, 3600, 86400)

    rates, has_data = burn_rates(ledger, windows, np.full(ledger.width, 0.01))

    for row, seconds in enumerate(windows):
        counts = ledger.window(slots[0], seconds)
        assert has_data[row, slots[0]] == (counts.total > 0)
        assert rates[row, slots[0]] == pytest.approx(counts.bad / counts.total / 0.01 if counts.total else 0)
    assert not rates[:, slots[1]].any()
    assert not has_data[:, slots[1]].any()


def test_who_is_watched_is_given_once_and_then_when_something_moves() -> None:
    ledger, slots = books(3)
    survey = Survey(ledger)
    for slot in slots[:2]:
        survey.watch(slot, WATCHED)
    live(ledger, 100, dict.fromkeys(slots, 0))
    seen = [survey.changed(), survey.changed()]
    live(ledger, 1, {slots[0]: 0, slots[1]: 100, slots[2]: 100})
    seen += [survey.changed(), survey.changed()]

    assert seen == [tuple(slots[:2]), (), (slots[1],), ()]


def test_an_alert_that_ends_is_given_although_the_budget_hardly_moves() -> None:
    ledger, [slot] = books(1)
    survey = Survey(ledger)
    live(ledger, 30 * 24 * 60, {slot: 0}, total=1)
    survey.watch(slot, Watched(0.01, 30 * 86400, ((3600, 300, 14.4),)))
    live(ledger, 20, {slot: 1}, total=1)
    begun = survey.changed()
    live(ledger, 3, {slot: 0}, total=1)
    still = survey.changed()
    live(ledger, 1, {slot: 0}, total=1)

    assert (begun, still, survey.changed()) == ((slot,), (), (slot,))


def test_an_alert_that_may_begin_is_given_within_the_minute_once() -> None:
    """S2: and budgets that only move are left to the minute's end."""
    ledger, slots = books(2)
    survey = Survey(ledger)
    live(ledger, 60, dict.fromkeys(slots, 0))
    for slot in slots:
        survey.watch(slot, WATCHED)
    told = [survey.changed(), survey.crossed()]
    ledger.add(slots[0], 50, 50)
    ledger.add(slots[1], 1, 50)
    told.append(survey.crossed())
    ledger.add(slots[0], 2000, 2000)
    told += [survey.crossed(), survey.crossed(), survey.changed()]

    assert told == [tuple(slots), (), (), (slots[0],), (), tuple(slots)]


@pytest.mark.parametrize(("interval", "minutes"), [(60.0, 9), (240.0, 3)])
def test_a_long_window_that_is_not_lived_through_yet_counts_as_filled_with_good_events(
    interval: float, minutes: int
) -> None:
    """S6: all is bad, and 14.4 % of an hour are 8 minutes and 38 s, or as many that one result speaks for."""
    ledger, [slot] = books(1)
    survey = Survey(ledger)
    survey.watch(slot, Watched(0.01, 30 * 86400, ((3600, 300, 14.4),), interval))
    survey.changed()
    for _ in range(minutes - 1):
        ledger.add(slot, 1, 1)
        assert survey.crossed() == ()
        ledger.roll(ledger.minute + 1)
    ledger.add(slot, 1, 1)

    assert survey.crossed() == (slot,)


def test_a_slot_that_is_watched_no_longer_or_anew_starts_over() -> None:
    ledger, slots = books(2)
    survey = Survey(ledger)
    survey.watch(slots[0], WATCHED)
    survey.watch(slots[0], WATCHED)
    assert survey.changed() == (slots[0],)

    survey.watch(slots[0], None)
    survey.watch(slots[1], WATCHED)
    more = [ledger.open(f"more {number}") for number in range(100)]
    survey.watch(more[-1], WATCHED)
    assert survey.changed() == (slots[1], more[-1])

    survey.watch(slots[0], WATCHED)
    assert survey.changed() == (slots[0],)
    assert Survey(ledger).changed() == ()
