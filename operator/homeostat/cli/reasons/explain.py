"""`homeostat explain rp/NAME`: what each gate of a RecoveryPolicy says now, and what would be done next.

Of an experiment it is the same. Of an objective, a check or a game day it is how it stands now, as the operator last
found.

Read with the rights of whoever asks: what they may not read is not known, and said to be. Nothing is written.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from homeostat.api import chaos, gameday, health_check, objective
from homeostat.api.meta import Kind
from homeostat.api.recovery import KIND
from homeostat.cli import desk
from homeostat.cli.asked import kind_and_name, place_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.explain import parser
from homeostat.cli.reasons import explain_chaos, explain_chaos_report
from homeostat.cli.reasons.explain_reading import report_on
from homeostat.cli.reasons.explain_report import Report, as_json, lines
from homeostat.cli.reasons.permitted import Reach
from homeostat.cli.reasons.why_report import as_data, why
from homeostat.cli.reasons.why_report import lines as why_lines
from homeostat.cli.showing import show
from homeostat.cli.silence import silence
from homeostat.cli.streams import complain, in_one_line
from homeostat.engine.clock import SystemClock
from homeostat.kube.actions.errands import ApiJobReader
from homeostat.kube.actions.revisions import ApiRevisions
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.objects import ApiObjects
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.targets import ApiTargets

KINDS = (KIND, objective.KIND, health_check.KIND, chaos.KIND, gameday.KIND)
PASSES, REFUSES, NOT_KNOWN = 0, 1, 3
_GONE = "is there such an object in this namespace, and are the CRDs of homeostat installed?"
_FORBIDDEN = "is it the right namespace? Try -n NAMESPACE"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 passes, 1 refuses, 3 none known refuses, 2 when there is no answer."""
    return carry_out(parser(), arguments, _run, when_gone=_GONE, when_forbidden=_FORBIDDEN)


def _run(asked: argparse.Namespace) -> int:
    kind, name = kind_and_name(asked.object, KINDS, "explain")
    if kind is chaos.KIND:
        return _explain_experiment(asked, name)
    if kind is not KIND:
        return _explain_status(asked, kind, name)
    report = asyncio.run(read(*place_of(asked), name, asked.operator_namespace, SystemClock().now()))
    is_told = show(as_json(report), asked.output, lambda: "\n".join(map(in_one_line, lines(report))))
    return code_of(report) if is_told else FAILED


def _explain_experiment(asked: argparse.Namespace, name: str) -> int:
    """Explain an experiment gate by gate."""
    report = asyncio.run(_read_experiment(*place_of(asked), name, asked.operator_namespace))
    is_told = show(
        explain_chaos_report.as_data(report), asked.output,
        lambda: "\n".join(map(in_one_line, explain_chaos_report.lines(report))),
    )  # fmt: skip
    if not is_told:
        return FAILED
    return REFUSES if report.refusals else NOT_KNOWN if report.not_known else PASSES


async def _read_experiment(
    credentials: Credentials, namespace: str, name: str, operator_namespace: str
) -> explain_chaos.ChaosReport:
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        await _say_silence(client, namespace)
        return await explain_chaos.report_on(client, operator_namespace, namespace, name, SystemClock().now())


def _explain_status(asked: argparse.Namespace, kind: Kind, name: str) -> int:
    """Explain an object whose gates the operator alone can ask: what it found last, without the past."""
    body = asyncio.run(_body(*place_of(asked), kind, name))
    told = replace(why(kind.kind, kind.short_names[0], body, SystemClock().now()), past=())
    if not show(as_data(told), asked.output, lambda: "\n".join(why_lines(told))):
        return FAILED
    return REFUSES if told.is_blocked else PASSES


async def _body(credentials: Credentials, namespace: str, kind: Kind, name: str) -> dict[str, Any]:
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        await _say_silence(client, namespace)
        return await ApiObjects(client).get(kind, namespace, name)


async def _say_silence(client: ApiClient, namespace: str) -> None:
    silent = await silence(client, namespace, SystemClock())
    if silent:
        complain([f"{silent}: what it has on record is as it was then"], "note: ")


async def read(credentials: Credentials, namespace: str, name: str, operator_namespace: str, now: datetime) -> Report:
    """Read and explain one policy. Raises what the ports raise, and Unreadable."""
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        await _say_silence(client, namespace)
        return await report_on(reach(client, operator_namespace), namespace, name, now)


def reach(client: ApiClient, operator_namespace: str) -> Reach:
    """Make the ports that are read."""
    locks = Locks(client, operator_namespace)
    budget = ActionBudget(client, operator_namespace, of=0, per=timedelta(hours=1))  # never read: `of` is a setting
    cluster = ApiCluster(client, locks, budget)
    return Reach(ApiObjects(client), cluster, ApiTargets(client, cluster, ApiRevisions(client), ApiJobReader(client)))


def code_of(report: Report) -> int:
    """Give the exit code of a report."""
    if report.refusals:
        return REFUSES
    return NOT_KNOWN if report.unknown else PASSES
