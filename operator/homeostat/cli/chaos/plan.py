"""`homeostat chaos plan chaos/NAME`: shows the plan in the status: targets, changes, undo. It asks for nothing."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from homeostat.api.meta import Kind
from homeostat.cli.chaos.run_report import standing, status_of
from homeostat.cli.desk import HAVE_RUNS, Answer, Body, Desk, Result, ask
from homeostat.cli.parsers.chaos_plan import HOW, parser
from homeostat.cli.streams import encoded, in_one_line


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return ask(parser(), HAVE_RUNS, arguments, _show)


async def _show(desk: Desk, _kind: Kind, asked: argparse.Namespace) -> Answer:
    body = await desk.read()
    plans = dict(plans_in(body))
    if asked.output != "text":
        return Answer(Result.DONE if plans else Result.REFUSED, encoded(plans, asked.output).rstrip("\n"))
    if not plans:
        return Answer(Result.REFUSED, in_one_line(f"there is no plan: {standing(status_of(body))}; {HOW}"))
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
