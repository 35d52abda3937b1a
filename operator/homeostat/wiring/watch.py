"""Kopf as event source and nothing more: it watches, and hands each raw event to the engine.

Only `on.event`: no annotation, no finalizer, no timer, no retry, no event of Kopf's own. The reasons for each
setting are in docs/adr/0001-kopf-as-event-source.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import kopf
from typing_extensions import override

from homeostat.api.kinds import KINDS
from homeostat.api.meta import GROUP, VERSION, Kind
from homeostat.kube.apiserver.credentials import Credentials

TOKEN_LIFE = timedelta(minutes=1)
"""How long Kopf may use a login before it asks us again: tokens of Pods rotate."""

Take = Callable[[str, str, dict[str, Any]], None]
"""Takes (kind, type of event or "", object)."""


class NoMemory(kopf.DiffBaseStorage):
    """Remembers no last-seen state: Kopf computes it for each event (70 µs), and we never ask for it."""

    @override
    def build(self, **_: Any) -> kopf.BodyEssence:
        """Find nothing essential."""
        return kopf.BodyEssence()

    @override
    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Remember nothing."""

    @override
    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


def settings() -> kopf.OperatorSettings:
    """Give Kopf's settings: a bare watcher."""
    ours = kopf.OperatorSettings()
    ours.peering.standalone = True
    ours.posting.enabled = False
    ours.scanning.disabled = True
    ours.queueing.idle_timeout = 0.2
    ours.queueing.worker_limit = None
    ours.watching.chunk_size = 500
    ours.watching.server_timeout = 300
    ours.watching.connect_timeout = 10
    ours.networking.request_timeout = 30
    ours.networking.enforce_retry_after = True
    ours.persistence.diffbase_storage = NoMemory()
    ours.persistence.finalizer = f"{GROUP}/kopf"  # never set: `on.event` needs none
    ours.process.ultimate_exiting_timeout = 60
    return ours


def registry(take: Take, credentials: Credentials, kinds: Sequence[Kind] = KINDS) -> kopf.OperatorRegistry:
    """Register one handler a kind, and the login."""
    handlers = kopf.OperatorRegistry()
    for kind in kinds:
        kopf.on.event(GROUP, VERSION, kind.plural, registry=handlers, id=kind.plural)(_handler(kind.kind, take))
    kopf.on.event("discovery.k8s.io", "v1", "endpointslices", registry=handlers, id="endpointslices")(
        _handler("EndpointSlice", take)
    )
    kopf.on.login(registry=handlers, id="login")(_login(credentials))
    return handlers


async def watch(
    take: Take,
    credentials: Credentials,
    namespaces: Sequence[str],
    *,
    when_started: Callable[[], None],
    kinds: Sequence[Kind] = KINDS,
) -> None:
    """Watch until cancelled. `when_started`: Kopf takes the signals when it starts; take them back then."""
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_call(started, when_started))
        try:
            await kopf.operator(
                registry=registry(take, credentials, kinds),
                settings=settings(),
                clusterwide=not namespaces,
                namespaces=tuple(namespaces),
                identity=cast("Any", GROUP),  # else it looks up who runs us, and a container's user has no name
                ready_flag=started,
                stop_flag=stop,
            )
        finally:
            stop.set()
    raise RuntimeError("the watch ended by itself")


async def _call(event: asyncio.Event, then: Callable[[], None]) -> None:
    await event.wait()
    then()


def _handler(kind: str, take: Take) -> Callable[..., Awaitable[None]]:
    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        take(kind, event.get("type") or "", dict(event["object"]))

    return seen


def _login(credentials: Credentials) -> Callable[..., Awaitable[kopf.ConnectionInfo]]:
    async def login(**_: Any) -> kopf.ConnectionInfo:
        identity = await credentials.source.identity(renew=False)
        return kopf.ConnectionInfo(
            server=credentials.server,
            ca_path=credentials.ca_file,
            ca_data=credentials.ca or None,
            insecure=credentials.is_insecure or None,
            token=identity.token or None,
            certificate_data=identity.certificate or None,
            private_key_data=identity.key or None,
            expiration=datetime.now(UTC) + TOKEN_LIFE if identity.token else None,  # noqa: TID251 - for Kopf's vault
        )

    return login
