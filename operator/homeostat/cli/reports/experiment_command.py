"""`homeostat report chaos/NAME`: reads an experiment from the cluster or from a file, and reports its last run."""

from argparse import Namespace
from collections.abc import Sequence

from homeostat.api.chaos import KIND, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.cli.arguments import CommandError
from homeostat.cli.carrying_out import carry_out
from homeostat.cli.one_object import is_named
from homeostat.cli.parsers.chaos_report import parser
from homeostat.cli.reports.experiment import as_data, as_markdown, run_as_data, run_as_markdown
from homeostat.cli.reports.run_command import printed, read

_WHEN_GONE = "is there such an experiment in this namespace, and are the CRDs of homeostat installed?"
_WHEN_FORBIDDEN = "a report takes the right to get chaosexperiments there. Try -n NAMESPACE"


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether `homeostat report` is asked about an experiment, not about an objective."""
    return is_named(KIND, arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run, when_gone=_WHEN_GONE, when_forbidden=_WHEN_FORBIDDEN)


def _run(asked: Namespace) -> int:
    one = read(KIND, (ChaosExperimentSpec, ChaosExperimentStatus), asked, asked.experiment, "run")
    if asked.run in {0, one.status.run_number}:
        about = one.namespace, one.name, one.spec, one.status
        return printed(asked, as_data(*about), lambda: as_markdown(*about))
    run = next((run for run in one.status.runs if run.number == asked.run), None)
    if run is None:
        kept = ", ".join(str(run.number) for run in reversed(one.status.runs)) or "none"
        raise CommandError(f"{one.name}: there is no run {asked.run}; of earlier runs the newest five are kept: {kept}")
    return printed(
        asked, run_as_data(one.namespace, one.name, run), lambda: run_as_markdown(one.namespace, one.name, run)
    )
