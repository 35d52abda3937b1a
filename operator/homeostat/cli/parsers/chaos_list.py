"""What `homeostat chaos list` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespaces
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat chaos list",
        description="List ChaosExperiments and GameDays: where they stand, what they showed, when they run next.",
        epilog="Exit code: 0, 2 when they could not be read.",
    )
    add_namespaces(made)
    add_output(made)
    add_cluster(made)
    return made
