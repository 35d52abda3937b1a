"""`homeostat report gameday/NAME`: reads a game day from the cluster or from a file, and reports its last day."""

from collections.abc import Sequence

from pydantic import ValidationError

from homeostat.api.gameday import KIND, GameDaySpec
from homeostat.api.gameday_status import GameDayStatus
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import explained, name_of
from homeostat.cli.checks.check_file import BadInput
from homeostat.cli.one_object import is_named, read_object
from homeostat.cli.parsers.gameday_report import parser
from homeostat.cli.reports.gameday import as_data, as_markdown
from homeostat.cli.showing import show
from homeostat.cli.streams import complain
from homeostat.engine.objects import explain
from homeostat.kube.credentials import CredentialsError
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable

FAILED = 2  # exit code
_WHEN_GONE = "is there such a game day in this namespace, and are the CRDs of homeostat installed?"
_WHEN_FORBIDDEN = "a report takes the right to get gamedays there. Try -n NAMESPACE"


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether `homeostat report` is asked about a game day."""
    return is_named(KIND, arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    try:
        asked = parser().parse_args(arguments)
        name = name_of(asked.day, KIND, "report")
        body = read_object(KIND, asked, name)
        spec = GameDaySpec.model_validate(body.get("spec") or {})
        status = GameDayStatus.model_validate(body.get("status") or {})
    except ValidationError as error:
        complain([f"the game day cannot be read: {explain(error, 'gameday')}"])
        return FAILED
    except (BadArguments, BadInput, CredentialsError, Unavailable, Forbidden, Gone, Rejected) as error:
        complain([explained(error, when_gone=_WHEN_GONE, when_forbidden=_WHEN_FORBIDDEN)])
        return FAILED
    if not status.run_number:
        complain([f"{name}: there was no day yet: {status.message or status.reason or 'nothing has looked at it'}"])
        return FAILED
    whose = str(body["metadata"].get("namespace", asked.namespace)), name
    output = "text" if asked.output == "markdown" else asked.output
    is_told = show(as_data(*whose, spec, status), output, lambda: as_markdown(*whose, spec, status))
    return 0 if is_told else FAILED
