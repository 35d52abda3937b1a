"""What tests of pushed events share: objectives that take them, books that only note, and an ingest that runs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fakes import FakeClock, FakeHistory, body_of
from homeostat.engine.objective.ingest import Ingest
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.ports import Attributes, Clock, History, Refusal
from homeostat.telemetry.metrics import Metrics

KIND = "ServiceLevelObjective"
WEB = Key(KIND, "shop", "web")


def objective_body(name: str = "web", *group_by: str, **more: Any) -> dict[str, Any]:
    """Make an objective that events are pushed to; `indicator` replaces that."""
    indicator = more.pop("indicator", {"events": {"groupBy": list(group_by)}})
    spec = {"service": "checkout", "objective": "99.9", "window": {"rolling": "30d"}, "indicator": indicator}
    return body_of(KIND, name, spec | more.pop("spec", {}), **({"uid": f"uid-{name}"} | more))


def store_of(*bodies: dict[str, Any]) -> ObjectStore:
    """Make a store of objects."""
    store = ObjectStore()
    for body in bodies:
        store.put(entry_from(body, body["kind"]))
    return store


class NotingBooks:
    """Counts by (name, group, minute). An objective that is `closed` counts nothing, one `unread` nothing yet."""

    def __init__(self) -> None:
        self.bad, self.total = Counter[tuple[str, str, int]](), Counter[tuple[str, str, int]]()
        self.known: dict[Key, set[str]] = {}
        self.closed: set[Key] = set()
        self.unread: set[Key] = set()
        self.ended = 0

    def groups(self, key: Key) -> tuple[str, ...]:
        return tuple(self.known.get(key, ()))

    def is_recalled(self, key: Key) -> bool:
        return key not in self.unread

    def end_minute(self) -> None:
        self.ended += 1

    def series_name(self, key: Key, group: str) -> str | None:
        name = f"slo/{key.name}" + (f"/{group}" if group else "")
        return None if key in self.closed else name

    def add(self, key: Key, group: str, minute: int, bad: float, total: float) -> bool:
        if group:
            self.known.setdefault(key, set()).add(group)
        for one in {group, ""}:
            self.bad[key.name, one, minute] += int(bad)
            self.total[key.name, one, minute] += int(total)
        return True

    def events(self, name: str = "web", group: str = "") -> int:
        """Give all events of a group, or of the whole."""
        return sum(count for (of, which, _), count in self.total.items() if (of, which) == (name, group))


class FakeAccess:
    """Lets a token in that is called `good`, and notes what it was asked; `answers` are given before that."""

    def __init__(self) -> None:
        self.asked: list[Attributes] = []
        self.answers: list[Refusal | None] = []

    async def check(self, token: str, attributes: Attributes) -> Refusal | None:
        self.asked.append(attributes)
        await asyncio.sleep(0)
        if self.answers:
            return self.answers.pop(0)
        return None if token == "good" else Refusal.UNKNOWN  # noqa: S105 - not one


@asynccontextmanager
async def ingesting(
    store: ObjectStore,
    books: NotingBooks,
    history: History | None = None,
    clock: Clock | None = None,
    pushed: Callable[[Key], None] = lambda _: None,
) -> AsyncIterator[Ingest]:
    """Run an ingest."""
    clock = clock or FakeClock()
    ingest = Ingest(store, books, history or FakeHistory(), clock, Metrics(), books.end_minute, pushed)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ingest.run())
        yield ingest
        running.cancel()


def events(*counts: Sequence[int], **more: Any) -> dict[str, Any]:
    """Make a body of (good, bad) each."""
    return {"events": [{"good": good, "bad": bad} for good, bad in counts], **more}
