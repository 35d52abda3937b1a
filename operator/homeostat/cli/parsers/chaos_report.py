"""What `homeostat report chaos/NAME` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_place


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat report chaos/NAME",
        description="Report the last run of a ChaosExperiment: hypothesis, plan, timeline, what was measured before, "
        "during and after, how long detection, action and recovery took, what it proved, and what to do about it.",
        epilog="Exit code: 0, whatever the verdict; 2 when there is no report.",
    )
    made.add_argument("experiment", metavar="chaos/NAME", help="the ChaosExperiment")
    made.add_argument("-o", "--output", choices=("markdown", "json", "yaml"), default="markdown", help="how to print")
    made.add_argument("--run", type=int, default=0, metavar="N", help="report an earlier run (default: the last)")
    add_place(made)
    return made
