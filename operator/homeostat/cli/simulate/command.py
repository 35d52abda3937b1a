"""`homeostat simulate`: the past replayed against a changed objective or policy. Nothing is probed, nothing written."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.objective import KIND as OBJECTIVE_KIND
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery import KIND as POLICY_KIND
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_trigger import Trigger
from homeostat.cli.arguments import BadArguments, CommandError
from homeostat.cli.asked import kind_and_name
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.simulate import parser
from homeostat.cli.past import moment
from homeostat.cli.showing import show
from homeostat.cli.simulate import policy_report, report
from homeostat.cli.simulate.pasts import FILE, Known, NoAnswer, Pasts, Unreachable, past_of
from homeostat.cli.simulate.reading import from_file
from homeostat.cli.simulate.report import Told
from homeostat.cli.simulate.specs import Changed, Cluster, NotRead, Specs, bodies_of, objectives_of, one_of
from homeostat.cli.streams import complain, where_the_store_is
from homeostat.core.objective.calendar import longest
from homeostat.core.objective.tally import slice_seconds
from homeostat.core.simulation import objective, policy
from homeostat.core.simulation.questions import Times, Values
from homeostat.core.simulation.recorded import Recorded, Replayable
from homeostat.engine.clock import SystemClock
from homeostat.ports import HistoryUnavailable

NO_ANSWER = 1
_ALERTS_LOOK_BACK = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class _Task:
    """What was asked for: the changed object, the objectives beside it in its file, and the time."""

    asked: argparse.Namespace
    changed: Changed
    beside: Mapping[str, ServiceLevelObjectiveSpec]
    since: datetime
    now: datetime


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run)


def _run(asked: argparse.Namespace) -> int:
    try:
        told = _simulate(_task(asked))
    except HistoryUnavailable as error:
        why = f"the history store cannot be read: {error}; {where_the_store_is('simulate')}; or give --history"
        raise CommandError(why) from error
    except Unreachable as error:
        raise CommandError(f"simulate: {error}") from error
    except NoAnswer as error:
        complain([f"simulate: {error}"])
        return NO_ANSWER
    return 0 if show(told.data, asked.output, lambda: "\n".join(told.lines)) else FAILED


def _task(asked: argparse.Namespace) -> _Task:
    now = SystemClock().now()
    since = moment(asked.since, now)
    if since >= now:
        raise BadArguments("simulate: --since is not before now")
    kind, name = None, ""
    if asked.object:
        kind, name = kind_and_name(asked.object, (OBJECTIVE_KIND, POLICY_KIND), "simulate")
    bodies = bodies_of(asked.file)
    changed = one_of(bodies, asked.file, kind, name, asked.namespace)
    return _Task(asked, changed, objectives_of(bodies, changed.namespace), since, now)


def _simulate(task: _Task) -> Told:
    cluster = Cluster(task.asked, task.changed.namespace)
    with ExitStack() as opened:
        is_objective = task.changed.kind is OBJECTIVE_KIND
        return _objective(task, cluster, opened) if is_objective else _policy(task, cluster, opened)


# --- objectives -----------------------------------------------------------------------------------------


def _objective(task: _Task, cluster: Cluster, opened: ExitStack) -> Told:
    changed, spec = task.changed, task.changed.spec
    given = _of_file(task) if task.asked.history else None
    bodies = bodies_of(task.asked.against) if task.asked.against else []
    against = objectives_of(bodies, changed.namespace)
    present = _present(task, cluster, bodies)
    reach = max(longest(one.window) for one in (spec, present) if one is not None)
    times = Times(task.since - max(reach, _ALERTS_LOOK_BACK), task.since, task.now)
    pasts = Pasts(task.asked, cluster, times, opened)
    is_anew = given is None and pasts.is_counted_anew(spec)
    if present is not None and not is_anew:
        _refuse_what_was_not_counted(spec, present)
    known = given or _read(pasts, task, Specs(cluster, task.beside))
    after = objective.replay(spec, known.past, task.since)
    before = None
    if present is not None and is_anew:
        before = _counted_otherwise(pasts, task, present, Specs(cluster, against, task.beside))
    elif present is not None and _counting(present) == _counting(spec):
        before = objective.replay(present, known.past, task.since)
    elif present is not None:
        complain(["the present objective counts slices, the changed one events: they are not compared"], "note: ")
    return report.of_objective(changed.namespace, changed.name, known, times, after, before)


def _read(pasts: Pasts, task: _Task, specs: Specs) -> Known:
    changed = task.changed
    known = pasts.of_objective(changed.namespace, changed.name, changed.spec, specs)
    if not len(known.past.series) or known.past.series.end <= task.since:
        raise NoAnswer(f"nothing is known of slo/{changed.name} in {changed.namespace} since {task.asked.since}")
    return known


def _of_file(task: _Task) -> Known:
    """Read a file, which holds the events of one thing as a whole: neither slices, nor what others counted."""
    spec, name = task.changed.spec, task.changed.name
    if spec.indicator.composite:
        raise NoAnswer("a composite counts nothing of its own, and --history is about one thing: do without it")
    if slice_seconds(spec):
        raise NoAnswer("--history holds events, and spec.budgeting counts slices: read the store instead")
    series = from_file(task.asked.history)
    if not len(series) or series.end <= task.since:
        raise NoAnswer(f"history knows nothing of slo/{name} in {task.changed.namespace} since {task.asked.since}")
    return Known(past_of({"": series}, spec, series.end), FILE)


def _refuse_what_was_not_counted(spec: ServiceLevelObjectiveSpec, present: ServiceLevelObjectiveSpec) -> None:
    """Refuse what history cannot tell. Raises NoAnswer."""
    if present.indicator != spec.indicator:
        raise NoAnswer(
            "spec.indicator was changed: history holds what the present indicator counted. Change objective, window, "
            "budgeting, alerting, exclusions or noData, or apply the new indicator beside the old one and wait"
        )
    if _counting(present) != _counting(spec) and slice_seconds(spec):
        raise NoAnswer(
            "spec.budgeting was changed: history holds slices as the present objective counts them. Apply the new one "
            "beside the old one and wait"
        )


def _counted_otherwise(
    pasts: Pasts, task: _Task, present: ServiceLevelObjectiveSpec, specs: Specs
) -> objective.Outcome | None:
    """Replay the present objective from a past of its own; None where there is none, which is said."""
    try:
        known = pasts.of_objective(task.changed.namespace, task.changed.name, present, specs)
    except (NoAnswer, HistoryUnavailable) as error:
        complain([f"the present objective is not compared: {error}"], "note: ")
        return None
    return objective.replay(present, known.past, task.since)


def _counting(spec: ServiceLevelObjectiveSpec) -> tuple[object, ...]:
    """Give what decides which series is counted, and how; Occurrences weighs events, whatever else stands there."""
    return (spec.budgeting.method, spec.budgeting.slice, spec.budgeting.slice_objective)


def _present(task: _Task, cluster: Cluster, bodies: Sequence[dict[str, Any]]) -> ServiceLevelObjectiveSpec | None:
    if not task.asked.against:
        return cluster.find_or_complain(task.changed.name)
    spec: ServiceLevelObjectiveSpec = one_of(bodies, task.asked.against, OBJECTIVE_KIND, task.changed.name, "").spec
    return spec


# --- policies -------------------------------------------------------------------------------------------


def _policy(task: _Task, cluster: Cluster, opened: ExitStack) -> Told:
    changed, spec = task.changed, task.changed.spec
    looks = _Looks(task, cluster, opened)
    for index, trigger in enumerate(spec.triggers):
        looks.take(index, trigger)
    if not looks.watched:
        why = "; ".join(
            f"trigger {index} ({spec.triggers[index].name}): {said}" for index, said in looks.silent.items()
        )
        raise NoAnswer(f"nothing is known of what the policy's triggers look at: {why}")
    came = policy.replay(spec, looks.watched, task.since, task.now, changed.name)
    seen = policy_report.Seen(looks.reach, looks.silent, looks.remarks)
    return policy_report.of_policy(changed.namespace, changed.name, spec, came, (task.since, task.now), seen)


class _Looks:
    """What each trigger of a policy looked at, or why that is not known."""

    def __init__(self, task: _Task, cluster: Cluster, opened: ExitStack) -> None:
        self.watched: dict[int, policy.Watched] = {}
        self.reach: dict[int, Replayable | Values] = {}
        self.silent: dict[int, str] = {}
        self.remarks: dict[int, tuple[str, ...]] = {}
        self._task = task
        self._cluster = cluster
        self._opened = opened
        self._specs = Specs(cluster, task.beside)
        self._pasts: dict[timedelta, Pasts] = {}

    def take(self, index: int, trigger: Trigger) -> None:
        """Read what a trigger looks at. Raises Unreachable and HistoryUnavailable."""
        try:
            self._take(index, trigger)
        except NoAnswer as error:
            self.silent[index] = str(error)

    def _take(self, index: int, trigger: Trigger) -> None:
        if trigger.health_check:
            series = self._of_check(trigger.health_check.name)
            self.watched[index], self.reach[index] = policy.Checked(series), series
        elif trigger.slo:
            self._take_objective(index, trigger.slo.name, trigger)
        elif trigger.promql and not self._task.asked.history:
            found = self._reaching(_ALERTS_LOOK_BACK).of_query(trigger.promql)
            if not len(found):
                raise NoAnswer("Prometheus has no value of its query in this time")
            self.watched[index] = self.reach[index] = found
            if found.refused:
                self.remarks[index] = (f"{found.refused} answers were not one finite number, and count as none",)
        else:
            raise NoAnswer("history keeps nothing of it")

    def _of_check(self, name: str) -> Recorded:
        if self._task.asked.history:
            return self._of_file()
        return self._reaching(_ALERTS_LOOK_BACK).of_check(self._task.changed.namespace, name)

    def _of_file(self) -> Recorded:
        spec: RecoveryPolicySpec = self._task.changed.spec
        if sum(1 for one in spec.triggers if one.health_check or one.slo) > 1:
            raise NoAnswer("the policy has several triggers, and --history is about one thing: read the store instead")
        return from_file(self._task.asked.history)

    def _take_objective(self, index: int, name: str, trigger: Trigger) -> None:
        try:
            spec = self._specs.find(name)
        except NotRead as error:
            raise NoAnswer(f"{error}: give it in the file, too") from error
        if spec is None or trigger.slo is None:
            raise NoAnswer(f"there is no slo/{name}")
        if self._task.asked.history:
            known = Known(past_of({"": self._of_file()}, spec, self._task.now), FILE)
        else:
            pasts = self._reaching(longest(spec.window) if slice_seconds(spec) else _ALERTS_LOOK_BACK)
            known = pasts.of_objective(self._task.changed.namespace, name, spec, self._specs)
        past = known.past
        self.watched[index] = policy.Burning(past.series, spec, trigger.slo.burn_rate_above, past.interval)
        self.reach[index], self.remarks[index] = past.series, known.remarks

    def _reaching(self, back: timedelta) -> Pasts:
        if back not in self._pasts:
            times = Times(self._task.since - back, self._task.since, self._task.now)
            self._pasts[back] = Pasts(self._task.asked, self._cluster, times, self._opened)
        return self._pasts[back]
