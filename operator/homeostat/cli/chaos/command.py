"""`homeostat chaos COMMAND`: what humans do about experiments from a shell."""

import sys
from collections.abc import Sequence
from importlib import import_module

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
    lines = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    print("usage: homeostat chaos COMMAND [OPTION ...]", "", *lines, sep="\n", file=sys.stderr)  # noqa: T201
    return 0 if command in {"-h", "--help", "help"} else 2
