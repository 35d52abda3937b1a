"""Policies for the same target: who they are, and what it costs that they learn of each other."""

from collections import Counter
from typing import Any

import pytest

from fakes import FakeClock
from homeostat.core.schedule import Schedule
from homeostat.engine.objects import Key
from homeostat.engine.recovery.rivals import LOOKS_PER_SECOND, Rivals
from scenarios.recovery.world import spec

SHOP = Key("RecoveryPolicy", "shop", "restart-checkout")
OTHER = SHOP._replace(name="another")
STEP = 1 / LOOKS_PER_SECOND


class Looks:
    """A timetable whose looks ask who the rivals are, as decisions do: how often, and what each found last."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.schedule: Schedule[Key] = Schedule()
        self.rivals = Rivals(self.clock, self.schedule.add)
        self.times: Counter[Key] = Counter()
        self.found: dict[Key, tuple[str, ...]] = {}

    def open(self, key: Key, **changes: Any) -> None:
        """Take a policy that is new or edited: it is looked at at once, whoever its rivals are."""
        self.rivals.open(key, spec(**changes))
        self.schedule.add(key, self.clock.monotonic())
        self.look()

    def look(self) -> None:
        """Look at all whose time has come."""
        for key, _ in self.schedule.pop_due(self.clock.monotonic()):
            self.times[key] += 1
            self.found[key] = self.rivals.of(key)

    def rest(self) -> float:
        """Look until nothing is asked for any more; give the seconds that took."""
        began = self.clock.monotonic()
        while len(self.schedule):
            self.clock.advance(max(0.0, self.schedule.next_at() - self.clock.monotonic()))
            self.look()
        return self.clock.monotonic() - began


def policies(count: int) -> list[Key]:
    """Name policies in an order in which each comes before all that there are."""
    return [SHOP._replace(name=f"p-{number:04d}") for number in reversed(range(count))]


def test_policies_for_the_same_target_know_of_each_other_and_of_nobody_else() -> None:
    """Same namespace, kind and name; whoever gets or loses a rival is looked at."""
    looks, elsewhere = Looks(), SHOP._replace(namespace="bank")
    for key in (SHOP, OTHER, elsewhere):
        looks.open(key)
    looks.rest()
    assert looks.found == {SHOP: ("another",), OTHER: ("restart-checkout",), elsewhere: ()}
    before = looks.times[SHOP]

    looks.open(OTHER, target={"kind": "Deployment", "name": "cart"})
    looks.rest()

    assert (looks.found[SHOP], looks.found[OTHER]) == ((), ())
    assert (looks.times[SHOP], looks.times[elsewhere]) == (before + 1, 1)


def test_a_policy_whose_rival_is_gone_is_looked_at() -> None:
    looks = Looks()
    for key in (SHOP, OTHER):
        looks.open(key)
    looks.rest()

    looks.rivals.close(OTHER)
    looks.rest()

    assert looks.found[SHOP] == ()
    assert looks.rivals.of(OTHER) == ()


def test_the_first_rival_is_told_at_once() -> None:
    looks = Looks()
    looks.open(SHOP)

    looks.open(OTHER)

    assert looks.rest() <= 2 * STEP


def test_a_look_that_comes_before_the_news_is_had_again_after_it() -> None:
    """Of two looks that are asked for the earlier stands alone: it may come before the last rival does."""
    looks, (first, second) = Looks(), policies(2)
    for key in (SHOP, OTHER):
        looks.open(key)
    looks.rest()

    looks.open(first)
    looks.schedule.add(SHOP, looks.clock.monotonic() + STEP / 2)  # for another reason
    looks.clock.advance(STEP / 2)
    looks.look()
    looks.open(second)
    looks.rest()

    assert looks.found[SHOP] == (OTHER.name, second.name, first.name)


@pytest.mark.parametrize("count", [50, 500])
@pytest.mark.parametrize("apart", [0.0, STEP / 10, 10 * STEP], ids=["at once", "fast", "slowly"])
def test_policies_created_for_one_target_are_looked_at_so_many_a_second_and_not_each_time_another_comes(
    count: int, apart: float
) -> None:
    """Each has its own look and a last one; between them there are so many a second, however many policies."""
    looks, many = Looks(), policies(count)
    began = looks.clock.monotonic()
    for key in many:
        looks.open(key)
        looks.clock.advance(apart)
        looks.look()
    looks.rest()

    seconds = looks.clock.monotonic() - began
    assert looks.times.total() <= 2 * count + LOOKS_PER_SECOND * seconds
    assert all(len(found) == count - 1 for found in looks.found.values())


def test_policies_that_all_go_have_those_that_stay_looked_at_once() -> None:
    looks, many = Looks(), policies(500)
    for key in many:
        looks.open(key)
    looks.rest()
    before = looks.times.total()

    for key in many[100:]:
        looks.rivals.close(key)
        looks.schedule.forget(key)
    looks.rest()

    assert looks.times.total() - before <= 100
    assert all(len(looks.found[key]) == 99 for key in many[:100])


def test_policies_that_are_loaded_together_are_asked_for_once_each_besides_their_own_look() -> None:
    """A restart: all are there before the first look, and no loading costs the square of their number."""
    asked: list[Key] = []
    clock = FakeClock()
    rivals = Rivals(clock, lambda key, _: asked.append(key))

    for key in policies(1000):
        rivals.open(key, spec())

    assert len(asked) <= 1000
