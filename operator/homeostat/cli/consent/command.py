"""`homeostat approve | reject | pause | resume rp/NAME` and `homeostat run rp/NAME --step STEP`: a human has the say.

Each writes annotations on the policy as whoever the kubeconfig is, and waits for what the operator makes of them: it
asks all its gates again. Plans of experiments and game days are approved and rejected likewise.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from homeostat.api.meta import Kind, format_precise_time
from homeostat.api.recovery import APPROVE, KIND, PAUSE, REJECT, RUN
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import kind_names
from homeostat.cli.chaos import run_report
from homeostat.cli.consent import report as consent_report
from homeostat.cli.desk import HAVE_RUNS, Answer, Desk, Result, ask, noun
from homeostat.cli.parsers.consent import ABOUT_PLANS, parser
from homeostat.cli.streams import in_one_line, print_out
from homeostat.engine.clock import SystemClock

LONGEST_REASON = 256
RUN_HOLDS = timedelta(minutes=5)
"""An operator that was down for longer leaves a run by hand alone."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is written on the object, and how its answer is read."""

    annotations: dict[str, str | None]
    read: Callable[[dict[str, Any]], Answer]


def is_by_hand(arguments: Sequence[str]) -> bool:
    """Whether `homeostat run` is told to run a step of a policy, and not the operator."""
    return any(one.partition("/")[0].lower() in kind_names(KIND) and "/" in one for one in arguments)


def main(command: str, arguments: Sequence[str]) -> int:
    """Run a command; give the exit code: 0 done, 1 refused, 2 could not be asked, 3 no answer in time."""
    kinds = (KIND, *HAVE_RUNS) if command in ABOUT_PLANS else (KIND,)
    return ask(parser(command), kinds, arguments, partial(_say, command))


async def _say(command: str, desk: Desk, kind: Kind, asked: argparse.Namespace) -> Answer:
    answer = await _answered(command, desk, kind, asked)
    return Answer(answer.result, in_one_line(answer.text))


async def _answered(command: str, desk: Desk, kind: Kind, asked: argparse.Namespace) -> Answer:
    body = await desk.read()
    asking = await _ask_about_plan(command, asked, kind, body) if command in ABOUT_PLANS else _ask(command, asked, body)
    if isinstance(asking, Answer):
        return asking
    await desk.write(body, asking.annotations)
    return await desk.answer(asking.read, body, asked.wait)


# --- what is asked --------------------------------------------------------------------------------------


def _ask(command: str, asked: argparse.Namespace, body: dict[str, Any]) -> Ask | Answer:
    """Say what is written on a policy."""
    if command == "pause":
        return _asking(command, {PAUSE: _reason(command, asked.reason)})
    if command == "resume":
        is_paused = PAUSE in (body["metadata"].get("annotations") or {})
        return _asking(command, {PAUSE: None}) if is_paused else Answer(Result.DONE, "it was not paused")
    wanted = {"id": f"run-{uuid4().hex[:12]}", "step": asked.step, "reason": _reason(command, asked.reason)}
    until = format_precise_time(SystemClock().now() + RUN_HOLDS)
    more = {"override": list(dict.fromkeys(asked.override)), "uid": body["metadata"]["uid"], "expires": until}
    named = {"target": asked.target} if asked.target else {}
    text = json.dumps({**wanted, **named, **more})
    return _asking(command, {RUN: text}, wanted["id"])


def _asking(command: str, annotations: dict[str, str | None], token: str = "") -> Ask:
    return Ask(annotations, lambda body: consent_report.answered(command, token, body))


async def _ask_about_plan(command: str, asked: argparse.Namespace, kind: Kind, body: dict[str, Any]) -> Ask | Answer:
    """Have the plan that stands named: by --plan, or at the terminal where it is shown."""
    report = consent_report if kind is KIND else run_report
    plan = report.awaiting(command, body, asked.plan)
    if isinstance(plan, Answer):
        return plan
    if not asked.plan and not await asyncio.to_thread(_confirmed, command, report.plan_text(body)):
        return Answer(Result.REFUSED, f"nothing was said to the {noun(kind)}")
    annotation = APPROVE if command == "approve" else REJECT
    return Ask({annotation: plan}, lambda after: report.answered(command, plan, after))


def _confirmed(command: str, shown: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadArguments(f"{command}: give --plan HASH, as there is no terminal to ask at")
    print_out(f"{shown}\n{command} this plan? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _reason(command: str, text: str) -> str:
    reason = in_one_line(text).strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise BadArguments(f"{command}: --reason must have 1 to {LONGEST_REASON} characters")
    return reason
