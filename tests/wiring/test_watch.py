"""Kopf as event source and nothing more: its settings, and what is registered with it."""

from collections.abc import Iterator
from typing import Any

import kopf
import pytest

from fakes import check_body
from homeostat.api.kinds import KINDS
from homeostat.wiring.watch import registry, settings


class Seen:
    """Keeps what the engine would be shown."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, kind: str, event: str, body: dict[str, Any]) -> None:
        self.events.append((kind, event, body))


def registered(take: Seen) -> kopf.OperatorRegistry:
    return registry(take, credentials=None)  # type: ignore[arg-type]  # only asked when Kopf logs in


def test_kopf_is_set_up_as_a_bare_watcher() -> None:
    """The table of design/kopf.md, line by line."""
    ours = settings()

    assert ours.peering.standalone is True
    assert ours.posting.enabled is False
    assert ours.queueing.idle_timeout == 0.2
    assert ours.queueing.worker_limit is None
    assert ours.watching.chunk_size == 500
    assert ours.watching.server_timeout == 300
    assert ours.watching.connect_timeout == 10
    assert ours.networking.request_timeout == 30
    assert ours.networking.enforce_retry_after is True
    assert ours.persistence.finalizer == "homeostat.dev/kopf"
    assert ours.process.ultimate_exiting_timeout == 60


def test_nothing_is_registered_but_on_event_and_the_login() -> None:
    """No annotation, finalizer, timer, daemon, index or webhook of Kopf's: kopf.md, 3.1 and 4."""
    handlers = registered(Seen())

    for part in (handlers._changing, handlers._spawning, handlers._indexing, handlers._webhooks):
        assert list(part.get_all_handlers()) == []
    assert [handler.id for handler in handlers._activities.get_all_handlers()] == ["login"]
    assert {handler.id for handler in handlers._watching.get_all_handlers()} == {
        *(kind.plural for kind in KINDS),
        "endpointslices",
    }


def test_a_kind_that_we_may_not_see_is_not_watched() -> None:
    some = tuple(kind for kind in KINDS if kind.is_namespaced)
    handlers = registry(Seen(), None, some)  # type: ignore[arg-type]  # only asked when Kopf logs in
    assert {handler.id for handler in handlers._watching.get_all_handlers()} == {
        *(kind.plural for kind in some),
        "endpointslices",
    }


def test_no_handler_makes_kopf_want_a_finalizer() -> None:
    handlers = registered(Seen())

    assert not any(getattr(handler, "requires_finalizer", False) for handler in watching(handlers))


def watching(handlers: kopf.OperatorRegistry) -> Iterator[Any]:
    yield from handlers._watching.get_all_handlers()


@pytest.mark.parametrize("event", ["ADDED", "MODIFIED", "DELETED", None])
async def test_each_raw_event_goes_to_the_engine_as_it_is(event: str | None) -> None:
    seen = Seen()
    handler = next(one for one in watching(registered(seen)) if one.id == "healthchecks")
    body = check_body()

    assert await handler.fn(event={"type": event, "object": body}, patch={}, memo=None) is None
    assert seen.events == [("HealthCheck", event or "", body)]


async def test_a_slice_is_shown_as_a_slice() -> None:
    seen = Seen()
    handler = next(one for one in watching(registered(seen)) if one.id == "endpointslices")
    await handler.fn(event={"type": "ADDED", "object": {"metadata": {"name": "web-1"}}})

    assert [(kind, event) for kind, event, _ in seen.events] == [("EndpointSlice", "ADDED")]
