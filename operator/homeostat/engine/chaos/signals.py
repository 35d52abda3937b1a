"""What an experiment looks at besides its targets: objectives, queries, who was called, and what humans ask of it.

Nothing is asked here but whether names are vouched for: checks and objectives are read as they run, queries are asked
in their own time by those that ask for policies too.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.core.chaos.hypothesis.judging import ANSWERS_STALE_AFTER
from homeostat.core.chaos.hypothesis.named import objective_names, policies, queries, watches
from homeostat.core.chaos.seen import AnswerSeen, ApprovalSeen, ObjectiveSeen
from homeostat.core.prometheus.comparing import comparison_of
from homeostat.core.recovery.consent.asker import asker
from homeostat.core.recovery.seen import Requests
from homeostat.engine.chaos.measuring import Measuring
from homeostat.engine.chaos.objectives import Objectives
from homeostat.engine.checks import Checks
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objects import Entry, Key, ObjectStore
from homeostat.engine.recovery.queries import Queries
from homeostat.engine.recovery.requests import Consents
from homeostat.engine.wakes import Wakes
from homeostat.ports import Admission, Clock


class Signals:
    """Gives what experiments look at, and keeps what they need coming."""

    def __init__(
        self, checks: Checks, store: ObjectStore, feeding: Feeding, queries: Queries, wakes: Wakes,
        admission: Admission | None = None,
    ) -> None:  # fmt: skip
        self._objectives = Objectives(store, feeding)
        self._queries = queries
        self._wakes = wakes
        self._consents = Consents(admission)
        self._measuring = Measuring(checks)

    def open(self, key: Key, spec: ChaosExperimentSpec) -> None:
        """Have asked what a new or edited experiment asks, and have it woken by what it looks at."""
        compared = ((query, comparison_of(condition)) for query, condition in queries(spec))
        wanted = ((query, comparison, ANSWERS_STALE_AFTER) for query, comparison in compared if comparison)
        self._queries.open(key, wanted)
        self._wakes.watch(key, self._looked_at(key, spec))

    def close(self, key: Key) -> None:
        """Ask and keep nothing more for an experiment that is gone."""
        self._queries.close(key)
        self._wakes.forget(key)
        self._measuring.forget(key)

    async def seen(
        self, entry: Entry, spec: ChaosExperimentSpec, status: ChaosExperimentStatus, clock: Clock
    ) -> dict[str, Any]:
        """Give what is known to an experiment, as the fields of `ChaosSeen` that say so."""
        requests, namespace = await self._consents.read(entry.asks, clock), entry.ref.namespace
        return {
            "objectives": dict(self._seen_objectives(namespace, spec, status.started_at, clock)),
            "answers": {query: self._answer(query) for query, _ in queries(spec)},
            "alerts": self._objectives.alerts(namespace),
            "approvals": tuple(_approvals(requests)),
            "is_name_vouched": requests.is_verified,
            "abort_requested": entry.asks.abort if entry.asks else "",
            "measures": self._measuring.measure(entry, spec, status),
        }

    def _looked_at(self, key: Key, spec: ChaosExperimentSpec) -> Iterator[Key]:
        """Give what must wake an experiment: checks, objectives with what feeds them, policies it is a drill of."""
        yield from (Key("HealthCheck", key.namespace, name) for name in watches(spec))
        yield from (Key("RecoveryPolicy", key.namespace, name) for name in policies(spec))
        for name in objective_names(spec):
            yield from self._objectives.looked_at(key.namespace, name)

    def _seen_objectives(
        self, namespace: str, spec: ChaosExperimentSpec, since: datetime | None, clock: Clock
    ) -> Iterator[tuple[str, ObjectiveSeen]]:
        for name in objective_names(spec):
            seen = self._objectives.seen(namespace, name, since, clock)
            if seen is not None:
                yield name, seen

    def _answer(self, query: str) -> AnswerSeen:
        reading = self._queries.reading(query)
        return AnswerSeen(reading.value, reading.at, reading.problem, reading.trouble)


def _approvals(requests: Requests) -> Iterator[ApprovalSeen]:
    """Give a yes and a no as they stand there; a no counts before a yes."""
    if requests.reject:
        yield ApprovalSeen(requests.reject, asker(requests), None, is_no=True)
    if requests.approve:
        yield ApprovalSeen(requests.approve, asker(requests), None)
