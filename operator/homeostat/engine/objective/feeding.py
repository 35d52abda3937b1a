"""What feeds each objective: the runs of a check, pushed events, Prometheus, or other objectives."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from homeostat.api.objective import KIND, Exclusion, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import CompositeIndicator, Good, HealthCheckIndicator
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.history.series import Series
from homeostat.core.history.window import MINUTE
from homeostat.core.objective import composite
from homeostat.core.objective.calendar import longest
from homeostat.core.objective.composite import Composite, Part
from homeostat.core.objective.seen import SourceSeen
from homeostat.core.objective.tally import exclusions_of_members, member, slice_seconds
from homeostat.engine.checks import Checks
from homeostat.engine.meters import Meters
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.counting import Counting, Slicing
from homeostat.engine.objects import Entry, Key, ObjectStore
from homeostat.engine.observing import read_check
from homeostat.ports import Clock

MOST_RECORDED = timedelta(minutes=5)
"""The longest resolution whose rules record rates of five minutes, which are what is read."""
_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class _Pushed:
    """An objective that events are pushed to: since when we count, how soon silence is staleness, the last push."""

    opened_at: datetime
    stale_after: timedelta
    last: datetime | None = None


class Feeding:
    """Opens what an objective's spec asks for, gives what it counts, and says how fresh that is."""

    def __init__(self, checks: Checks, meters: Meters, collector: Collector, store: ObjectStore, clock: Clock) -> None:
        self._checks = checks
        self._meters = meters
        self._collector = collector
        self._store = store
        self._clock = clock
        self._pushed: dict[Key, _Pushed] = {}
        self._recorded: set[Key] = set()
        self._members: defaultdict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)

    def open(self, entry: Entry, spec: ServiceLevelObjectiveSpec) -> tuple[Key, ...]:
        """Have counted what a new or edited spec asks for; give what else the objective looks at."""
        key, indicator = entry.key, spec.indicator
        self._members[key.namespace].pop(key.name, None)
        self._open_pushed(key, spec)
        if indicator.composite is None:
            self._meters.open_objective(key, entry.ref.uid, _counting(entry, spec))
        else:
            self._meters.close_objective(key)
            self._members[key.namespace][key.name] = tuple(one.name for one in indicator.composite.members)
        if indicator.prometheus is None:
            self._collector.close(key)
        else:
            self._ask(entry, spec)
        return _looked_at(key, spec)

    def close(self, key: Key) -> None:
        """Forget an objective that is gone."""
        self._meters.close_objective(key)
        self._collector.close(key)
        self._recorded.discard(key)
        self._pushed.pop(key, None)
        self._members[key.namespace].pop(key.name, None)

    def read_recorded(self, entry: Entry, spec: ServiceLevelObjectiveSpec, *, is_recorded: bool) -> None:
        """Have what an objective's rules record read, now that they are loaded; or its own queries asked again."""
        prometheus = spec.indicator.prometheus
        is_read = is_recorded and prometheus is not None and prometheus.resolution <= MOST_RECORDED
        if prometheus is not None and is_read is not (entry.key in self._recorded):
            (self._recorded.add if is_read else self._recorded.discard)(entry.key)
            self._ask(entry, spec)

    def pushed(self, key: Key) -> None:
        """Take note that events were pushed, be it that there were none."""
        if key in self._pushed:
            self._pushed[key].last = self._clock.now()

    def mark(self, now: datetime) -> None:
        """Count this minute as lived through where events came lately: no traffic is not no data (S5)."""
        minute = int(now.timestamp()) // MINUTE
        for key, pushed in self._pushed.items():
            last = self._last_push(key, pushed)
            if last is not None and now - last <= pushed.stale_after:
                for group in self._meters.groups(key) or ("",):
                    self._meters.add(key, group, minute, 0, 0)

    # --- what is counted --------------------------------------------------------------------------------

    def series(self, entry: Entry, spec: ServiceLevelObjectiveSpec, group: str = "") -> Series | None:
        """Give what an objective counts, as it comes; None when nothing does."""
        if spec.indicator.composite is not None:
            return None if group else self._composite(entry.key, spec, spec.indicator.composite)
        return (self._meters.slices if slice_seconds(spec) else self._meters.series)(entry.key, group)

    def groups(self, entry: Entry, spec: ServiceLevelObjectiveSpec) -> dict[str, Series]:
        """Give what each group of an objective counts."""
        found = {group: self.series(entry, spec, group) for group in self._meters.groups(entry.key)}
        return {group: series for group, series in found.items() if series is not None}

    def problem(self, key: Key) -> tuple[str, str] | None:
        """Give a reason and a message why an objective made of others cannot be evaluated."""
        graph = self._members[key.namespace]
        return composite.problem(graph, key.name) if key.name in graph else None

    def _composite(self, key: Key, spec: ServiceLevelObjectiveSpec, indicator: CompositeIndicator) -> Composite:
        excluded = exclusions_of_members(spec)
        parts = [self._part(key._replace(name=one.name), one.weight, excluded) for one in indicator.members]
        return Composite(indicator.mode, indicator.when_missing, parts, self._clock.now())

    def _part(self, key: Key, weight: int, excluded: tuple[Exclusion, ...]) -> Part:
        """Give a member, without what the whole excludes; a composite whose members lead back has a `problem`."""
        entry, spec = self._read(key)
        if spec is not None and excluded:
            spec = spec.model_copy(update={"exclusions": (*spec.exclusions, *excluded)})
        series = self.series(entry, spec) if entry and spec else None
        source = self.seen(entry, spec) if entry and spec else None
        if spec is None or series is None or source is None:
            return Part(key.name, weight, None)
        return Part(key.name, weight, member(spec, series, source.interval, self._clock.now()), source.interval)

    def _read(self, key: Key) -> tuple[Entry | None, ServiceLevelObjectiveSpec | None]:
        entry = self._store.get(key)
        spec = entry.spec() if entry else None
        return entry, spec if isinstance(spec, ServiceLevelObjectiveSpec) else None

    # --- how fresh it is --------------------------------------------------------------------------------

    def seen(self, entry: Entry, spec: ServiceLevelObjectiveSpec) -> SourceSeen | None:
        """Say how fresh the data of an objective is; None when nothing feeds it."""
        indicator, key = spec.indicator, entry.key
        if indicator.health_check is not None:
            return self._seen_check(key, indicator.health_check)
        if indicator.events is not None:
            return self._seen_pushed(key)
        if indicator.prometheus is not None:
            return self._collector.seen(key)
        return self._seen_members(key, indicator.composite) if indicator.composite else None

    def _seen_check(self, key: Key, indicator: HealthCheckIndicator) -> SourceSeen | None:
        reading = read_check(self._checks, key.namespace, indicator.name, self._clock)
        return None if reading is None else SourceSeen(reading.interval, reading.fresh_at, reading.stale_after)

    def _seen_pushed(self, key: Key) -> SourceSeen | None:
        pushed = self._pushed.get(key)
        if pushed is None:
            return None
        last = self._last_push(key, pushed)
        if last is None:
            hint = f"No events have been pushed to /api/v1/slo/{key.namespace}/{key.name}/events yet."
            return SourceSeen(_MINUTE, None, pushed.stale_after, "NoEvents", hint)
        observed_at = max(last, pushed.opened_at)
        is_stale = self._clock.now() - observed_at > pushed.stale_after
        complaint = ("NoEvents", "No events have been pushed lately.") if is_stale else ("", "")
        return SourceSeen(_MINUTE, observed_at, pushed.stale_after, *complaint)

    def _seen_members(self, key: Key, indicator: CompositeIndicator) -> SourceSeen:
        """Say how fresh a composite is: as fresh as the freshest of its members."""
        found: dict[str, SourceSeen] = {}
        for one in indicator.members:
            entry, spec = self._read(key._replace(name=one.name))
            source = self.seen(entry, spec) if entry and spec else None
            if source is not None:
                found[one.name] = source
        complaint = composite.missing_members((one.name for one in indicator.members), found) or ("", "")
        return SourceSeen(
            interval=max((one.interval for one in found.values()), default=_MINUTE),
            observed_at=max((one.observed_at for one in found.values() if one.observed_at), default=None),
            stale_after=max((one.stale_after for one in found.values()), default=_MINUTE),
            reason=complaint[0],
            message=complaint[1],
        )

    # --- how --------------------------------------------------------------------------------------------

    def _last_push(self, key: Key, pushed: _Pushed) -> datetime | None:
        """Give when events were last pushed; of a time before ours, when the last one counted."""
        counted = self._meters.last_counted(key)
        return pushed.last or (None if counted is None else datetime.fromtimestamp(counted, UTC))

    def _open_pushed(self, key: Key, spec: ServiceLevelObjectiveSpec) -> None:
        events, known = spec.indicator.events, self._pushed.pop(key, None)
        if events is not None:
            opened_at, last = (known.opened_at, known.last) if known else (self._clock.now(), None)
            self._pushed[key] = _Pushed(opened_at, events.stale_after, last)

    def _ask(self, entry: Entry, spec: ServiceLevelObjectiveSpec) -> None:
        if spec.indicator.prometheus is not None:
            key, indicator, reach = entry.key, spec.indicator.prometheus, longest(spec.window)
            self._collector.open(key, entry.ref.uid, indicator, reach, is_recorded=key in self._recorded)


def _looked_at(key: Key, spec: ServiceLevelObjectiveSpec) -> tuple[Key, ...]:
    indicator = spec.indicator
    if indicator.health_check is not None:
        return (Key("HealthCheck", key.namespace, indicator.health_check.name),)
    members = indicator.composite.members if indicator.composite else ()
    return tuple(Key(KIND.kind, key.namespace, one.name) for one in members)


def _counting(entry: Entry, spec: ServiceLevelObjectiveSpec) -> Counting:
    indicator, seconds, status = spec.indicator.health_check, slice_seconds(spec), entry.status()
    known = status.groups if isinstance(status, ServiceLevelObjectiveStatus) else ()
    return Counting(
        reach=longest(spec.window),
        check=Key("HealthCheck", entry.ref.namespace, indicator.name) if indicator else None,
        faster_than=_limit(indicator) if indicator else None,
        slicing=Slicing(spec.budgeting.method, seconds, _share(spec)) if seconds else None,
        groups=tuple(group.name for group in known) if _has_groups(spec) else (),
    )


def _has_groups(spec: ServiceLevelObjectiveSpec) -> bool:
    events, prometheus = spec.indicator.events, spec.indicator.prometheus
    return bool((events and events.group_by) or (prometheus and prometheus.group_by))


def _share(spec: ServiceLevelObjectiveSpec) -> Decimal | None:
    """Give the share of good events that makes a slice good."""
    share = spec.budgeting.slice_objective
    return None if share is None else share / 100


def _limit(indicator: HealthCheckIndicator) -> float | None:
    """Give the latency (s) within which a pass is good; None where every pass is."""
    if indicator.good is not Good.FASTER_THAN or indicator.threshold is None:
        return None
    limit: timedelta = indicator.threshold
    return limit.total_seconds()
