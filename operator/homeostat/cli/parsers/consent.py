"""What `homeostat approve, reject, pause, resume` and `run rp/NAME` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespace

ABOUT_PLANS = frozenset({"approve", "reject"})
"""What is said to experiments and game days, too."""
_SAYING = {
    "approve": "Let a plan that awaits approval be carried out: this very plan, once, and only while it holds.",
    "reject": "Reject a plan. A policy rests, and asks again only once its trigger has been quiet; the run of an "
    "experiment, or a game day, ends as Aborted.",
    "pause": "Let a policy do nothing until it is resumed. An attempt under way is still verified.",
    "resume": "End a pause.",
    "run": "Run a step of a policy by hand, now: through the same gates, verified and on record like any other.",
}


def parser(command: str) -> Parser:
    """Make the parser of one of them."""
    made = Parser(
        prog=f"homeostat {command}",
        description=_SAYING[command],
        epilog="Exit code: 0 done, 1 refused, 2 when it could not be asked, "
        "3 when no operator has answered in time; what was asked stands on the object all the same.",
    )
    made.kinds["object"] = ("rp", "chaos", "gd") if command in ABOUT_PLANS else ("rp",)
    if command in ABOUT_PLANS:
        made.add_argument("object", metavar="KIND/NAME", help="rp/NAME, chaos/NAME or gd/NAME, whose plan it is")
    else:
        made.add_argument("object", metavar="rp/NAME", help="the RecoveryPolicy")
    add_namespace(made)
    if command in ABOUT_PLANS:
        made.add_argument("--plan", default="", metavar="HASH", help="the plan (default: shown, and asked for)")
    if command in {"pause", "run"}:
        made.add_argument("--reason", required=True, help="why, for whoever looks at it later")
    if command == "run":
        made.add_argument("--step", required=True, help="name or index of the step in spec.steps")
        made.add_argument(
            "--target",
            default="",
            metavar="NAME",
            help="which target of a selector (default: that in focus)",
        )
        made.add_argument(
            "--override", action="append", default=[], metavar="GATE", help="pass over a gate; may be given again"
        )
    made.add_argument(
        "--wait", type=float, default=10.0, metavar="SECONDS", help="how long to wait for the operator (default: 10)"
    )
    add_cluster(made)
    return made
