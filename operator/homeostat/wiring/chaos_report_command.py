"""`homeostat report chaos/NAME`: reads an experiment from the cluster or from a file, and reports its last run."""

import asyncio
import json
import os
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from homeostat.api.chaos import KIND, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.engine.objects import explain
from homeostat.kube.client import ApiClient, Patience
from homeostat.kube.credentials import Credentials, CredentialsError
from homeostat.kube.kubeconfig import find_credentials
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable
from homeostat.wiring.arguments import BadArguments, Parser
from homeostat.wiring.asked import add_cluster, explained, kind_names, name_of
from homeostat.wiring.chaos_report import as_data, as_markdown, run_as_data, run_as_markdown
from homeostat.wiring.check_file import BadInput, objects
from homeostat.wiring.streams import complain, print_out

FAILED = 2  # exit code
PATIENCE = Patience(timeout=10.0, total=10.0)
"""Somebody waits at a terminal."""
_WHEN_GONE = "is there such an experiment in this namespace, and are the CRDs of homeostat installed?"
_WHEN_FORBIDDEN = "a report takes the right to get chaosexperiments there. Try -n NAMESPACE"


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether `homeostat report` is asked about an experiment, not about an objective."""
    return any("/" in one and one.partition("/")[0].lower() in kind_names(KIND) for one in arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    try:
        asked = _parser().parse_args(arguments)
        name = name_of(asked.experiment, KIND, "report")
        body = _in_file(asked.file, asked.namespace, name) if asked.file else _in_cluster(asked, name)
        spec = ChaosExperimentSpec.model_validate(body.get("spec") or {})
        status = ChaosExperimentStatus.model_validate(body.get("status") or {})
    except ValidationError as error:
        complain([f"the experiment cannot be read: {explain(error, 'experiment')}"])
        return FAILED
    except (BadArguments, BadInput, CredentialsError, Unavailable, Forbidden, Gone, Rejected) as error:
        complain([explained(error, when_gone=_WHEN_GONE, when_forbidden=_WHEN_FORBIDDEN)])
        return FAILED
    if not status.run_number:
        complain([f"{name}: there was no run yet: {status.message or status.reason or 'nothing has looked at it'}"])
        return FAILED
    namespace, number = str(body["metadata"].get("namespace", asked.namespace)), asked.run or status.run_number
    if number == status.run_number:
        return _printed(asked, as_data(namespace, name, spec, status), as_markdown(namespace, name, spec, status))
    run = next((one for one in status.runs if one.number == number), None)
    if run is None:
        kept = ", ".join(str(one.number) for one in reversed(status.runs)) or "none"
        complain([f"{name}: there is no run {number}; of earlier runs the newest five are kept: {kept}"])
        return FAILED
    return _printed(asked, run_as_data(namespace, name, run), run_as_markdown(namespace, name, run))


def _printed(asked: Any, data: dict[str, Any], markdown: str) -> int:  # noqa: ANN401 - argparse's
    told = json.dumps(data, indent=2) if asked.output == "json" else markdown
    return 0 if print_out(f"{told}\n") else FAILED


def _in_cluster(asked: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - argparse's
    credentials = find_credentials(os.environ, kubeconfig=asked.kubeconfig, context=asked.context)
    return asyncio.run(_read(credentials, asked.namespace or credentials.namespace, name))


async def _read(credentials: Credentials, namespace: str, name: str) -> dict[str, Any]:
    async with ApiClient(credentials, patience=PATIENCE) as client:
        return await ApiObjects(client).get(KIND, namespace, name)


def _in_file(path: str, namespace: str, name: str) -> dict[str, Any]:
    for body in (one.body for one in objects(path)):
        metadata = body.get("metadata") if isinstance(body, dict) and body.get("kind") == KIND.kind else None
        if not isinstance(metadata, dict) or metadata.get("name") != name:
            continue
        if not namespace or metadata.get("namespace", namespace) == namespace:
            return dict(body)
    raise BadInput(f"{path}: there is no ChaosExperiment {name}")


def _parser() -> Parser:
    parser = Parser(
        prog="homeostat report chaos/NAME",
        description="Report the last run of a ChaosExperiment: hypothesis, plan, timeline, what was measured before, "
        "during and after, how long detection, action and recovery took, what it proved, and what to do about it.",
        epilog="Exit code: 0, whatever the verdict; 2 when there is no report.",
    )
    parser.add_argument("experiment", metavar="chaos/NAME", help="the ChaosExperiment")
    parser.add_argument("-n", "--namespace", default="", help="namespace (default: that of the context)")
    parser.add_argument("-o", "--output", choices=("markdown", "json"), default="markdown", help="how to print")
    parser.add_argument("--run", type=int, default=0, metavar="N", help="report an earlier run (default: the last)")
    parser.add_argument(
        "-f", "--file", default="", metavar="FILE", help="read it from a file, as kubectl get -o yaml writes it"
    )
    add_cluster(parser)
    return parser
