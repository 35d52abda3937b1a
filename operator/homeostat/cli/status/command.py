"""`homeostat status`: how all services stand, the worst first.

Nothing is probed and nothing is written: it is what the operator has written into the objects, read with the rights of
whoever asks.
"""

from collections.abc import Sequence

from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import explained, place_of
from homeostat.cli.parsers.status import parser
from homeostat.cli.streams import complain

FAILED = 2


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 all is well, 1 something is not, 2 when there is no answer."""
    try:
        asked = parser().parse_args(list(arguments))
    except BadArguments as error:
        complain([str(error)])
        return FAILED
    from homeostat.cli.status.look import look, watch  # noqa: PLC0415
    from homeostat.ports import Forbidden, Gone, Rejected, Unavailable  # noqa: PLC0415 - not for --help

    try:
        credentials, namespace = place_of(asked)
        if asked.watch:
            return watch(credentials, namespace, asked.service, asked.output)
        return look(credentials, namespace, asked.service, asked.output)
    except (BadArguments, Unavailable, Forbidden, Gone, Rejected) as error:
        complain([explained(error, when_gone="are the CRDs of homeostat installed?", when_forbidden="who are you?")])
        return FAILED
    except KeyboardInterrupt:
        return FAILED
