"""`homeostat probe -f check.yaml`: runs checks once, from a shell, by the same code as the operator does.

A cluster is asked only for what the check needs of it: endpoints of a Service, Secrets, a workload, a Job. A check
of a URL runs without any.
"""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, cast

import uvloop
import yaml
from pydantic import ValidationError

from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.meta import API_VERSION
from homeostat.core.decision import Ref
from homeostat.core.plan import Invalid, Plan, compile, probe_type  # noqa: A004 - what one does to a plan
from homeostat.core.probing import Verdict
from homeostat.core.run import Answer, Run, aggregate
from homeostat.engine.asking import Asker
from homeostat.engine.directory import SERVICE_LABEL, Directory
from homeostat.kube.client import ApiClient
from homeostat.kube.credentials import CredentialsError
from homeostat.kube.kubeconfig import find_credentials
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable
from homeostat.telemetry import log
from homeostat.wiring.compose import SLICES, prober_on, reach
from homeostat.wiring.nowhere import Nowhere
from homeostat.wiring.probe_report import as_json, exit_code, joined, lines
from homeostat.wiring.settings import Settings

BAD_INPUT = 2
MOST_BYTES = 1_000_000  # of a file


class BadInput(Exception):
    """What the user gave cannot be used; the message says why."""


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
    asked = _parser().parse_args(arguments)
    log.set_up("WARNING", is_for_humans=True)
    try:
        settings = Settings(allow_networks=tuple(ip_network(one) for one in asked.allow_network))
        checks = list(read(asked.file, asked.namespace))
        found = uvloop.run(probe_all(checks, settings.model_copy(update={"kubeconfig": asked.kubeconfig})))
    except (BadInput, CredentialsError, ValueError) as error:
        print(f"homeostat: {error}", file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
        return BAD_INPUT
    except (Unavailable, Forbidden, Gone, Rejected) as error:
        print(f"homeostat: the cluster: {error}", file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
        return exit_code(Verdict.UNKNOWN)
    told = [(one.given.ref, one.given.kind, one.given.plan, one.answers, one.run) for one in found]
    if asked.output == "json":
        print(json.dumps([as_json(*one) for one in told], indent=2))  # noqa: T201 - this is what was asked for
    else:
        print(joined(lines(*one) for one in told))  # noqa: T201 - this is what was asked for
    return max(exit_code(one.run.verdict) for one in found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="homeostat probe",
        description="Run HealthChecks once, from here, and explain what they find, phase by phase.",
        epilog="Exit code: 0 all pass, 1 one fails, 2 one cannot run as written, 3 nothing was learnt. "
        "CEL rules of the schema are the API server's: kubectl apply --dry-run=server -f FILE checks them.",
    )
    parser.add_argument("-f", "--file", required=True, help="YAML with HealthChecks; - for standard input")
    parser.add_argument("-n", "--namespace", default="", help="namespace of checks that name none (default: default)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print")
    parser.add_argument("--kubeconfig", default="", help="path of a kubeconfig, when the check needs a cluster")
    parser.add_argument(
        "--allow-network", action="append", default=[], metavar="CIDR",
        help="a network that may be probed although it is refused by default, such as 127.0.0.0/8",
    )  # fmt: skip
    return parser


# --- what is given --------------------------------------------------------------------------------------


def read(path: str, namespace: str) -> Iterator[Given]:
    """Read the HealthChecks of a file. Raises BadInput."""
    checks = [one for one in _documents(path) if isinstance(one, dict) and one.get("kind") == "HealthCheck"]
    if not checks:
        raise BadInput(f"{path}: no HealthCheck in it")
    for body in checks:
        yield _given(body, path, namespace)


def _documents(path: str) -> list[Any]:
    try:
        with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:  # noqa: PTH123 - or standard input
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise BadInput(f"{path}: larger than {MOST_BYTES} characters")
        return list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _given(body: dict[str, Any], path: str, namespace: str) -> Given:
    found = body.get("metadata")
    metadata: dict[str, Any] = found if isinstance(found, dict) else {}
    ref = Ref(
        "HealthCheck", str(metadata.get("namespace") or namespace or "default"), str(metadata.get("name") or "check"),
        str(metadata.get("uid") or ""),
    )  # fmt: skip
    where = f"{path}: HealthCheck {ref.name}"
    if body.get("apiVersion") != API_VERSION:
        raise BadInput(f"{where}: apiVersion is not {API_VERSION}")
    try:
        spec = HealthCheckSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        raise BadInput("\n".join(_problems(where, error))) from error
    plan = compile(spec, ref)
    if isinstance(plan, Invalid):
        raise BadInput(f"{where}: {plan.reason.value}: {plan.message}")
    return Given(ref, probe_type(spec.probe), plan)


def _problems(where: str, error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        place = ".".join(["spec", *map(str, problem["loc"])])
        yield f"{where}: {place}: {problem['msg']}"


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
    try:
        credentials = find_credentials(os.environ, kubeconfig=settings.kubeconfig)
    except CredentialsError as error:
        if settings.kubeconfig:
            raise
        prober = prober_on(cast("Any", Nowhere(str(error))), settings, server="")
        try:
            yield Asker(prober.probe, await _directory(checks, None, str(error)))
        finally:
            prober.close()
        return
    async with ApiClient(credentials) as client:
        prober = prober_on(reach(client, settings, "homeostat-probe"), settings, credentials.server)
        try:
            yield Asker(prober.probe, await _directory(checks, client))
        finally:
            prober.close()


async def _directory(checks: Sequence[Given], client: ApiClient | None, why_not: str = "") -> Directory:
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
