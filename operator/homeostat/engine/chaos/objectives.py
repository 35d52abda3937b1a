"""How objectives fare at this moment, from what is counted and not from their status, and which of them page."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil

from homeostat.api.objective import KIND as OBJECTIVE
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus, Severity
from homeostat.api.recovery import KIND as POLICY
from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.chaos.seen import AlertSeen, ObjectiveSeen
from homeostat.core.history.series import Series
from homeostat.core.objective import calendar
from homeostat.core.objective.burn import burn
from homeostat.core.objective.seen import SourceSeen
from homeostat.core.objective.tally import Tally
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objects import Entry, Key, ObjectStore
from homeostat.ports import Clock

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Objectives:
    """Reads objectives, and who was called because of them or of policies."""

    def __init__(self, store: ObjectStore, feeding: Feeding) -> None:
        self._store = store
        self._feeding = feeding

    def seen(self, namespace: str, name: str, since: datetime | None, clock: Clock) -> ObjectiveSeen | None:
        """Read one; None where there is none that is evaluated. `since`: from when on what was spent counts."""
        key = Key(OBJECTIVE.kind, namespace, name)
        entry = self._store.get(key)
        spec = entry.spec() if entry is not None and not entry.problem() else None
        if entry is None or not isinstance(spec, ServiceLevelObjectiveSpec) or self._feeding.problem(key):
            return None
        series, source = self._feeding.series(entry, spec), self._feeding.seen(entry, spec)
        if source is None:
            return None
        if series is None or not source.is_valid or calendar.problem(spec.window):
            return ObjectiveSeen(None, None, None, source.stale_after)
        return _seen(spec, series, source, since, clock.now())

    def looked_at(self, namespace: str, name: str) -> Iterator[Key]:
        """Give what moves an objective: itself, and the check that feeds it."""
        key = Key(OBJECTIVE.kind, namespace, name)
        yield key
        entry = self._store.get(key)
        spec = entry.spec() if entry is not None else None
        if isinstance(spec, ServiceLevelObjectiveSpec) and spec.indicator.health_check:
            yield Key("HealthCheck", namespace, spec.indicator.health_check.name)

    def alerts(self, namespace: str) -> tuple[AlertSeen, ...]:
        """Give what calls for a human in a namespace now: pages of objectives, and escalations of policies."""
        pages = (page_of(entry) for entry in self._store.of_kind(OBJECTIVE.kind, namespace))
        escalations = (escalation_of(entry) for entry in self._store.of_kind(POLICY.kind, namespace))
        return tuple(one for one in (*pages, *escalations) if one is not None)


def _seen(
    spec: ServiceLevelObjectiveSpec, series: Series, source: SourceSeen, since: datetime | None, now: datetime
) -> ObjectiveSeen:
    period = calendar.period_at(spec.window, now)
    tally, bad_share = Tally(spec, series, source.interval, period, now), (100 - spec.objective) / 100
    standing = tally.standing()
    rate_of_all = burn(standing.counts, bad_share)
    return ObjectiveSeen(
        rate=burn(tally.filled(HOUR), bad_share),
        remaining=None if rate_of_all is None else 1 - rate_of_all * standing.share,
        observed_at=source.observed_at,
        stale_after=source.stale_after,
        spent_since=None if since is None else _spent(tally, bad_share, now - since, period.length),
    )


def _spent(tally: Tally, bad_share: Decimal, took: timedelta, period: timedelta) -> Decimal | None:
    """Give the share of the budget that went in the last time, by whole minutes: burn x elapsed share."""
    window = MINUTE * max(1, ceil(took / MINUTE))
    rate = burn(tally.filled(window), bad_share)
    return None if rate is None else rate * Decimal(window.total_seconds()) / Decimal(period.total_seconds())


def page_of(entry: Entry) -> AlertSeen | None:
    """Give the page of an objective; None where it calls for nobody."""
    if b'"alerts":[{' not in entry.status_json:  # most fire none, and there may be thousands
        return None
    status = entry.status()
    if not isinstance(status, ServiceLevelObjectiveStatus):
        return None
    pages = [alert for alert in status.alerts if alert.severity is Severity.PAGE]
    if not pages:
        return None
    since, is_of_drill = min(page.since for page in pages), all(page.expected_by for page in pages)
    return AlertSeen(entry.ref.kind, entry.ref.name, since, is_of_drill=is_of_drill)


def escalation_of(entry: Entry) -> AlertSeen | None:
    """Give the escalation of a policy; one in mode Observe only says what it would tell."""
    if b'"escalated":{' not in entry.status_json:
        return None
    status, spec = entry.status(), entry.spec()
    if not isinstance(status, RecoveryPolicyStatus) or not isinstance(spec, RecoveryPolicySpec):
        return None
    if status.escalated is None or spec.mode is Mode.OBSERVE:
        return None
    return AlertSeen(entry.ref.kind, entry.ref.name, status.escalated.since)
