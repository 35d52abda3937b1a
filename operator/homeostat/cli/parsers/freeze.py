"""What `homeostat freeze`, and its `list` and `lift`, may be told."""

import argparse

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster
from homeostat.cli.showing import add_output

STOPS = {"chaos": "Chaos", "recovery": "Recovery"}


def parser(command: str = "") -> Parser:
    """Make the parser of `freeze`, "list" or "lift"."""
    made = Parser(prog=f"homeostat freeze {command}".rstrip(), description=_SAYING[command], epilog=_CODES[command])
    if command == "lift":
        made.add_argument("names", nargs="+", metavar="NAME", help="the freeze")
    if not command:
        _add_freezing(made)
    add_output(made)
    add_cluster(made)
    return made


def _add_freezing(made: Parser) -> None:
    made.add_argument("--reason", required=True, help="why, for whoever finds something stopped")
    made.add_argument(
        "--for", type=_length, dest="length", default=None, metavar="TIME",
        help="for how long, such as 2h or 1h30m (default: until it is lifted)",
    )  # fmt: skip
    made.add_argument(
        "--stops", choices=tuple(STOPS), action="append",
        help="what stops; may be repeated (default: both)",
    )  # fmt: skip
    made.add_argument(
        "-n", "--namespace", action="append", default=None, metavar="NAMESPACE", dest="namespaces",
        help="only there; may be repeated (default: the whole cluster)",
    )  # fmt: skip
    made.add_argument(
        "--name", default="", help="what it is called (default: by the time, such as freeze-20261122-0315)"
    )
    made.add_argument(
        "--timeout", type=_seconds, default=15.0, metavar="SECONDS",
        help="how long to wait for the operator to say that it holds (default: %(default)g)",
    )  # fmt: skip


def _length(text: str) -> str:
    import re  # noqa: PLC0415 - --help needs none

    if not re.fullmatch(r"(?:[0-9]{1,6}[smhdw])+", text) or not re.search(r"[1-9]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 30m, 2h or 1h30m")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour
        raise argparse.ArgumentTypeError("not a number of seconds from 0 to 3600")
    return seconds


_SAYING = {
    "": "Stop chaos experiments and recoveries, now: make a Freeze. Running experiments are undone, no policy begins "
    "anything. Measuring goes on. `homeostat freeze list` shows freezes, `homeostat freeze lift NAME` ends one.",
    "list": "List freezes: what they stop, where, until when, and why.",
    "lift": "End freezes: delete them. What they stopped does not resume by itself: an experiment needs a new run.",
}
_CODES = {
    "": "Exit code: 0 it holds, 1 it stands and no operator has said in time that it holds, 2 when it could not be "
    "made.",
    "list": "Exit code: 0, 2 when they could not be read.",
    "lift": "Exit code: 0 ended, 1 one was not there, 2 when it could not be asked.",
}
