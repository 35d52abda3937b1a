"""`homeostat chaos run chaos/NAME`: asks for a run, and waits until it has begun, the fault is on, or all is over."""

import argparse
from collections.abc import Sequence
from uuid import uuid4

from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.api.meta import Kind
from homeostat.api.recovery import RUN
from homeostat.cli.arguments import BadArguments
from homeostat.cli.chaos.run_report import obstacle_to_run, run_answer
from homeostat.cli.desk import HAVE_RUNS, Answer, Desk, ask
from homeostat.cli.parsers.chaos_run import INJECTED, WAIT, parser
from homeostat.cli.streams import in_one_line


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return ask(parser(), HAVE_RUNS, arguments, _run)


async def _run(desk: Desk, kind: Kind, asked: argparse.Namespace) -> Answer:
    how_far, token = asked.wait_for, f"run-{uuid4().hex[:12]}"
    if kind is GAME_DAY and how_far == INJECTED:
        raise BadArguments("chaos run: a game day has several faults: wait for Begun or Finished")
    body = await desk.read()
    obstacle = obstacle_to_run(body)
    if obstacle is not None:
        return _in_one_line(obstacle)
    await desk.write(body, {RUN: token})
    seconds = WAIT[how_far] if asked.wait is None else asked.wait
    return _in_one_line(await desk.answer(lambda after: run_answer(token, how_far, after), body, seconds))


def _in_one_line(answer: Answer) -> Answer:
    return Answer(answer.result, in_one_line(answer.text))
