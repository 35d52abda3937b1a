"""`homeostat report chaos/NAME`: reads an experiment from the cluster or from a file, and reports its last run."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from homeostat.api.chaos import KIND, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import explained, name_of
from homeostat.cli.checks.check_file import BadInput
from homeostat.cli.one_object import is_named, read_object
from homeostat.cli.parsers.chaos_report import parser
from homeostat.cli.reports.experiment import as_data, as_markdown, run_as_data, run_as_markdown
from homeostat.cli.showing import show
from homeostat.cli.streams import complain
from homeostat.engine.objects import explain
from homeostat.kube.credentials import CredentialsError
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable

FAILED = 2  # exit code
_WHEN_GONE = "is there such an experiment in this namespace, and are the CRDs of homeostat installed?"
_WHEN_FORBIDDEN = "a report takes the right to get chaosexperiments there. Try -n NAMESPACE"


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether `homeostat report` is asked about an experiment, not about an objective."""
    return is_named(KIND, arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    try:
        asked = parser().parse_args(arguments)
        name = name_of(asked.experiment, KIND, "report")
        body = read_object(KIND, asked, name)
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
    output = "text" if asked.output == "markdown" else asked.output
    return 0 if show(data, output, lambda: markdown) else FAILED
