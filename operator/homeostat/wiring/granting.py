"""What the operator finds of its installation: the rights that it holds, and the definitions that are served."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from homeostat.api.freeze import KIND as FREEZE
from homeostat.api.kinds import KINDS
from homeostat.api.meta import GROUP, Kind
from homeostat.core.cluster import Right
from homeostat.core.rights import Missing, Scope, granted
from homeostat.core.served import REMEDY, Outdated, Schema, outdated
from homeostat.engine.granted import GrantsWatch
from homeostat.interchange.schema import our_schemas
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.served import served_schemas
from homeostat.ports import Clock, Rights, Unavailable
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.settings import Settings

log = structlog.get_logger("homeostat.installation")

RETRY_AFTER = 5.0  # seconds
_SEEING = tuple(Right(verb, GROUP, FREEZE.plural) for verb in ("get", "list", "watch"))


def grants_watch(port: Rights, clock: Clock, metrics: Metrics, settings: Settings) -> GrantsWatch:
    """Make what knows which rights are missing, of those that these settings say are granted."""

    def show(missing: Sequence[Missing]) -> None:
        metrics.lacks((one.grant.role, _resource(one), one.right.verb) for one in missing)

    return GrantsWatch(
        port, clock, show, granted(settings.features.__contains__, settings.scope),
        scope=settings.scope, watched=settings.watched(), own=settings.operator_namespace,
    )  # fmt: skip


async def visible_kinds(port: Rights, settings: Settings) -> tuple[Kind, ...]:
    """Give the kinds that are watched. Freezes have no namespace: in scope Namespaced only where that is granted.

    That is asked once: a right that goes away later does not lift a freeze, it stops what would have to heed it.
    """
    if settings.scope is Scope.CLUSTER:
        return KINDS
    while True:
        try:
            missing = await port.missing(_SEEING)
        except Unavailable as error:
            log.warning("API server not usable yet", error=str(error))
            await asyncio.sleep(RETRY_AFTER)
            continue
        if not missing:
            return KINDS
        log.warning("freezes are not seen", reason="scope Namespaced", instead="homeostat pause")
        return tuple(kind for kind in KINDS if kind.is_namespaced)


class Definitions:
    """Compares the definitions that are served with ours, and says what is older: in the log when that changes."""

    def __init__(self, client: ApiClient, metrics: Metrics, kinds: Sequence[Kind] = KINDS) -> None:
        self._client = client
        self._metrics = metrics
        self._kinds = kinds
        self._ours: Mapping[str, Schema] = {}
        self._known: tuple[Outdated, ...] = ()

    async def look(self) -> None:
        """Compare once. Raises Unavailable, Forbidden or Rejected."""
        if not self._ours:
            self._ours = await asyncio.to_thread(our_schemas, self._kinds)
        found = outdated(await served_schemas(self._client), self._ours)
        for kind in self._ours:
            self._metrics.serves(kind, is_outdated=any(one.kind == kind for one in found))
        if found and found != self._known:
            log.error("definitions are older than the operator", outdated=[one.words for one in found], remedy=REMEDY)
        self._known = found


@asynccontextmanager
async def beside(chore: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something done as long as the context lasts."""
    task = asyncio.create_task(chore)  # noqa: TID251 - ends with this context; a TaskGroup would wrap what is raised in it
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _resource(missing: Missing) -> str:
    group = f".{missing.grant.group}" if missing.grant.group else ""
    resource, slash, sub = missing.grant.resource.partition("/")
    return f"{resource}{group}{slash}{sub}"
