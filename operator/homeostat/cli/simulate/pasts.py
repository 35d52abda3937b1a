"""Where the past of an objective comes from: Prometheus, the history store, or its members.

What Prometheus counts is asked of Prometheus, with the queries as they are now written; the rest is what the operator
has counted and kept. Each is read when it is first needed: without a store, what needs none is replayed all the same.
"""

import argparse
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from homeostat.api.meta import format_time
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.api.recovery_trigger import PromqlTrigger
from homeostat.cli.arguments import BadArguments
from homeostat.cli.past import store_url
from homeostat.cli.simulate.asking import TooSlow, Unanswered, ask, gather, values
from homeostat.cli.simulate.coverage import coverage
from homeostat.cli.simulate.reading import CHECK, OBJECTIVE, SLICES, Archive, read_store
from homeostat.cli.simulate.specs import Cluster, NotRead, Specs
from homeostat.core.objective import composite
from homeostat.core.objective.tally import slice_seconds
from homeostat.core.prometheus.answer import Trouble
from homeostat.core.prometheus.collecting import Segment, explain
from homeostat.core.prometheus.comparing import comparison_of
from homeostat.core.prometheus.queries import period_of
from homeostat.core.simulation.composed import Composed, Member
from homeostat.core.simulation.objective import Past
from homeostat.core.simulation.questions import MOST_QUERIES, Gathering, Times, Values, plan, plan_of_values
from homeostat.core.simulation.recorded import Recorded
from homeostat.core.simulation.slicing import sliced
from homeostat.wiring.settings import Settings

FILE, HISTORY, PROMETHEUS, MEMBERS = "a file", "history", "Prometheus", "its members"
"""Where a past is from."""
_LONGEST = timedelta(days=400)
_GRACE = timedelta(minutes=2)
"""What an answer of Prometheus may take beyond two periods, as the operator counts it."""
_MINUTE = timedelta(minutes=1)
_HELP = "--prometheus-url says which Prometheus to ask"


class NoAnswer(Exception):
    """Nothing is known that could answer; the message says what is missing."""


class Unreachable(Exception):
    """Something could not be read; the message says what, and why."""


@dataclass(frozen=True, slots=True)
class Known:
    """The past of an objective, where it is from, and what whoever reads a replay of it should know."""

    past: Past
    source: str
    remarks: tuple[str, ...] = ()


class Pasts:
    """Reads pasts, each once. Call it within `opened`, which closes the store."""

    def __init__(self, asked: argparse.Namespace, cluster: Cluster, times: Times, opened: ExitStack) -> None:
        self._asked = asked
        self._cluster = cluster
        self._times = times
        self._opened = opened
        self._archive: Archive | None = None
        self._gathered: dict[tuple[str, bool], Gathering] = {}

    # --- objectives -------------------------------------------------------------------------------------

    def is_counted_anew(self, spec: ServiceLevelObjectiveSpec) -> bool:
        """Whether an objective is counted as it is now written, so that its indicator may be another than it was."""
        return spec.indicator.composite is not None or self._is_asked(spec)

    def of_objective(self, namespace: str, name: str, spec: ServiceLevelObjectiveSpec, specs: Specs) -> Known:
        """Read the past of an objective. Raises NoAnswer, Unreachable and HistoryUnavailable."""
        if spec.indicator.composite is not None:
            return self._of_composite(namespace, name, spec, specs)
        return self._of_one(namespace, name, spec, MOST_QUERIES)

    def _of_one(self, namespace: str, name: str, spec: ServiceLevelObjectiveSpec, most: int) -> Known:
        indicator = spec.indicator.prometheus
        if indicator is not None and self._is_asked(spec):
            return self._from_prometheus(name, spec, indicator, most)
        return self._from_store(namespace, name, spec)

    # --- composites -------------------------------------------------------------------------------------

    def _of_composite(self, namespace: str, name: str, spec: ServiceLevelObjectiveSpec, specs: Specs) -> Known:
        reached = _reached(name, spec, specs)
        asked = [one for one in reached.values() if one is not None and self._is_asked(one)]
        most = MOST_QUERIES // max(len(asked), 1)
        known: dict[str, Member] = {}
        remarks: list[str] = []
        found: list[Known] = []
        for member, of in reached.items():
            if of is None:
                remarks.append(f"member {member}: there is no such objective: it counts as missing")
            elif of.indicator.composite is not None:
                known[member] = Member(of)
            else:
                known[member], more = self._of_member(namespace, member, of, most, found)
                remarks += more
        whole = Composed(spec, known)
        if not len(whole):
            raise NoAnswer(f"nothing is known of any member of slo/{name}: {'; '.join(remarks)}")
        stale = [one.past.stale_after for one in found]
        ages = [age for age in stale if age is not None]
        past = Past(whole, {}, whole.interval, max(ages) if len(ages) == len(stale) else None, self._times.until)
        return Known(past, MEMBERS, tuple(remarks))

    def _of_member(
        self, namespace: str, name: str, spec: ServiceLevelObjectiveSpec, most: int, found: list[Known]
    ) -> tuple[Member, list[str]]:
        try:
            known = self._of_one(namespace, name, spec, most)
        except NoAnswer as error:
            return Member(spec), [f"member {name}: {error}: it counts as missing"]
        found.append(known)
        series, interval = known.past.series, known.past.interval if known.past.stale_after else None
        lacking = coverage(series, self._times.since, self._times.until, interval).note()
        said = [f"member {name}: {remark}" for remark in (*known.remarks, lacking) if remark]
        return Member(spec, series if isinstance(series, Recorded) else None, known.past.interval), said

    # --- Prometheus -------------------------------------------------------------------------------------

    def _is_asked(self, spec: ServiceLevelObjectiveSpec) -> bool:
        indicator = spec.indicator.prometheus
        if indicator is None or self._asked.prometheus_url == "":
            return False
        return bool(indicator.url or self._asked.prometheus_url)

    def _from_prometheus(
        self, name: str, spec: ServiceLevelObjectiveSpec, indicator: PrometheusIndicator, most: int
    ) -> Known:
        gathering = self._gather(name, indicator, slice_seconds(spec), most)
        series = {group: sliced(events, spec, gathering.until) for group, events in gathering.series().items()}
        if "" not in series or not len(series[""]):
            raise NoAnswer(
                f"Prometheus has no data for slo/{name} between {format_time(self._times.begin)} and "
                f"{format_time(self._times.until)}: {gathering.why_nothing()}"
            )
        period = timedelta(seconds=period_of(indicator.resolution))
        grain = max(period, timedelta(seconds=slice_seconds(spec)))
        groups = {group: one for group, one in series.items() if group}
        past = Past(series[""], groups, period, 2 * grain + _GRACE, datetime.fromtimestamp(gathering.until, UTC))
        return Known(past, PROMETHEUS, tuple(gathering.remarks()))

    def _gather(self, name: str, indicator: PrometheusIndicator, seconds: int, most: int) -> Gathering:
        key = indicator.model_dump_json(), seconds > 0
        if key not in self._gathered:
            segments = plan(indicator, self._times, seconds, most)
            if segments is None:
                slices = " Slices must be counted from buckets that are no longer than they are." if seconds else ""
                raise NoAnswer(
                    f"slo/{name}: Prometheus would have to be asked more than {most} times for so long a time."
                    f"{slices} Choose a later --since"
                )
            self._gathered[key] = self._told(name, indicator, segments)
        return self._gathered[key]

    def _told(self, name: str, indicator: PrometheusIndicator, segments: tuple[Segment, ...]) -> Gathering:
        try:
            return ask(self._settings(), self._cluster.server, lambda client: gather(client, indicator, segments))
        except Unanswered as error:
            failure = error.failure
            said = explain(failure.trouble, indicator, is_of_part=failure.is_of_part)[1]
            raise Unreachable(f"slo/{name}: {failure.trouble.value}: {said.rstrip('.')}; {_HELP}") from error
        except TooSlow as error:
            raise Unreachable(f"slo/{name}: Prometheus took too long; choose a later --since") from error

    def _settings(self) -> Settings:
        """Give the operator's own settings, but for the URL. Raises BadArguments."""
        try:
            return Settings.model_validate({"prometheus_url": self._asked.prometheus_url or ""})
        except ValidationError as error:
            told = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
            raise BadArguments(f"--prometheus-url: {told}") from error

    def of_query(self, trigger: PromqlTrigger) -> Values:
        """Read the values of a trigger's query. Raises NoAnswer where there can be none, and Unreachable."""
        comparison, segments = comparison_of(trigger.condition), plan_of_values(self._times)
        if not self._asked.prometheus_url:
            raise NoAnswer(f"no Prometheus is known: {_HELP}")
        if comparison is None or not segments:
            raise NoAnswer("Prometheus would have to be asked too often for so long a time: choose a later --since")
        try:
            return ask(
                self._settings(), self._cluster.server,
                lambda client: values(client, trigger.query, comparison, segments),
            )  # fmt: skip
        except Unanswered as error:
            trouble = error.failure.trouble
            if trouble is Trouble.INVALID_QUERY:
                raise NoAnswer("Prometheus cannot work its query out") from error
            raise Unreachable(f"the query of a trigger: {trouble.value}; {_HELP}") from error
        except TooSlow as error:
            raise Unreachable("the query of a trigger: Prometheus took too long; choose a later --since") from error

    # --- the store --------------------------------------------------------------------------------------

    def of_check(self, namespace: str, name: str) -> Recorded:
        """Read the runs of a check. Raises NoAnswer and HistoryUnavailable."""
        begin = max(self._times.since - timedelta(days=4), datetime.fromtimestamp(0, UTC))
        found = self._store().series(CHECK, namespace, name, begin, self._times.until)
        if not found:
            raise NoAnswer("history keeps nothing of it")
        return found[""]

    def _from_store(self, namespace: str, name: str, spec: ServiceLevelObjectiveSpec) -> Known:
        prefix = SLICES if slice_seconds(spec) else OBJECTIVE
        begin = max(self._times.since - _LONGEST, datetime.fromtimestamp(0, UTC))
        found = self._store().series(prefix, namespace, name, begin, self._times.until)
        if not found and prefix == SLICES:
            raise NoAnswer("history keeps no slices of this objective: its present budgeting.method counts events")
        if not found or not len(found[""]) or found[""].end <= self._times.since:
            since = format_time(self._times.since)
            raise NoAnswer(f"history knows nothing of slo/{name} in {namespace} since {since}")
        past = past_of(found, spec, self._times.until)
        remarks = ("it is replayed from what the operator counted: " + _HELP,) if spec.indicator.prometheus else ()
        return Known(past, HISTORY, remarks)

    def _store(self) -> Archive:
        if self._archive is None:
            self._archive = self._opened.enter_context(read_store(store_url(self._asked.store_url)))
        return self._archive


def past_of(found: Mapping[str, Recorded], spec: ServiceLevelObjectiveSpec, until: datetime) -> Past:
    """Give what the operator counted of an objective: how seldom data comes is known of events and Prometheus alone."""
    events, prometheus, grain = spec.indicator.events, spec.indicator.prometheus, slice_seconds(spec)
    groups = {name: series for name, series in found.items() if name}
    if prometheus is not None:
        period = timedelta(seconds=period_of(prometheus.resolution))
        past = Past(found[""], groups, period, 2 * period + _GRACE, until)
    elif events is not None:
        past = Past(found[""], groups, _MINUTE, events.stale_after, until)
    else:
        past = Past(found[""], groups)
    if past.stale_after is None or not grain:
        return past
    return replace(past, stale_after=max(past.stale_after, timedelta(seconds=2 * grain) + _GRACE))


def _reached(name: str, spec: ServiceLevelObjectiveSpec, specs: Specs) -> dict[str, ServiceLevelObjectiveSpec | None]:
    """Give all objectives that a composite reaches. Raises NoAnswer where one is not known, or there is no end."""
    graph: dict[str, tuple[str, ...]] = {name: _members(spec)}
    reached: dict[str, ServiceLevelObjectiveSpec | None] = {}
    waiting = deque(graph[name])
    while waiting and len(reached) <= composite.MOST_MEMBERS * composite.MOST_LEVELS:
        one = waiting.popleft()
        if one in reached or one == name:
            continue
        try:
            reached[one] = found = specs.find(one)
        except NotRead as error:
            raise NoAnswer(
                f"{error}: a composite is replayed from its members, so give them in the file, too"
            ) from error
        graph[one] = _members(found) if found else ()
        waiting += graph[one]
    problem = composite.problem(graph, name)
    if problem:
        raise NoAnswer(f"slo/{name}: {problem[0]}: {problem[1]}")
    return reached


def _members(spec: ServiceLevelObjectiveSpec) -> tuple[str, ...]:
    return tuple(one.name for one in spec.indicator.composite.members) if spec.indicator.composite else ()
