"""The desk of our API: what those who ask are given, read from what is known anyway."""

from collections.abc import AsyncIterator

from homeostat.api.objective import KIND
from homeostat.engine.objective.alert_book import AlertBook, in_turns, service_of
from homeostat.engine.objective.ingest import Ingest
from homeostat.engine.objects import Entry, Key, ObjectStore
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.ports import Access, Clock
from homeostat.rest.desk import Desk, Shown


def desk_of(
    store: ObjectStore, ingest: Ingest, book: AlertBook, access: Access, clock: Clock, inbox: AlertInbox
) -> Desk:
    """Make the desk of an operator that leads and has loaded."""

    def objective(namespace: str, name: str) -> Shown | None:
        entry = store.get(Key(KIND.kind, namespace, name))
        return None if entry is None else _shown(entry)

    async def objectives(namespace: str) -> AsyncIterator[Shown]:
        async for entries in in_turns(store, namespace):
            for entry in entries:
                yield _shown(entry)

    return Desk(
        access=access,
        now=clock.now,
        refusal=ingest.refusal,
        push=ingest.push,
        alerts=book.firing,
        tell=inbox.tell,
        objective=objective,
        objectives=objectives,
    )


def _shown(entry: Entry) -> Shown:
    return Shown(entry.ref.namespace, entry.ref.name, service_of(entry), entry.status_json)
