"""What a report holds an objective against, and where that is read: in the cluster, a file, or on the command line."""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from homeostat.api.objective import KIND, NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import Indicator
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import credentials_of
from homeostat.cli.files.objects import BadInput
from homeostat.cli.one_object import in_cluster, in_file
from homeostat.core.objective.compliance import Measure
from homeostat.engine.objects import explain
from homeostat.kube.apiserver.credentials import CredentialsError
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for, and where that was read. `uid` is "" where only the name is known."""

    measure: Measure
    source: str
    uid: str = ""
    service: str = ""
    description: str = ""
    indicator: str = "not told: the objective was given on the command line"
    zone: str = "UTC"


def terms_of(asked: argparse.Namespace, namespace: str, name: str) -> Terms:
    """Find the objective: in a file, on the command line, else in the cluster. Raises BadArguments and BadInput."""
    if asked.file:
        return _of_spec(in_file(KIND, asked.file, namespace, name), f"file {asked.file}")
    if asked.objective is not None:
        return Terms(Measure(asked.objective), "command line: events are counted, nothing is excluded")
    try:
        body = asyncio.run(in_cluster(KIND, credentials_of(asked), namespace, name))
    except (CredentialsError, Unavailable, Forbidden, Gone, Rejected) as error:
        told = " ".join(str(error).split())
        raise BadArguments(f"the objective was not read: {told}; give -f slo.yaml or --objective 99.9") from error
    return replace(_of_spec(body, "cluster"), uid=str(body["metadata"]["uid"]))


def _of_spec(body: Mapping[str, Any], source: str) -> Terms:
    try:
        spec = ServiceLevelObjectiveSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise BadInput(f"{source}: {explain(error, 'spec')}") from error
    if spec.indicator.composite:
        members = ", ".join(member.name for member in spec.indicator.composite.members)
        raise BadInput(f"a composite counts nothing itself: report its members ({members})")
    calendar, length = spec.window.calendar, spec.budgeting.slice
    return Terms(
        Measure(
            spec.objective,
            spec.budgeting.method,
            0 if length is None else int(length.total_seconds()),
            spec.exclusions,
            are_missing_bad=spec.no_data is NoData.BAD,
        ),
        source,
        service=spec.service,
        description=spec.description,
        indicator=_told(spec.indicator),
        zone=calendar.time_zone if calendar else "UTC",
    )


def _told(indicator: Indicator) -> str:
    """Say in a few words what is measured."""
    check, prometheus = indicator.health_check, indicator.prometheus
    if check:
        limit = "" if check.threshold is None else f" within {check.threshold.total_seconds():g} s"
        return f"runs of HealthCheck {check.name}: good are those that passed{limit}"
    if prometheus is None:
        return "events pushed through the API"
    if prometheus.latency:
        latency = prometheus.latency
        seconds = f"{latency.threshold.total_seconds():g} s"
        return f"Prometheus: {latency.histogram}{{{latency.selector}}} within {seconds}"
    if prometheus.ratio:
        of = f"bad {prometheus.ratio.bad}" if prometheus.ratio.bad else f"good {prometheus.ratio.good}"
        return f"Prometheus: {of} of {prometheus.ratio.total}"
    return f"Prometheus: error ratio {prometheus.ratio_query}"
