"""`homeostat approve | reject | pause | resume rp/NAME` and `homeostat run rp/NAME --step STEP`: a human has the say.

Each writes annotations on the policy as whoever the kubeconfig is, and waits for what the operator makes of them: it
asks all its gates again. The name written beside them is the API server's own word for who asks.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from homeostat.api.meta import format_precise_time
from homeostat.api.recovery import APPROVE, BY, KIND, PAUSE, REJECT, RUN
from homeostat.engine.clock import SystemClock
from homeostat.kube.client import MERGE_PATCH, ApiClient, Patience
from homeostat.kube.credentials import Credentials
from homeostat.kube.kubeconfig import find_credentials
from homeostat.kube.resources import Resource, resource_of
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable
from homeostat.wiring.arguments import BadArguments, Parser
from homeostat.wiring.asked import add_cluster, explained, kind_names, name_of
from homeostat.wiring.consent_report import Answer, Result, answered, awaiting, plan_text
from homeostat.wiring.streams import complain, in_one_line, print_out

CODES = {Result.DONE: 0, Result.REFUSED: 1, Result.PENDING: 3}
FAILED = 2
PATIENCE = Patience(timeout=10.0, total=10.0)
"""Somebody waits at a terminal."""
POLL = 0.5  # seconds
LONGEST_REASON = 256
RUN_HOLDS = timedelta(minutes=5)
"""An operator that was down for longer leaves a run by hand alone."""
WHO_AM_I = Resource("authentication.k8s.io/v1", "selfsubjectreviews", is_namespaced=False)
ONE_SHOT = (APPROVE, REJECT, RUN)
"""Annotations that are heard once. A write clears those of others: the name beside them is of one person alone."""

_SAYING = {
    "approve": "Let a plan that awaits approval be carried out: this very plan, once, and only while it holds.",
    "reject": "Reject a plan: the policy rests, and asks again only once its trigger has been quiet.",
    "pause": "Let a policy do nothing until it is resumed. An attempt under way is still verified.",
    "resume": "End a pause.",
    "run": "Run a step of a policy by hand, now: through the same gates, verified and on record like any other.",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What is written on the policy, and by what its answer is known."""

    command: str
    annotations: dict[str, str | None]
    token: str = ""


def is_by_hand(arguments: Sequence[str]) -> bool:
    """Whether `homeostat run` is told to run a step of a policy, and not the operator."""
    return any(one.partition("/")[0].lower() in kind_names(KIND) and "/" in one for one in arguments)


def main(command: str, arguments: Sequence[str]) -> int:
    """Run a command; give the exit code: 0 done, 1 refused, 2 could not be asked, 3 no answer in time."""
    try:
        asked = _parser(command).parse_args(arguments)
        name = name_of(asked.policy, KIND, command)
        credentials = find_credentials(os.environ, kubeconfig=asked.kubeconfig, context=asked.context)
        answer = asyncio.run(_say(command, asked, credentials, asked.namespace or credentials.namespace, name))
    except (BadArguments, Unavailable, Forbidden, Gone, Rejected, Conflict) as error:
        complain([_explained(command, error)])
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return CODES[answer.result] if print_out(f"{in_one_line(answer.text)}\n") else FAILED


async def _say(command: str, asked: argparse.Namespace, credentials: Credentials, namespace: str, name: str) -> Answer:
    async with ApiClient(credentials, patience=PATIENCE) as client:
        desk = Desk(client, namespace, name)
        body = await desk.read()
        ask = await _ask(command, asked, body)
        if isinstance(ask, Answer):
            return ask
        await desk.write(body, ask)
        return await desk.answer(ask, body, asked.wait)


class Desk:
    """One policy, read and written as whoever asks."""

    def __init__(self, client: ApiClient, namespace: str, name: str) -> None:
        self._client = client
        self._path = resource_of(KIND).path(namespace, name)

    async def read(self) -> dict[str, Any]:
        """Read it, as the quorum has it."""
        return await self._client.request("GET", self._path)

    async def write(self, body: dict[str, Any], ask: Ask) -> None:
        """Write the annotations on the object that was read, whoever else has written it since."""
        annotations = dict.fromkeys(ONE_SHOT) | ask.annotations | {BY: await self._who_am_i()}
        metadata = {"uid": body["metadata"]["uid"], "annotations": annotations}
        await self._client.request("PATCH", self._path, body={"metadata": metadata}, content_type=MERGE_PATCH)

    async def _who_am_i(self) -> str | None:
        """Ask the API server for the name that it knows us by; without it, the operator shows the program's."""
        review = {"apiVersion": WHO_AM_I.api_version, "kind": "SelfSubjectReview"}
        try:
            answer = await self._client.request("POST", WHO_AM_I.path(), body=review)
        except (Forbidden, Gone, Rejected):
            complain(["the API server does not say who you are: you will be shown as not verified"])
            return None
        user = (answer.get("status") or {}).get("userInfo") or {}
        return str(user.get("username", "")) or None

    async def answer(self, ask: Ask, before: dict[str, Any], seconds: float) -> Answer:
        """Wait until the operator has answered, or time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            body = await self.read()
            if body["metadata"]["uid"] != before["metadata"]["uid"]:
                return Answer(Result.REFUSED, "the policy was replaced by another of the same name")
            answer = answered(ask.command, ask.token, body)
            if answer.result is not Result.PENDING or loop.time() >= until:
                return answer
            await asyncio.sleep(POLL)


# --- what is asked --------------------------------------------------------------------------------------


async def _ask(command: str, asked: argparse.Namespace, body: dict[str, Any]) -> Ask | Answer:
    if command in {"approve", "reject"}:
        return await _ask_about_plan(command, asked, body)
    if command == "pause":
        return Ask(command, {PAUSE: _reason(command, asked.reason)})
    if command == "resume":
        is_paused = PAUSE in (body["metadata"].get("annotations") or {})
        return Ask(command, {PAUSE: None}) if is_paused else Answer(Result.DONE, "it was not paused")
    wanted = {"id": f"run-{uuid4().hex[:12]}", "step": asked.step, "reason": _reason(command, asked.reason)}
    until = format_precise_time(SystemClock().now() + RUN_HOLDS)
    more = {"override": list(dict.fromkeys(asked.override)), "uid": body["metadata"]["uid"], "expires": until}
    named = {"target": asked.target} if asked.target else {}
    text = json.dumps({**wanted, **named, **more})
    return Ask(command, {RUN: text}, wanted["id"])


async def _ask_about_plan(command: str, asked: argparse.Namespace, body: dict[str, Any]) -> Ask | Answer:
    """Have the plan that stands named: by --plan, or at the terminal where it is shown."""
    plan = awaiting(command, body, asked.plan)
    if isinstance(plan, Answer):
        return plan
    if not asked.plan and not await asyncio.to_thread(_confirmed, command, plan_text(body)):
        return Answer(Result.REFUSED, "nothing was said to the policy")
    annotation = APPROVE if command == "approve" else REJECT
    return Ask(command, {annotation: plan}, plan)


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


def _explained(command: str, error: Exception) -> str:
    """Say in one line what went wrong, and where there is a common cause, which."""
    if isinstance(error, (Rejected, Conflict)):
        return f"the API server refused: {' '.join(str(error).split())}"
    when_gone = "is there such a policy in this namespace, and are the CRDs of homeostat installed?"
    when_forbidden = f"to {command} takes the rights to get and patch recoverypolicies there. Try -n NAMESPACE"
    return explained(error, when_gone=when_gone, when_forbidden=when_forbidden)


def _parser(command: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"homeostat {command}",
        description=_SAYING[command],
        epilog="Exit code: 0 done, 1 refused by the policy, 2 when it could not be asked, "
        "3 when no operator has answered in time; what was asked stands on the policy all the same.",
    )
    parser.add_argument("policy", metavar="rp/NAME", help="the RecoveryPolicy")
    parser.add_argument("-n", "--namespace", default="", help="namespace (default: that of the context)")
    if command in {"approve", "reject"}:
        parser.add_argument("--plan", default="", metavar="HASH", help="the plan (default: shown, and asked for)")
    if command in {"pause", "run"}:
        parser.add_argument("--reason", required=True, help="why, for whoever looks at it later")
    if command == "run":
        parser.add_argument("--step", required=True, help="name or index of the step in spec.steps")
        parser.add_argument(
            "--target",
            default="",
            metavar="NAME",
            help="which target of a selector (default: that in focus)",
        )
        parser.add_argument(
            "--override", action="append", default=[], metavar="GATE", help="pass over a gate; may be given again"
        )
    parser.add_argument(
        "--wait", type=float, default=10.0, metavar="SECONDS", help="how long to wait for the operator (default: 10)"
    )
    add_cluster(parser)
    return parser
