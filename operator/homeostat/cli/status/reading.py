"""Reads what `homeostat status` shows, with the rights of whoever asks: what may not be listed is said, not hidden."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from homeostat.api import chaos, freeze, gameday, health_check, objective, recovery
from homeostat.api.meta import Kind
from homeostat.cli.checks.score_report import check_score_of
from homeostat.cli.silence import silence
from homeostat.cli.status.objects import finding_of, freeze_of
from homeostat.cli.status.report import Standing
from homeostat.core.health.score import Mark, Score, service_score
from homeostat.core.standing import Finding, by_service
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Clock, Forbidden, Gone
from homeostat.side_by_side import side_by_side

KINDS: Mapping[str, Kind] = {
    "hc": health_check.KIND,
    "slo": objective.KIND,
    "rp": recovery.KIND,
    "chaos": chaos.KIND,
    "gd": gameday.KIND,
}


class _Reading:
    """What one look at the cluster has found so far; of each object only what is said of it is kept."""

    def __init__(self, client: ApiClient, namespace: str, now: datetime) -> None:
        self._objects = ApiObjects(client)
        self._namespace = namespace
        self._now = now
        self.findings: dict[tuple[str, str, str], Finding] = {}
        self.marks: dict[tuple[str, str], tuple[str, Mark]] = {}
        self.freezes: dict[str, dict[str, Any]] = {}
        self.not_read: dict[str, str] = {}

    async def objects(self, short: str) -> None:
        """Read all objects of one kind."""
        async for body in self._readable(KINDS[short]):
            finding = finding_of(short, body)
            self.findings[short, finding.namespace, finding.name] = finding
            if short == "hc":
                check = check_score_of(body)
                self.marks[check.namespace, check.name] = check.service, check.mark

    async def of_the_cluster(self) -> None:
        """Read the Freezes that hold in the namespace that was asked for."""
        async for body in self._readable(freeze.KIND, of_all=True):
            found = freeze_of(body, self._now)
            if found and (not self._namespace or self._namespace in (found["namespaces"] or [self._namespace])):
                self.freezes[found["name"]] = found

    async def _readable(self, kind: Kind, *, of_all: bool = False) -> AsyncIterator[dict[str, Any]]:
        try:
            async for body in self._objects.list(kind, ("" if of_all else self._namespace,)):
                yield body
        except Forbidden:
            self.not_read[kind.plural] = "you may not list them"
        except Gone:
            self.not_read[kind.plural] = "the API server knows no such kind: are the CRDs of homeostat installed?"

    def scores(self) -> dict[tuple[str, str], int | None]:
        """Score each service by the formula of the operator."""
        groups: dict[tuple[str, str], list[Mark]] = {}
        for (namespace, _), (service, mark) in self.marks.items():
            groups.setdefault((namespace, service), []).append(mark)
        made: dict[tuple[str, str], Score] = {of: service_score(marks) for of, marks in groups.items()}
        return {of: score.value for of, score in made.items()}


async def read(client: ApiClient, namespace: str, service: str, clock: Clock) -> Standing:
    """Read how all stands in a namespace ("" for all), or one service of it. Raises what `ports.Objects` raises.

    What may not be listed is told beside the rest.
    """
    now = clock.now()
    reading = _Reading(client, namespace, now)
    async with side_by_side() as reads:
        for short in KINDS:
            reads.start(reading.objects(short))
        reads.start(reading.of_the_cluster())
        silent = reads.start(silence(client, namespace, clock))
    services = by_service(reading.findings.values(), reading.scores())
    return Standing(
        at=now,
        namespace=namespace,
        asked_for=service,
        services=tuple(one for one in services if service in {"", one.name}),
        freezes=tuple(reading.freezes[name] for name in sorted(reading.freezes)),
        not_read=reading.not_read,
        silence=silent.result(),
    )
