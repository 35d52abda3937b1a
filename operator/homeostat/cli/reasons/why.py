"""`homeostat why KIND/NAME`: why an object is as it is, and why nothing more was done. Nothing is written."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from homeostat.api import chaos, gameday, health_check, objective, recovery
from homeostat.api.meta import Kind, format_time
from homeostat.cli import desk
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import kind_and_name, place_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.why import parser
from homeostat.cli.past import STORE_URL, store_url
from homeostat.cli.reasons.why_report import as_data, lines, why
from homeostat.cli.showing import show
from homeostat.cli.silence import silence
from homeostat.cli.streams import complain, in_one_line
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Forbidden, Gone, HistoryUnavailable, Rejected, Unavailable

KINDS: tuple[Kind, ...] = (recovery.KIND, chaos.KIND, gameday.KIND, objective.KIND, health_check.KIND)
BLOCKED = 1
MOST_EVENTS, MOST_DECISIONS = 10, 10
GONE = "is there such an object in this namespace, and are the CRDs of homeostat installed?"
FORBIDDEN = "is it the right namespace? Try -n NAMESPACE"

Past = list[tuple[str, str]]


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 nothing stands against it, 1 something does, 2 there is no answer."""
    return carry_out(parser(), arguments, _run, when_gone=GONE, when_forbidden=FORBIDDEN)


def _run(asked: argparse.Namespace) -> int:
    kind, name = kind_and_name(asked.object, KINDS, "why")
    body, past = asyncio.run(read(asked, kind, name))
    past += _decided(asked, kind, body)
    told = why(kind.kind, kind.short_names[0], body, SystemClock().now(), past)
    if not show(as_data(told), asked.output, lambda: "\n".join(lines(told))):
        return FAILED
    return BLOCKED if told.is_blocked else 0


async def read(asked: argparse.Namespace, kind: Kind, name: str) -> tuple[dict[str, Any], Past]:
    """Read the object, and its events where one may. Raises what the ports raise."""
    credentials, namespace = place_of(asked)
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        body = await ApiObjects(client).get(kind, namespace, name)
        silent = await silence(client, namespace, SystemClock())
        if silent:
            complain([f"{silent}: what follows is as it was then"], "note: ")
        uid = body["metadata"]["uid"]
        try:
            found = await client.request(
                "GET", f"/api/v1/namespaces/{namespace}/events", query={"fieldSelector": f"involvedObject.uid={uid}"}
            )
        except (Forbidden, Gone, Rejected, Unavailable) as error:
            complain([f"events are not shown: {' '.join(str(error).split())}"], "note: ")
            return body, []
    return body, sorted(_events(found.get("items") or ()), reverse=True)[:MOST_EVENTS]


def _events(items: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for one in items:
        series = one.get("series") or {}
        at = series.get("lastObservedTime") or one.get("lastTimestamp") or one.get("eventTime") or ""
        told = str(at).partition(".")[0].rstrip("Z")
        yield f"{told}Z", in_one_line(f"event {one.get('reason')}: {one.get('message', '')}")


def _decided(asked: argparse.Namespace, kind: Kind, body: dict[str, Any]) -> Past:
    """Read past decisions of a policy from the history store, where one was named or is at hand."""
    if kind is not recovery.KIND or asked.store_url == STORE_URL:
        return []
    # The database is imported only for those who have one at hand.
    from homeostat.store import reading  # noqa: PLC0415
    from homeostat.store.opening import open_reader, translated  # noqa: PLC0415

    try:
        engine = open_reader(store_url(asked.store_url))
        try:
            with translated(), engine.connect() as connection:
                found = reading.decisions(connection, body["metadata"]["uid"], MOST_DECISIONS)
        finally:
            engine.dispose()
    except (HistoryUnavailable, BadArguments) as error:
        complain([f"past decisions are not shown: {error}"], "note: ")
        return []
    return [(format_time(one.at), f"decided: {one.verdict}{f': {one.reason}' if one.reason else ''}") for one in found]
