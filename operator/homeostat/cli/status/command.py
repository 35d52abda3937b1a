"""`homeostat status`: how all services stand, the worst first.

Nothing is probed and nothing is written: it is what the operator has written into the objects, read with the rights of
whoever asks.
"""

from argparse import Namespace
from collections.abc import Sequence

from homeostat.cli.asked import place_of
from homeostat.cli.carrying_out import carry_out
from homeostat.cli.parsers.status import parser


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 all is well, 1 something is not, 2 when there is no answer."""
    return carry_out(
        parser(), arguments, _run, when_gone="are the CRDs of homeostat installed?", when_forbidden="who are you?"
    )


def _run(asked: Namespace) -> int:
    from homeostat.cli.status.look import look, watch  # noqa: PLC0415 - not for --help

    do = watch if asked.watch else look
    return do(*place_of(asked), asked.service, asked.output)
