"""Pushed events are durable before they are acknowledged, counted once whatever happens, and written together."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fakes import NOON, FakeClock, FakeHistory, eventually
from homeostat.core.history.records import Known
from homeostat.core.objective.pushing import Accepted, PushReason, Refused
from homeostat.engine.meters import Meters
from homeostat.engine.objective import ingest as ingest_module
from homeostat.engine.objective.counting import Counting
from homeostat.engine.objective.ingest import Ingest
from homeostat.engine.objects import Key, entry_from
from homeostat.telemetry.metrics import Metrics
from pushed import WEB, NotingBooks, events, ingesting, objective_body, store_of

MINUTE = int(NOON.timestamp()) // 60
GROUPED = [f"region=r{number}" for number in range(64)]


def in_group(region: str, good: int = 1) -> dict[str, Any]:
    return {"good": good, "labels": {"region": region}}


async def test_accepted_events_are_in_the_store_and_in_the_books() -> None:
    books, history = NotingBooks(), FakeHistory()
    async with ingesting(store_of(objective_body()), books, history) as ingest:
        assert await ingest.push("shop", "web", "k", events((120, 3), (7, 0))) == Accepted(2)

    [delivery] = history.delivered
    assert (delivery.objective, delivery.key) == ("uid-web", "k")
    assert delivery.counts == (("slo/web", MINUTE, 3.0, 130.0),)
    assert (books.bad["web", "", MINUTE], books.total["web", "", MINUTE]) == (3, 130)


async def test_it_is_told_that_there_was_a_push_even_of_zeros_and_not_of_one_that_is_refused() -> None:
    """S5: a service without traffic says so."""
    pushed: list[Key] = []
    async with ingesting(store_of(objective_body()), NotingBooks(), pushed=pushed.append) as ingest:
        assert await ingest.push("shop", "web", "k", events((0, 0))) == Accepted(1)
        assert isinstance(await ingest.push("shop", "web", "l", events((-1, 0))), Refused)

    assert pushed == [WEB]


async def test_events_of_a_group_are_delivered_to_the_group_and_to_the_whole() -> None:
    books, history = NotingBooks(), FakeHistory()
    body = {"events": [in_group("eu", 5), in_group("us", 2)]}
    async with ingesting(store_of(objective_body("web", "region")), books, history) as ingest:
        await ingest.push("shop", "web", "", body)

    [delivery] = history.delivered
    assert {series: total for series, _, _, total in delivery.counts} == {
        "slo/web": 7.0,
        "slo/web/region=eu": 5.0,
        "slo/web/region=us": 2.0,
    }
    assert (books.events(), books.events(group="region=eu")) == (7, 5)


async def test_a_new_group_is_introduced_with_its_first_events_and_not_again() -> None:
    """S14: whoever is killed right after finds it by its name."""
    history = FakeHistory()
    async with ingesting(store_of(objective_body("web", "region")), NotingBooks(), history) as ingest:
        for _ in range(2):
            await ingest.push("shop", "web", "", {"events": [in_group("eu", 5)]})

    known = Known("slo/web/region=eu", "shop", "web", "region=eu", int(NOON.timestamp()))
    assert [delivery.known for delivery in history.delivered] == [(known,), ()]


async def test_a_repeated_key_counts_nothing() -> None:
    books = NotingBooks()
    async with ingesting(store_of(objective_body()), books) as ingest:
        assert await ingest.push("shop", "web", "k", events((1, 0))) == Accepted(1)
        assert await ingest.push("shop", "web", "k", events((1, 0))) == Accepted(0, is_duplicate=True)
        assert await ingest.push("shop", "web", "k", events((5, 5))) == Accepted(0, is_duplicate=True)  # another body

    assert books.events() == 1


async def test_a_key_is_an_objectives_own() -> None:
    books = NotingBooks()
    async with ingesting(store_of(objective_body("web"), objective_body("api")), books) as ingest:
        for name in ("web", "api"):
            assert await ingest.push("shop", name, "k", events((1, 0))) == Accepted(1)

    assert (books.events("web"), books.events("api")) == (1, 1)


async def test_without_a_key_everything_counts() -> None:
    books = NotingBooks()
    async with ingesting(store_of(objective_body()), books) as ingest:
        for _ in range(2):
            await ingest.push("shop", "web", "", events((1, 0)))

    assert books.events() == 2


async def test_the_same_request_twice_at_once_counts_once() -> None:
    books, history = NotingBooks(), FakeHistory()
    async with ingesting(store_of(objective_body()), books, history) as ingest:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ingest.push("shop", "web", "k", events((1, 0)))) for _ in range(8)]
        answers = [one.result() for one in asked]

    assert sorted(isinstance(one, Accepted) and one.is_duplicate for one in answers) == [False] + [True] * 7
    assert books.events() == 1


async def test_requests_at_the_same_time_share_a_transaction() -> None:
    books, history = NotingBooks(), FakeHistory()
    async with (
        ingesting(store_of(objective_body()), books, history) as ingest,
        asyncio.TaskGroup() as group,
    ):
        for number in range(100):
            group.create_task(ingest.push("shop", "web", str(number), events((1, 0))))

    assert [len(batch) for batch in history.deliveries] == [100]
    assert books.events() == 100


async def test_a_transaction_takes_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "MOST_ROWS", 10)
    books, history = NotingBooks(), FakeHistory()
    async with (
        ingesting(store_of(objective_body()), books, history) as ingest,
        asyncio.TaskGroup() as group,
    ):
        for number in range(25):
            group.create_task(ingest.push("shop", "web", str(number), events((1, 0))))

    assert [len(batch) for batch in history.deliveries] == [10, 10, 5]


# --- a store that is away ---------------------------------------------------------------------------------


async def test_while_the_store_is_away_nothing_is_accepted_and_nothing_is_counted() -> None:
    books, history = NotingBooks(), FakeHistory()
    history.is_down = True
    async with ingesting(store_of(objective_body()), books, history) as ingest:
        refused = await ingest.push("shop", "web", "k", events((1, 0)))
        assert isinstance(refused, Refused)
        assert refused.reason is PushReason.STORE_UNAVAILABLE
        assert books.events() == 0

        history.is_down = False
        assert await ingest.push("shop", "web", "k", events((1, 0))) == Accepted(1)

    assert books.events() == 1


async def test_a_store_that_takes_too_long_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was told to repeat repeats; what the slow write did in the end is counted once."""
    monkeypatch.setattr(ingest_module, "PATIENCE", 0.05)
    books, history = NotingBooks(), FakeHistory()
    history.door.clear()
    async with ingesting(store_of(objective_body()), books, history) as ingest:
        assert isinstance(await ingest.push("shop", "web", "k", events((1, 0))), Refused)
        assert isinstance(await ingest.push("shop", "web", "never", events((1, 0))), Refused)
        history.door.set()
        await eventually(lambda: books.events() == 1)
        assert await ingest.push("shop", "web", "k", events((1, 0))) == Accepted(0, is_duplicate=True)

    assert [one.key for one in history.delivered] == ["k"]
    assert books.events() == 1


async def test_a_bug_in_the_store_is_told_to_those_who_wait_and_ends_nothing() -> None:
    class Buggy(FakeHistory):
        async def deliver(self, *told: Any) -> Any:
            if self.tries == 0:
                self.tries = 1
                raise ZeroDivisionError
            return await super().deliver(*told)

    books = NotingBooks()
    async with ingesting(store_of(objective_body()), books, Buggy()) as ingest:
        assert isinstance(await ingest.push("shop", "web", "a", events((1, 0))), Refused)
        assert await ingest.push("shop", "web", "b", events((1, 0))) == Accepted(1)


async def test_a_stop_lets_nobody_wait() -> None:
    history = FakeHistory()
    history.door.clear()
    async with ingesting(store_of(objective_body()), NotingBooks(), history) as ingest, asyncio.TaskGroup() as group:
        first = group.create_task(ingest.push("shop", "web", "a", events((1, 0))))
        await eventually(lambda: history.tries == 1)
        second = group.create_task(ingest.push("shop", "web", "b", events((1, 0))))
        await asyncio.sleep(0)
        running = next(one for one in asyncio.all_tasks() if "Ingest.run" in repr(one.get_coro()))
        running.cancel()

    assert isinstance(first.result(), Refused)
    assert isinstance(second.result(), Refused)
    assert isinstance(await ingest.push("shop", "web", "c", events((1, 0))), Refused)


# --- which objectives take events ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nobody", PushReason.NOT_FOUND),
        ("checked", PushReason.NOT_PUSHED_TO),
        ("broken", PushReason.NOT_ACCEPTED),
        ("closed", PushReason.NOT_ACCEPTED),
        ("leaving", PushReason.NOT_ACCEPTED),
        ("unread", PushReason.NOT_READY),
    ],
)
async def test_only_an_objective_of_events_that_is_evaluated_takes_them(name: str, reason: PushReason) -> None:
    store = store_of(
        objective_body("checked", indicator={"healthCheck": {"name": "web"}}),
        objective_body("broken", spec={"objective": "many"}),
        objective_body("closed"),
        objective_body("unread"),
        objective_body("leaving", deletionTimestamp="2026-11-21T12:00:00Z"),
    )
    books, history = NotingBooks(), FakeHistory()
    books.closed, books.unread = {WEB._replace(name="closed")}, {WEB._replace(name="unread")}
    async with ingesting(store, books, history) as ingest:
        before = ingest.refusal("shop", name)
        answer = await ingest.push("shop", name, "k", events((1, 0)))

    assert isinstance(answer, Refused)
    assert answer.reason is reason
    assert answer == before
    assert history.tries == 0


async def test_a_bad_entry_refuses_the_whole_batch() -> None:
    books, history = NotingBooks(), FakeHistory()
    async with ingesting(store_of(objective_body()), books, history) as ingest:
        answer = await ingest.push("shop", "web", "k", {"events": [{"good": 1}, {"good": -1}]})

    assert isinstance(answer, Refused)
    assert (answer.index, history.tries, books.events()) == (1, 0, 0)


async def test_an_objective_that_was_replaced_gets_nothing_of_its_predecessors() -> None:
    store, books, history = store_of(objective_body(version=1)), NotingBooks(), FakeHistory()
    history.door.clear()
    async with ingesting(store, books, history) as ingest, asyncio.TaskGroup() as group:
        asked = group.create_task(ingest.push("shop", "web", "k", events((1, 0))))
        await eventually(lambda: history.tries == 1)
        store.put(entry_from(objective_body(uid="another", version=2), "ServiceLevelObjective"))
        history.door.set()

    assert asked.result() == Accepted(1)
    assert books.events() == 0


# --- groups -------------------------------------------------------------------------------------------------


async def test_a_group_too_many_refuses_its_batch() -> None:
    books = NotingBooks()
    books.known[WEB] = set(GROUPED[:63])
    async with ingesting(store_of(objective_body("web", "region")), books) as ingest:
        answer = await ingest.push("shop", "web", "a", {"events": [in_group("r0"), in_group("x"), in_group("y")]})
        assert isinstance(answer, Refused)
        assert (answer.reason, answer.index) == (PushReason.TOO_MANY_GROUPS, 2)

        assert await ingest.push("shop", "web", "b", {"events": [in_group("r0"), in_group("x")]}) == Accepted(2)


async def test_groups_that_come_at_the_same_time_are_bounded_together() -> None:
    books = NotingBooks()
    books.known[WEB] = set(GROUPED[:60])
    async with ingesting(store_of(objective_body("web", "region")), books) as ingest:
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(ingest.push("shop", "web", "", {"events": [in_group(f"new{number}")]}))
                for number in range(10)
            ]
        refused = [one.result() for one in asked if isinstance(one.result(), Refused)]

    assert len(refused) == 6
    assert len(books.groups(WEB)) == 64


async def test_a_refused_batch_keeps_no_place_for_its_groups() -> None:
    books, history = NotingBooks(), FakeHistory()
    books.known[WEB] = set(GROUPED[:63])
    history.is_down = True
    async with ingesting(store_of(objective_body("web", "region")), books, history, FakeClock()) as ingest:
        assert isinstance(await ingest.push("shop", "web", "", {"events": [in_group("x")]}), Refused)
        history.is_down = False
        assert await ingest.push("shop", "web", "", {"events": [in_group("y")]}) == Accepted(1)


# --- with the real books --------------------------------------------------------------------------------------


async def test_events_of_a_minute_that_just_began_are_counted() -> None:
    """The books' minute is ended by a task that wakes a little late; an event of the new one must not be lost."""
    meters, clock = Meters(), FakeClock()
    meters.roll(clock.now())
    meters.open_objective(WEB, "uid-web", Counting(reach=timedelta(days=30), groups=()))
    for wanted in meters.wanted():
        meters.recalled(wanted)
    ingest = Ingest(
        store_of(objective_body("web", "region")), meters, FakeHistory(), clock, Metrics(),
        end_minute=lambda: meters.roll(clock.now()) and None, pushed=lambda _: None,
    )  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ingest.run())
        clock.advance(60.0)
        assert await ingest.push("shop", "web", "k", {"events": [in_group("eu", 3)]}) == Accepted(1)
        running.cancel()

    for group in ("", "region=eu"):
        series = meters.series(WEB, group)
        assert series is not None
        assert series.last(60).total == 3
