"""`homeostat probe -f check.yaml`: runs checks once, from a shell, by the same code as the operator does.

A cluster is asked only for what the check needs of it: endpoints of a Service, Secrets, a workload, a Job. A check
of a URL runs without any.
"""

import argparse
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, cast

import uvloop
from pydantic import ValidationError

from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.meta import API_VERSION
from homeostat.cli.checks.probe_report import NOTHING_LEARNT, as_json, exit_code, joined, lines
from homeostat.cli.files.objects import BadInput, health_checks
from homeostat.cli.nowhere import Nowhere
from homeostat.cli.parsers.probe import parser
from homeostat.cli.showing import show
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.run import Answer, Run, aggregate
from homeostat.core.probing.asking import Invalid
from homeostat.core.probing.target import probe_type
from homeostat.core.ref import Ref
from homeostat.engine.asking import Asker
from homeostat.engine.directory import SERVICE_LABEL, Directory
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials, CredentialsError
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable
from homeostat.telemetry import log
from homeostat.wiring.outside import SLICES, Reach, prober_on, reach
from homeostat.wiring.settings import Settings

BAD_INPUT = 2
INTERRUPTED = 130  # as shells say it
_LAST_STANDARD = 2  # file descriptor
_MOST_PROBLEMS = 20  # that are told of one check
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # what the API server lets an object be called


@dataclass(frozen=True, slots=True)
class Given:
    """One HealthCheck of the file, ready to run."""

    ref: Ref
    kind: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Found:
    """One HealthCheck and what its run found."""

    given: Given
    answers: Sequence[Answer]
    run: Run


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: that of the worst check."""
    _hold_standard_streams()
    asked = parser().parse_args(arguments)
    log.set_up("WARNING", is_for_humans=True)
    try:
        found = _found(asked)
    except ValidationError as error:
        return _complain(*(f"setting {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()))
    except (BadInput, CredentialsError, ValueError) as error:
        return _complain(str(error))
    except (Unavailable, Forbidden, Gone, Rejected) as error:
        _complain(f"the cluster: {error}")
        return NOTHING_LEARNT
    except KeyboardInterrupt:
        return INTERRUPTED
    return _tell(found, asked.output)


def _found(asked: argparse.Namespace) -> list[Found]:
    """Read and run the checks. Raises what is wrong with the input, or what the cluster answers."""
    settings = Settings(allow_networks=tuple(ip_network(one) for one in asked.allow_network))
    checks = list(read(asked.file, asked.namespace))
    return uvloop.run(probe_all(checks, settings.model_copy(update={"kubeconfig": asked.kubeconfig})))


def _tell(found: Sequence[Found], output: str) -> int:
    """Print what was found; give the exit code, also when nobody reads."""
    told = [(one.given.ref, one.given.kind, one.given.plan, one.answers, one.run) for one in found]
    if not show([as_json(*one) for one in told], output, lambda: joined(lines(*one) for one in told)):
        return NOTHING_LEARNT
    return max(exit_code(one.run.verdict) for one in found)


def _complain(*problems: str) -> int:
    for problem in problems:
        print(f"homeostat: {problem}", file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
    return BAD_INPUT


def _hold_standard_streams() -> None:
    """Open what was closed before we began: the event loop dies of a connection that gets such a number."""
    while (file := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        pass
    os.close(file)


# --- what is given --------------------------------------------------------------------------------------


def read(path: str, namespace: str) -> Iterator[Given]:
    """Read the HealthChecks of a file. Raises BadInput."""
    checks = list(health_checks(path))
    if not checks:
        raise BadInput(f"{path}: no HealthCheck in it")
    for body in checks:
        yield _given(body, path, namespace)


def _given(body: dict[str, Any], path: str, namespace: str) -> Given:
    ref = _ref(body, path, namespace)
    where = f"{path}: HealthCheck {ref.name}"
    if body.get("apiVersion") != API_VERSION:
        raise BadInput(f"{where}: apiVersion is not {API_VERSION}")
    try:
        spec = HealthCheckSpec.model_validate(body.get("spec"), extra="forbid")
    except ValidationError as error:
        raise BadInput("\n".join(_problems(where, error))) from error
    plan = compile(spec, ref)
    if isinstance(plan, Invalid):
        raise BadInput(f"{where}: {plan.reason.value}: {plan.message}")
    return Given(ref, probe_type(spec.probe), plan)


def _ref(body: dict[str, Any], path: str, namespace: str) -> Ref:
    found = body.get("metadata")
    metadata: dict[str, Any] = found if isinstance(found, dict) else {}
    name, space = metadata.get("name") or "check", metadata.get("namespace") or namespace or "default"
    uid = metadata.get("uid")
    for one in (name, space):
        if not isinstance(one, str) or _NAME.fullmatch(one) is None:
            raise BadInput(f"{path}: metadata of a HealthCheck: a name or namespace that no object can have")
    return Ref("HealthCheck", space, name, uid if isinstance(uid, str) else "")


_SAID_PLAINLY = {"extra_forbidden": "unknown field", "tuple_type": "should be a list"}
"""What Pydantic says of its own types, in the words of YAML."""


def _problems(where: str, error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False)[:_MOST_PROBLEMS]:
        place = ".".join(["spec", *map(str, problem["loc"])])
        yield f"{where}: {place}: {_SAID_PLAINLY.get(problem['type'], problem['msg'])}"


# --- running them ---------------------------------------------------------------------------------------


async def probe_all(checks: Sequence[Given], settings: Settings) -> list[Found]:
    """Run each check once, one after the other. Raises what the cluster answers when it is needed."""
    async with _asker(checks, settings) as asker:
        return [await _probe(one, asker) for one in checks]


async def _probe(given: Given, asker: Asker) -> Found:
    answers = await asker.ask(given.plan)
    return Found(given, answers, aggregate(answers, given.plan))


@asynccontextmanager
async def _asker(checks: Sequence[Given], settings: Settings) -> AsyncIterator[Asker]:
    """Make what asks; without a kubeconfig all that needs no cluster works."""
    credentials, why_not = _credentials(settings.kubeconfig)
    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(ApiClient(credentials)) if credentials else None
        reached = reach(client, settings, "homeostat-probe") if client else cast("Reach", Nowhere(why_not))
        prober = prober_on(reached, settings, credentials.server if credentials else "")
        opened.callback(prober.close)
        yield Asker(prober.probe, await _directory(checks, client, why_not))


def _credentials(kubeconfig: str) -> tuple[Credentials | None, str]:
    """Find the credentials of a cluster, or say why there is none. Raises CredentialsError if one was asked for."""
    try:
        return find_credentials(os.environ, kubeconfig=kubeconfig), ""
    except CredentialsError as error:
        if kubeconfig:
            raise
        return None, str(error)


async def _directory(checks: Sequence[Given], client: ApiClient | None, why_not: str) -> Directory:
    """Look up the endpoints of the Services that the checks name."""
    directory = Directory()
    services = {
        (service.namespace, service.name)
        for one in checks
        for service in (one.plan.service, *one.plan.step_services)
        if service is not None
    }
    bodies: list[dict[str, Any]] = []
    for namespace, name in sorted(services):
        if client is None:
            raise Unavailable(f"endpoints of Service {name} are looked up there, and {why_not}")
        path = SLICES.format(f"namespaces/{namespace}/")
        bodies += await client.collect(path, query={"labelSelector": f"{SERVICE_LABEL}={name}"})
    directory.replace_all(bodies)
    return directory
