"""What Alertmanager is told, and when: at once, again every minute, the end once; nothing twice through restarts."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fakes import NOON, FakeClock, eventually
from homeostat.api.objective_status import Alert, AlertType, ServiceLevelObjectiveStatus, Severity
from homeostat.engine.objective import alert_post
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.alert_post import AlertPost
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.notify.alertmanager import Fate, Posting
from homeostat.telemetry.metrics import Metrics
from pushed import KIND, objective_body

LIVES = timedelta(minutes=4)
PAGE = Alert(severity=Severity.PAGE, long=timedelta(hours=1), short=timedelta(minutes=5), since=NOON)
TICKET = Alert(type=AlertType.NO_DATA, severity=Severity.TICKET, since=NOON)


class FakeSink:
    """Notes what is posted as (slo, severity, seconds until its end); refuses alerts of the names in `bad`."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.is_down = False
        self.bad: set[str] = set()
        self.taken: list[tuple[str, str, float]] = []
        self.sizes: list[int] = []

    async def post(self, postings: Sequence[Posting]) -> Fate:
        self.sizes.append(len(postings))
        await asyncio.sleep(0)
        if self.is_down:
            return Fate.UNAVAILABLE
        found = [(dict(one.alert.labels), (one.ends_at - self.clock.now()).total_seconds()) for one in postings]
        if any(labels["slo"] in self.bad for labels, _ in found):
            return Fate.REFUSED
        self.taken += [(labels["slo"], labels["severity"], left) for labels, left in found]
        return Fate.TAKEN

    def news(self) -> list[tuple[str, str, float]]:
        """Give what was taken since this was last asked."""
        news, self.taken = self.taken, []
        return news


class World:
    """Objectives whose alerts a test sets, and one Alertmanager."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = ObjectStore()
        self.sink = FakeSink(self.clock)
        self.version = 0
        self.start()

    def start(self) -> None:
        """Begin a life of the operator: nothing is known but what is in the API server."""
        self.post = AlertPost(AlertBook(self.store), self.sink, self.clock, Metrics())

    def set(self, name: str, *alerts: Alert, **status: Any) -> None:
        self.version += 1
        full = ServiceLevelObjectiveStatus(alerts=alerts, **status).wire()
        self.store.put(entry_from(objective_body(name, version=self.version, status=full), KIND))

    async def after(self, seconds: float) -> list[tuple[str, str, float]]:
        """Let time pass, and give what was posted then."""
        self.clock.advance(seconds)
        await self.post.post_due()
        return self.sink.news()


async def test_a_new_alert_is_told_at_once_and_again_every_minute() -> None:
    world = World()
    world.set("web", PAGE)

    assert await world.after(0) == [("web", "page", 240)]
    assert await world.after(59) == []
    assert await world.after(1) == [("web", "page", 240)]
    world.set("api", TICKET)
    assert await world.after(1) == [("api", "ticket", 240)]
    assert await world.after(59) == [("web", "page", 240)]


async def test_an_end_is_told_once() -> None:
    world = World()
    world.set("web", PAGE, TICKET)
    await world.after(0)
    world.set("web", TICKET)

    assert await world.after(1) == [("web", "page", 0)]
    assert await world.after(30) == []
    assert await world.after(30) == [("web", "ticket", 240)]


async def test_an_objective_that_is_gone_has_no_alerts() -> None:
    world = World()
    world.set("web", PAGE)
    await world.after(0)
    world.store.remove(Key(KIND, "shop", "web"))

    assert await world.after(1) == [("web", "page", 0)]
    assert await world.after(100) == []


async def test_after_a_restart_what_fires_goes_on_and_nothing_is_ended() -> None:
    """What ended while we were down, Alertmanager ends by itself: nobody here knows of it."""
    world = World()
    world.set("web", PAGE)
    world.set("api", TICKET)
    await world.after(0)
    world.set("api")
    world.start()

    assert await world.after(30) == [("web", "page", 240)]


async def test_what_ends_with_the_first_decision_after_a_restart_is_told() -> None:
    world = World()
    world.set("web", PAGE)
    await world.post.look()
    world.set("web")

    assert await world.after(0) == [("web", "page", 0)]


async def test_an_hour_without_alertmanager_costs_nothing_and_loses_nothing() -> None:
    """55: what began is told when it is back, what ended too, once."""
    world = World()
    world.set("web", PAGE)
    world.set("api", TICKET)
    await world.after(0)
    world.sink.news()
    world.sink.is_down = True
    world.set("web")
    world.set("new", PAGE)
    for _ in range(60):
        assert await world.after(60) == []
    assert not world.post.is_reachable
    world.sink.is_down = False

    assert sorted(await world.after(60)) == [("api", "ticket", 240), ("new", "page", 240), ("web", "page", -3600)]
    assert world.post.is_reachable
    assert await world.after(1) == []


async def test_an_alert_that_comes_back_before_its_end_was_told_just_fires() -> None:
    world = World()
    world.set("web", PAGE)
    await world.after(0)
    world.sink.is_down = True
    world.sink.news()
    world.set("web")
    await world.after(1)
    world.set("web", PAGE.model_copy(update={"since": NOON + timedelta(seconds=2)}))
    await world.after(1)
    world.sink.is_down = False

    assert await world.after(1) == [("web", "page", 240)]


async def test_many_are_told_in_batches() -> None:
    world = World()
    for number in range(150):
        world.set(f"slo-{number}", PAGE)

    assert len(await world.after(0)) == 150
    assert world.sink.sizes == [64, 64, 22]


async def test_what_is_refused_keeps_nothing_else_and_is_tried_again_each_minute() -> None:
    """56."""
    world = World()
    world.sink.bad = {"slo-7", "slo-80"}
    for number in range(100):
        world.set(f"slo-{number}", PAGE)

    assert len(await world.after(0)) == 98
    assert world.post.is_reachable
    assert await world.after(1) == []
    world.sink.bad = set()
    assert len(await world.after(59)) == 100


async def test_new_figures_are_no_new_alert() -> None:
    world = World()
    world.set("web", PAGE)
    await world.after(0)
    world.set("web", PAGE, good=5, bad=2)

    assert await world.after(1) == []


async def test_what_could_not_be_told_to_have_ended_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(alert_post, "MOST_ENDED", 5)
    world = World()
    world.sink.is_down = True
    for number in range(20):
        world.set(f"slo-{number}", PAGE)
        await world.after(1)
        world.set(f"slo-{number}")
        await world.after(1)
    world.sink.is_down = False

    assert [name for name, _, _ in await world.after(1)] == [f"slo-{number}" for number in range(15, 20)]


async def test_it_runs_by_itself() -> None:
    world = World()
    world.set("web", PAGE)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(world.post.run())
        await eventually(lambda: world.sink.taken)
        running.cancel()


def test_alerts_come_first_in_a_status_by_name() -> None:
    """Only the first bytes of a status are looked at to see whether it has any."""
    names = [field.alias or name for name, field in ServiceLevelObjectiveStatus.model_fields.items()]

    assert min(names) == "alerts"


async def test_a_status_is_read_once_for_each_change(monkeypatch: Any) -> None:
    world = World()
    for number in range(300):
        world.set(f"slo-{number}", PAGE)
    book = AlertBook(world.store)
    first = await book.firing()
    monkeypatch.setattr("homeostat.engine.objective.alert_book.alerts_of", None)

    assert await book.firing() == first
    assert len(await book.firing("shop")) == 300
    assert await book.firing("bank") == []
