"""`homeostat simulate`: history replayed against a changed objective or policy. Nothing is probed, nothing written."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.meta import Kind, format_time
from homeostat.api.objective import KIND as OBJECTIVE_KIND
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery import KIND as POLICY_KIND
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_trigger import Trigger
from homeostat.cli.arguments import BadArguments, CommandError
from homeostat.cli.asked import credentials_of, kind_and_name
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.files.objects import BadInput, objects
from homeostat.cli.parsers.simulate import parser
from homeostat.cli.past import moment, store_url
from homeostat.cli.showing import show
from homeostat.cli.simulate import report as simulate_report
from homeostat.cli.simulate.reading import CHECK, OBJECTIVE, SLICES, Archive, from_file, read_store
from homeostat.cli.simulate.report import Told
from homeostat.cli.streams import complain, where_the_store_is
from homeostat.core.objective.tally import slice_seconds
from homeostat.core.simulation import objective, policy
from homeostat.core.simulation.recorded import Recorded
from homeostat.engine.clock import SystemClock
from homeostat.interchange.structural import Severity
from homeostat.interchange.validation import check
from homeostat.kube.client import ApiClient, Patience
from homeostat.kube.credentials import CredentialsError
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Forbidden, Gone, HistoryUnavailable, Rejected, Unavailable

NO_ANSWER = 1
PATIENCE = Patience(timeout=5.0, total=5.0)
"""Without a cluster there is nothing to compare with, and a replay all the same."""
_NO_CLUSTER = (CredentialsError, Unavailable, Forbidden, Gone, Rejected)
_LONGEST = timedelta(days=400)


class NoAnswer(Exception):
    """History holds nothing that could answer; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The changed object."""

    kind: Kind
    namespace: str
    name: str
    spec: Any


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run)


def _run(asked: argparse.Namespace) -> int:
    now = SystemClock().now()
    try:
        told = _simulate(asked, _changed(asked), moment(asked.since, now), now)
    except HistoryUnavailable as error:
        told_why = f"the history store cannot be read: {error}; {where_the_store_is('simulate')}; or give --history"
        raise CommandError(told_why) from error
    except NoAnswer as error:
        complain([f"simulate: {error}"])
        return NO_ANSWER
    return 0 if show(told.data, asked.output, lambda: "\n".join(told.lines)) else FAILED


def _simulate(asked: argparse.Namespace, changed: Changed, since: datetime, now: datetime) -> Told:
    if asked.history:
        series = from_file(asked.history)
        _refuse_what_a_file_lacks(changed)
        if changed.kind is OBJECTIVE_KIND:
            return _objective(asked, changed, objective.Past(series, interval=_interval(changed.spec)), since)
        return _policy(
            changed, {index: _told(one, series, asked, changed) for index, one in _known(changed)}, since, now
        )
    with read_store(store_url(asked.store_url)) as archive:
        if changed.kind is OBJECTIVE_KIND:
            return _objective(asked, changed, _past(archive, changed, since, now), since)
        pasts = {index: _of_trigger(archive, one, asked, changed, since, now) for index, one in _known(changed)}
        return _policy(changed, {index: one for index, one in pasts.items() if one is not None}, since, now)


def _refuse_what_a_file_lacks(changed: Changed) -> None:
    """A file holds the events of one thing as a whole: neither its slices, nor what others counted. Raises NoAnswer."""
    if changed.kind is POLICY_KIND and len(_known(changed)) > 1:
        raise NoAnswer("the policy has several triggers, and --history is about one thing: read the store instead")
    if changed.kind is OBJECTIVE_KIND:
        _refuse_composite(changed.spec)
    if changed.kind is OBJECTIVE_KIND and slice_seconds(changed.spec):
        raise NoAnswer("--history holds events, and spec.budgeting counts slices: read the store instead")


def _refuse_composite(spec: ServiceLevelObjectiveSpec) -> None:
    if spec.indicator.composite:
        raise NoAnswer("a composite counts nothing of its own: simulate its members")


# --- objectives -----------------------------------------------------------------------------------------


def _objective(asked: argparse.Namespace, changed: Changed, past: objective.Past, since: datetime) -> Told:
    if not len(past.series) or past.series.end <= since:
        raise NoAnswer(f"history knows nothing of slo/{changed.name} in {changed.namespace} since {format_time(since)}")
    present = _present(asked, changed)
    if present is not None and present.indicator != changed.spec.indicator:
        raise NoAnswer(
            "spec.indicator was changed: history holds what the present indicator counted. Change objective, window, "
            "budgeting, alerting, exclusions or noData, or apply the new indicator beside the old one and wait"
        )
    counted = changed.spec.budgeting
    is_alike = present is None or _counting(present) == _counting(changed.spec)
    if present is not None and not is_alike and counted.slice is not None:
        raise NoAnswer(
            "spec.budgeting was changed: history holds slices as the present objective counts them. Apply the new one "
            "beside the old one and wait"
        )
    if not is_alike:
        complain(["the present objective counts slices, the changed one events: they are not compared"], "note: ")
    after = objective.replay(changed.spec, past, since)
    before = objective.replay(present, past, since) if present is not None and is_alike else None
    return simulate_report.of_objective(changed.namespace, changed.name, past.series, since, after, before)


def _past(archive: Archive, changed: Changed, since: datetime, now: datetime) -> objective.Past:
    spec = changed.spec
    _refuse_composite(spec)
    prefix = SLICES if slice_seconds(spec) else OBJECTIVE
    begin = max(since - _LONGEST, datetime.fromtimestamp(0, UTC))
    found = archive.series(prefix, changed.namespace, changed.name, begin, now)
    if not found and prefix == SLICES:
        raise NoAnswer("history keeps no slices of this objective: its present budgeting.method counts events")
    groups = {name: series for name, series in found.items() if name}
    return objective.Past(found.get("", Recorded(())), groups, _interval(spec))


def _counting(spec: ServiceLevelObjectiveSpec) -> tuple[object, ...]:
    """Give what decides which series is counted, and how; Occurrences weighs events, whatever else stands there."""
    return (spec.budgeting.method, spec.budgeting.slice, spec.budgeting.slice_objective)


def _interval(spec: ServiceLevelObjectiveSpec) -> timedelta:
    return timedelta(minutes=1) if spec.indicator.events or spec.indicator.prometheus else timedelta(0)


def _present(asked: argparse.Namespace, changed: Changed) -> ServiceLevelObjectiveSpec | None:
    if asked.against:
        found = _in_file(asked.against, OBJECTIVE_KIND, changed.name, asked.namespace)
        spec: ServiceLevelObjectiveSpec = found.spec
        return spec
    body = _read(asked, OBJECTIVE_KIND, changed.namespace, changed.name)
    checked = check(body) if body else None
    return checked.spec if checked and isinstance(checked.spec, ServiceLevelObjectiveSpec) else None


def _read(asked: argparse.Namespace, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
    """Read an object of the cluster; None where there is none to be had."""

    async def get() -> dict[str, Any]:
        async with ApiClient(credentials_of(asked), patience=PATIENCE) as client:
            return await ApiObjects(client).get(kind, namespace, name)

    try:
        return asyncio.run(get())
    except _NO_CLUSTER as error:
        complain(
            [f"{kind.short_names[0]}/{name} was not read from a cluster: {' '.join(str(error).split())}"], "note: "
        )
        return None


# --- policies -------------------------------------------------------------------------------------------


def _policy(changed: Changed, pasts: dict[int, policy.Told], since: datetime, now: datetime) -> Told:
    if not pasts:
        raise NoAnswer("history holds nothing of what the policy's triggers look at: it keeps checks and objectives")
    came = policy.replay(changed.spec, pasts, since, now, changed.name)
    reach = {index: one.series for index, one in pasts.items()}
    return simulate_report.of_policy(changed.namespace, changed.name, changed.spec, came, since, now, reach=reach)


def _known(changed: Changed) -> list[tuple[int, Trigger]]:
    """Give the triggers whose past history keeps."""
    spec: RecoveryPolicySpec = changed.spec
    return [(index, one) for index, one in enumerate(spec.triggers) if one.health_check or one.slo]


def _of_trigger(
    archive: Archive, trigger: Trigger, asked: argparse.Namespace, changed: Changed, since: datetime, now: datetime
) -> policy.Told | None:
    prefix = OBJECTIVE if trigger.slo else CHECK
    name = trigger.slo.name if trigger.slo else trigger.health_check.name if trigger.health_check else ""
    begin = max(since - timedelta(days=4), datetime.fromtimestamp(0, UTC))
    found = archive.series(prefix, changed.namespace, name, begin, now)
    return _told(trigger, found[""], asked, changed) if found else None


def _told(trigger: Trigger, series: Recorded, asked: argparse.Namespace, changed: Changed) -> policy.Told:
    if trigger.slo is None:
        return policy.Told(series)
    body = _read(asked, OBJECTIVE_KIND, changed.namespace, trigger.slo.name)
    spec = check(body).spec if body else None
    if not isinstance(spec, ServiceLevelObjectiveSpec):
        raise NoAnswer(f"the trigger looks at slo/{trigger.slo.name}, whose spec was not read")
    return policy.Told(series, spec, _interval(spec))


# --- the changed object ---------------------------------------------------------------------------------


def _changed(asked: argparse.Namespace) -> Changed:
    """Find the object that is meant in the file. Raises BadArguments and BadInput."""
    kind, name = None, ""
    if asked.object:
        kind, name = kind_and_name(asked.object, (OBJECTIVE_KIND, POLICY_KIND), "simulate")
    return _in_file(asked.file, kind, name, asked.namespace)


def _in_file(path: str, kind: Kind | None, name: str, namespace: str) -> Changed:
    kinds = {one.kind: one for one in (OBJECTIVE_KIND, POLICY_KIND) if kind is None or one is kind}
    found = [check(one.body) for one in objects(path) if isinstance(one.body, dict) and one.body.get("kind") in kinds]
    meant = [one for one in found if not name or one.name == name]
    if len(meant) != 1:
        what = " or ".join(sorted(kinds))
        called = f" {name}" if name else ""
        many = "several, say which: slo/NAME or rp/NAME" if meant else "none"
        raise BadArguments(f"simulate: {path}: one {what}{called} is meant, and there is {many}")
    one = meant[0]
    problems = [problem for problem in one.problems if problem.severity is not Severity.WARNING]
    if one.spec is None or problems:
        told = f"{problems[0].path}: {problems[0].message}" if problems else "it cannot be read"
        raise BadInput(f"{path}: {one.kind}/{one.name}: {told}; `homeostat validate` says all that is wrong")
    return Changed(kinds[one.kind], namespace or one.namespace or "default", one.name, one.spec)
