"""One object, read and written as whoever the kubeconfig is: how a human asks the operator for something, and waits.

What is asked stands in annotations. The name written beside them is the API server's own word for who asks.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from homeostat.api.chaos import ABORT
from homeostat.api.chaos import KIND as EXPERIMENT
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.api.meta import Kind
from homeostat.api.recovery import APPROVE, BY, REJECT, RUN
from homeostat.cli.arguments import CommandError, Parser
from homeostat.cli.asked import explained, kind_and_name, place_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.streams import complain, print_out
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient, Patience
from homeostat.kube.apiserver.resources import Resource, resource_of
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable


class Result(Enum):
    """What became of what was asked."""

    DONE = auto()
    REFUSED = auto()
    PENDING = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of what was asked, and a line to print."""

    result: Result
    text: str


CODES = {Result.DONE: 0, Result.REFUSED: 1, Result.PENDING: 3}
HAVE_RUNS = (EXPERIMENT, GAME_DAY)
PATIENCE = Patience(timeout=10.0, total=10.0)
"""Somebody waits at a terminal."""
POLL = 0.5  # seconds
WHO_AM_I = Resource("authentication.k8s.io/v1", "selfsubjectreviews", is_namespaced=False)
ONE_SHOT = (APPROVE, REJECT, RUN, ABORT)
"""Annotations that are heard once. A write clears those of others: the name beside them is of one person alone."""
_NOUNS = {"RecoveryPolicy": "policy", "ChaosExperiment": "experiment", "GameDay": "game day"}

Body = dict[str, Any]


class Desk:
    """One object, read and written as whoever asks."""

    def __init__(self, client: ApiClient, kind: Kind, namespace: str, name: str) -> None:
        self._client = client
        self._path = resource_of(kind).path(namespace, name)
        self._noun = noun(kind)

    async def read(self) -> Body:
        """Read it, as the quorum has it."""
        return await self._client.request("GET", self._path)

    async def write(self, body: Body, annotations: Mapping[str, str | None]) -> None:
        """Write the annotations on the object that was read, whoever else has written it since."""
        all_of_them = {**dict.fromkeys(ONE_SHOT), **annotations, BY: await self._who_am_i()}
        metadata = {"uid": body["metadata"]["uid"], "annotations": all_of_them}
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

    async def answer(self, read: Callable[[Body], Answer], before: Body, seconds: float) -> Answer:
        """Wait until the operator has answered, as `read` has it from the object, or time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            body = await self.read()
            if body["metadata"]["uid"] != before["metadata"]["uid"]:
                return Answer(Result.REFUSED, f"the {self._noun} was replaced by another of the same name")
            answer = read(body)
            if answer.result is not Result.PENDING or loop.time() >= until:
                return answer
            await asyncio.sleep(POLL)


Work = Callable[[Desk, Kind, argparse.Namespace], Awaitable[Answer]]


def ask(parser: Parser, kinds: Sequence[Kind], arguments: Sequence[str], work: Work) -> int:
    """Do `work` on the object that the arguments name, of the first of the kinds where they name none.

    Gives the exit code: 0 done, 1 refused or not as it should be, 2 could not be asked, 3 no answer in time.
    """

    def work_on(asked: argparse.Namespace) -> int:
        kind, name = kind_and_name(asked.object, kinds, parser.command)
        try:
            answer = asyncio.run(_at_desk(asked, kind, name, work))
        except (Unavailable, Forbidden, Gone, Rejected, Conflict) as error:
            raise CommandError(what_went_wrong(parser.command, kind, error)) from error
        return CODES[answer.result] if print_out(f"{answer.text}\n") else FAILED

    return carry_out(parser, arguments, work_on)


async def _at_desk(asked: argparse.Namespace, kind: Kind, name: str, work: Work) -> Answer:
    credentials, namespace = place_of(asked)
    async with ApiClient(credentials, patience=PATIENCE) as client:
        return await work(Desk(client, kind, namespace, name), kind, asked)


def noun(kind: Kind) -> str:
    """Give what a human calls such an object."""
    return _NOUNS[kind.kind]


def what_went_wrong(command: str, kind: Kind, error: Exception) -> str:
    """Say in one line what went wrong, and where there is a common cause, which."""
    article = "an" if noun(kind)[0] in "aeiou" else "a"
    when_gone = f"is there such {article} {noun(kind)} in this namespace, and are the CRDs of homeostat installed?"
    when_forbidden = f"to {command} takes the rights to get and patch {kind.plural} there. Try -n NAMESPACE"
    return explained(error, when_gone=when_gone, when_forbidden=when_forbidden)
