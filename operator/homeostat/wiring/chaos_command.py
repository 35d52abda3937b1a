"""`homeostat chaos COMMAND`: what humans do about experiments from a shell."""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "run": ("chaos_run_command", "ask for a run of an experiment, or for a game day"),
    "abort": ("chaos_abort_command", "end the run under way, and wait until its fault is off"),
    "plan": ("chaos_plan_command", "show the plan: targets, changes, undo"),
    "list": ("chaos_list_command", "list experiments and game days"),
    "sweep": ("sweep_command", "find what experiments left behind, and undo it"),
}
"""By name: the module that has its `main(arguments) -> code`, and what it does."""


def main(arguments: Sequence[str]) -> int:
    """Run the command that is asked for; give its exit code."""
    command, *rest = list(arguments) or [""]
    if command in COMMANDS:
        code: int = import_module(f"homeostat.wiring.{COMMANDS[command][0]}").main(rest)
        return code
    lines = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    print("usage: homeostat chaos COMMAND [OPTION ...]", "", *lines, sep="\n", file=sys.stderr)  # noqa: T201
    return 0 if command in {"-h", "--help", "help"} else 2
