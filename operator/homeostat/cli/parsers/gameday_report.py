"""What `homeostat report gameday/NAME` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_place


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat report gameday/NAME",
        description="Report the last day of a GameDay: its steps in order, what each showed and how long detection, "
        "action and recovery took, what was proved, and what to do about it.",
        epilog="Exit code: 0, whatever the verdict; 2 when there is no report.",
    )
    made.add_argument("day", metavar="gameday/NAME", help="the GameDay")
    made.add_argument("-o", "--output", choices=("markdown", "json", "yaml"), default="markdown", help="how to print")
    add_place(made)
    return made
