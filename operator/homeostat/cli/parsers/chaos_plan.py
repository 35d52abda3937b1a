"""What `homeostat chaos plan` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.parsers.chaos import parser_of
from homeostat.cli.showing import add_output

HOW = "a dry run makes one: set spec.dryRun: true and ask for a run"


def parser() -> Parser:
    """Make the parser."""
    made = parser_of(
        "plan",
        f"Show the plan of the last run, or dry run: exact targets, changes and undo. It asks for nothing; {HOW}.",
        "Exit code: 0, 1 when there is no plan, 2 when it could not be read.",
    )
    add_output(made)
    return made
