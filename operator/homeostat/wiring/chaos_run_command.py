"""`homeostat chaos run chaos/NAME`: asks for a run, and waits until it has begun, the fault is on, or all is over."""

import argparse
from collections.abc import Sequence
from uuid import uuid4

from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.api.meta import Kind
from homeostat.api.recovery import RUN
from homeostat.wiring.arguments import BadArguments, Parser
from homeostat.wiring.chaos_asking import ask, parser_of
from homeostat.wiring.consent_report import Answer
from homeostat.wiring.desk import Desk
from homeostat.wiring.run_report import BEGUN, FINISHED, INJECTED, obstacle_to_run, run_answer
from homeostat.wiring.streams import in_one_line

WAIT = {BEGUN: 10.0, INJECTED: 300.0, FINISHED: 3600.0}
"""How many seconds each is waited for by default."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return ask(_parser(), arguments, _run)


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


def _parser() -> Parser:
    parser = parser_of(
        "run",
        "Ask for a run of an experiment, or for a game day, and say what becomes of it.",
        "Exit code: 0 as it should be (begun; the fault is on; at the end Passed, or a dry run), 1 refused, or "
        "another verdict, 2 when it could not be asked, 3 when it did not come that far in time; the run goes on.",
    )
    parser.add_argument(
        "--wait-for",
        choices=tuple(WAIT),
        default=BEGUN,
        help="how far to wait: until the operator has begun it (default), the fault is on, or all is over",
    )
    parser.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="how long to wait (default: 10 until Begun, 300 until Injected, 3600 until Finished)",
    )
    return parser
