"""How a command ends: with what it found, or with one line that says why there is no answer.

Imports nothing that takes long: a bad option is answered before any model of the API is loaded.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence

from homeostat.cli.arguments import CommandError, Parser
from homeostat.cli.asked import explained
from homeostat.cli.streams import complain, where_the_store_is

FAILED = 2
"""The exit code of every command that has no answer."""


def carry_out(
    parser: Parser,
    arguments: Sequence[str],
    work: Callable[[Namespace], int],
    *,
    when_gone: str = "",
    when_forbidden: str = "",
) -> int:
    """Do what is asked for; give its exit code, FAILED where it cannot be done.

    What the API server answers is told with the common cause of it: `when_gone`, `when_forbidden`.
    """
    try:
        asked = parser.parse_args(list(arguments))
    except CommandError as error:
        complain([str(error)])
        return FAILED
    from homeostat.ports import (  # noqa: PLC0415 - not for --help
        Conflict,
        Forbidden,
        Gone,
        HistoryUnavailable,
        Rejected,
        Unavailable,
    )

    try:
        return work(asked)
    except CommandError as error:
        complain([str(error)])
    except HistoryUnavailable as error:
        complain([f"the history store cannot be read: {error}; {where_the_store_is(parser.command)}"])
    except (Unavailable, Forbidden, Gone, Rejected, Conflict) as error:
        complain([explained(error, when_gone=when_gone, when_forbidden=when_forbidden)])
    return FAILED
