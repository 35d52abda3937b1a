"""What `homeostat gate` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespace
from homeostat.cli.showing import add_output

HOLDS = ("Chaos", "Recovery", "Rollouts")
UNKNOWN = ("fail", "go", "stop")


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat gate",
        description="Say whether the error budget of a ServiceLevelObjective lets a rollout go on: what "
        "spec.budgetPolicy holds now, as the operator last found.",
        epilog="Exit code: 0 go, 1 stop, 3 when it is not known (see --unknown), 2 when it could not be read.",
    )
    made.add_argument("objective", metavar="slo/NAME", help="the ServiceLevelObjective")
    made.kinds["objective"] = ("slo",)
    add_namespace(made)
    made.add_argument("--hold", choices=HOLDS, default="Rollouts", help="what would be held")
    made.add_argument(
        "--unknown", choices=UNKNOWN, default="fail",
        help="what to take missing knowledge for (default: fail, exit code 3); a hold that stands is never let go",
    )  # fmt: skip
    add_output(made)
    add_cluster(made)
    return made
