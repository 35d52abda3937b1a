"""`homeostat chaos COMMAND`: what humans do about experiments from a shell."""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from homeostat.cli.arguments import program
from homeostat.cli.streams import complain

_HELP = frozenset({"-h", "--help", "help"})
COMMANDS = {
    "run": ("run", "ask for a run of an experiment, or for a game day"),
    "abort": ("abort", "end the run under way, and wait until its fault is off"),
    "plan": ("plan", "show the plan: targets, changes, undo"),
    "list": ("listing", "list experiments and game days"),
    "sweep": ("sweep", "find what experiments left behind, and undo it"),
}
"""By name: the module that has its `main(arguments) -> code`, and what it does."""


def main(arguments: Sequence[str]) -> int:
    """Run the command that is asked for; give its exit code."""
    command, *rest = list(arguments) or [""]
    if command in COMMANDS:
        code: int = import_module(f"homeostat.cli.chaos.{COMMANDS[command][0]}").main(rest)
        return code
    is_help = command in _HELP
    if command and not is_help:
        near = get_close_matches(command, COMMANDS, n=1)
        meant = f" Did you mean `{program()} chaos {near[0]}`?" if near else ""
        complain([f"chaos: there is no command {command!r}.{meant}"])
    lines = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    there = sys.stdout if is_help else sys.stderr
    print(f"usage: {program()} chaos COMMAND [OPTION ...]", "", *lines, sep="\n", file=there)
    return 0 if is_help else 2
