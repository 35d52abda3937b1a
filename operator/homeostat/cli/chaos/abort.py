"""`homeostat chaos abort chaos/NAME`: ends the run under way, and waits until its fault is off."""

import argparse
from collections.abc import Sequence
from uuid import uuid4

from homeostat.api.chaos import ABORT
from homeostat.api.meta import Kind
from homeostat.cli.chaos.run_report import abort_answer, obstacle_to_abort
from homeostat.cli.desk import HAVE_RUNS, Answer, Desk, ask
from homeostat.cli.parsers.chaos_abort import parser
from homeostat.cli.streams import in_one_line


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return ask(parser(), HAVE_RUNS, arguments, _abort)


async def _abort(desk: Desk, _kind: Kind, asked: argparse.Namespace) -> Answer:
    body, token = await desk.read(), f"abort-{uuid4().hex[:12]}"
    answer = obstacle_to_abort(body)
    if answer is None:
        await desk.write(body, {ABORT: token})  # which takes back a run that was asked for as well
        answer = await desk.answer(lambda after: abort_answer(token, body, after), body, asked.wait)
    return Answer(answer.result, in_one_line(answer.text))
