"""`homeostat chaos plan chaos/NAME`: shows the plan in the status: targets, changes, undo. It asks for nothing."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from homeostat.api.meta import Kind
from homeostat.wiring.arguments import Parser
from homeostat.wiring.chaos_asking import ask, parser_of
from homeostat.wiring.consent_report import Answer, Result
from homeostat.wiring.desk import Body, Desk
from homeostat.wiring.run_report import standing, status_of
from homeostat.wiring.streams import in_one_line

_HOW = "a dry run makes one: set spec.dryRun: true and ask for a run"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return ask(_parser(), arguments, _show)


async def _show(desk: Desk, _kind: Kind, asked: argparse.Namespace) -> Answer:
    body = await desk.read()
    plans = dict(plans_in(body))
    if asked.output == "json":
        return Answer(Result.DONE if plans else Result.REFUSED, json.dumps(plans, indent=2))
    if not plans:
        return Answer(Result.REFUSED, in_one_line(f"there is no plan: {standing(status_of(body))}; {_HOW}"))
    return Answer(Result.DONE, "\n".join(map(in_one_line, _lines(body, plans))))


def plans_in(body: Body) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each plan of the status, by the name of the experiment, or of the step of the game day."""
    status = status_of(body)
    if status.get("plan"):
        yield str(body["metadata"]["name"]), status["plan"]
    for step in status.get("steps") or ():
        if step.get("plan"):
            yield str(step.get("name")), step["plan"]


def _lines(body: Body, plans: dict[str, dict[str, Any]]) -> Iterator[str]:
    status = status_of(body)
    yield f"run {status.get('runNumber')}, {standing(status)}"
    for name, plan in plans.items():
        yield f"{name}:"
        yield from (f"  target  {one}" for one in plan.get("targets") or ())
        yield from (f"  change  {one}" for one in plan.get("changes") or ())
        yield from (f"  undo    {one}" for one in plan.get("undo") or ())
    for step in status.get("steps") or ():
        if not step.get("plan") and step.get("reason"):
            yield f"{step.get('name')}: no plan, {standing(step)}"


def _parser() -> Parser:
    parser = parser_of(
        "plan",
        f"Show the plan of the last run, or dry run: exact targets, changes and undo. It asks for nothing; {_HOW}.",
        "Exit code: 0, 1 when there is no plan, 2 when it could not be read.",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="as text, or as JSON")
    return parser
