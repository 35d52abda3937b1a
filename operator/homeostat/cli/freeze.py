"""`homeostat freeze`, `freeze list` and `freeze lift`: stop experiments and recoveries by hand, and let them go on."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import credentials_of, is_name
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.freeze import STOPS, parser
from homeostat.cli.showing import show
from homeostat.cli.streams import complain, in_one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import RenderableType

    from homeostat.kube.apiserver.client import ApiClient

DONE, NOT_SO = 0, 1
POLL = 0.5  # seconds
_GONE = "are the CRDs of homeostat installed?"
_FORBIDDEN = "a Freeze is cluster-scoped: whoever makes, reads or lifts one needs that right in the cluster"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 done, 1 not so, 2 when it could not be asked."""
    first = arguments[0] if arguments else ""
    command = first if first in {"list", "lift"} else ""
    rest = list(arguments)[1 if command else 0 :]
    try:
        return carry_out(
            parser(command),
            rest,
            lambda asked: asyncio.run(_run(command, asked)),
            when_gone=_GONE,
            when_forbidden=_FORBIDDEN,
        )
    except KeyboardInterrupt:
        complain(["freeze: interrupted: see `homeostat freeze list`"])
        return FAILED


async def _run(command: str, asked: "Namespace") -> int:
    from homeostat.cli.desk import PATIENCE  # noqa: PLC0415
    from homeostat.engine.clock import SystemClock  # noqa: PLC0415 - not for --help
    from homeostat.kube.apiserver.client import ApiClient  # noqa: PLC0415

    async with ApiClient(credentials_of(asked), patience=PATIENCE) as client:
        now = SystemClock().now()
        if command == "list":
            return await _list(client, asked.output, now)
        if command == "lift":
            return await _lift(client, asked.names, asked.output)
        return await _freeze(client, asked, now)


# --- freeze ---------------------------------------------------------------------------------------------


async def _freeze(client: "ApiClient", asked: "Namespace", now: datetime) -> int:
    from homeostat.api.freeze import KIND  # noqa: PLC0415 - not for --help
    from homeostat.kube.apiserver.resources import resource_of  # noqa: PLC0415
    from homeostat.ports import Conflict  # noqa: PLC0415

    try:
        made = await client.request("POST", resource_of(KIND).path(), body=manifest(asked, now))
    except Conflict:
        called = repr(asked.name) if asked.name else "of this second"
        raise BadArguments(f"freeze: there is a freeze {called} already") from None
    found, is_seen_out = await _engaged(client, made, asked.timeout)
    told = _told(found, now)
    if not show(told, asked.output, lambda: in_words(told, is_seen_out=is_seen_out)):
        return FAILED
    if told["engaged"]:
        return DONE
    complain([
        "freeze: no operator has said that it holds: does it run, and does it see the whole cluster? `homeostat doctor`"
    ])  # fmt: skip
    return NOT_SO


def manifest(asked: "Namespace", now: datetime) -> dict[str, Any]:
    """Make the Freeze that was asked for."""
    from homeostat.api.freeze import KIND  # noqa: PLC0415 - not for --help
    from homeostat.api.meta import API_VERSION, format_time, parse_duration  # noqa: PLC0415

    spec: dict[str, Any] = {
        "stops": [STOPS[one] for one in dict.fromkeys(asked.stops or STOPS)],
        "reason": asked.reason,
    }
    if asked.length:
        try:
            spec["until"] = format_time(now + parse_duration(asked.length))
        except OverflowError:
            raise BadArguments(f"freeze: --for {asked.length}: that is too long") from None
    if asked.namespaces:
        spec["namespaces"] = list(dict.fromkeys(asked.namespaces))
    name = asked.name or f"freeze-{now.astimezone(UTC):%Y%m%d-%H%M%S}"
    return {"apiVersion": API_VERSION, "kind": KIND.kind, "metadata": {"name": name}, "spec": spec}


async def _engaged(client: "ApiClient", made: Mapping[str, Any], seconds: float) -> tuple[Mapping[str, Any], bool]:
    """Wait until the operator says that it holds, or time is over; give the freeze as it is then.

    It says so before it has looked at what it stops: it is asked once more, for the record of that. Whether there was
    time for it is given too. The freeze is made: an API server that does not answer now takes nothing of that back.
    """
    from homeostat.api.freeze import KIND  # noqa: PLC0415 - not for --help
    from homeostat.core.freeze import LOOK_AGAIN  # noqa: PLC0415
    from homeostat.kube.apiserver.resources import resource_of  # noqa: PLC0415
    from homeostat.ports import Forbidden, Gone, Rejected, Unavailable  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    path, until = resource_of(KIND).path("", made["metadata"]["name"]), loop.time() + seconds
    found, engaged_at = made, 0.0
    while loop.time() < until:
        await asyncio.sleep(POLL)
        try:
            found = await client.request("GET", path)
        except Gone:
            raise BadArguments(f"freeze: somebody lifted {made['metadata']['name']!r} at once") from None
        except (Unavailable, Forbidden, Rejected) as error:
            complain([f"freeze: it is made, and cannot be looked at: {error}"])
            return found, False
        status = found.get("status") or {}
        engaged_at = engaged_at or (loop.time() if status.get("engaged") else 0.0)
        if status.get("stopped") or (engaged_at and loop.time() - engaged_at > LOOK_AGAIN.total_seconds() + POLL):
            return found, True
    return found, False


# --- list, lift -----------------------------------------------------------------------------------------


async def _list(client: "ApiClient", output: str, now: datetime) -> int:
    from homeostat.api.freeze import KIND  # noqa: PLC0415 - not for --help
    from homeostat.kube.objects import ApiObjects  # noqa: PLC0415

    found = {body["metadata"]["name"]: _told(body, now) async for body in ApiObjects(client).list(KIND)}
    rows = [found[name] for name in sorted(found, key=lambda name: (found[name]["over"], name))]
    return DONE if show(rows, output, lambda: as_table(rows)) else FAILED


async def _lift(client: "ApiClient", names: Sequence[str], output: str) -> int:
    from homeostat.api.freeze import KIND  # noqa: PLC0415 - not for --help
    from homeostat.kube.apiserver.resources import resource_of  # noqa: PLC0415
    from homeostat.ports import Gone  # noqa: PLC0415

    meant = list(dict.fromkeys(one.removeprefix("freeze/") for one in names))
    for name in meant:  # before the first is lifted: the path of no name is that of all freezes
        if not is_name(name):
            raise BadArguments(f"freeze lift: {name!r} is no name of a freeze; nothing is lifted")
    lifted, missing = [], []
    for name in meant:
        try:
            await client.request("DELETE", resource_of(KIND).path("", name))
            lifted.append(name)
        except Gone:
            missing.append(name)
    told = {"lifted": lifted, "missing": missing}
    is_told = show(told, output, lambda: "".join(f"{in_one_line(one)} is lifted\n" for one in lifted))
    complain(f"freeze: there is no freeze {one!r}: see `homeostat freeze list`" for one in missing)
    if not is_told:
        return FAILED
    return NOT_SO if missing else DONE


# --- how it is shown ------------------------------------------------------------------------------------


def _told(body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    from homeostat.cli.status.objects import freeze_of  # noqa: PLC0415 - not for --help

    found = freeze_of(body, now)
    if found is not None:
        return found | {"over": False}
    ended = freeze_of(body, datetime.min.replace(tzinfo=UTC)) or {}
    return ended | {"over": True}


def in_words(told: Mapping[str, Any], *, is_seen_out: bool) -> str:
    """Say what a freeze does; `is_seen_out`: the operator has had the time to say what it stopped."""
    where = ", ".join(told["namespaces"]) or "the whole cluster"
    until = told["until"] or "it is lifted"
    state = "holds" if told["engaged"] else "stands"
    lines = [
        f"{told['name']} {state}: no {' and no '.join(one.lower() for one in told['stops'])} in {where} until {until}",
        *(f"  stopped: {one}" for one in told["stopped"]),
        *(_none_stopped(is_seen_out) if told["engaged"] and not told["stopped"] else []),
        f"end it with `homeostat freeze lift {told['name']}`",
    ]
    return "\n".join(map(in_one_line, lines)) + "\n"


def _none_stopped(is_seen_out: bool) -> list[str]:  # noqa: FBT001 - the one thing that it is about
    told = "nothing was under way" if is_seen_out else "what it stopped is not known yet: `homeostat freeze list`"
    return [f"  {told}"]


def as_table(rows: Sequence[Mapping[str, Any]]) -> "RenderableType":
    """Draw a line for each, those in force first."""
    from rich.table import Table  # noqa: PLC0415 - only what is drawn needs it

    if not rows:
        return "there is no freeze"
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for head in ("NAME", "STATE", "STOPS", "WHERE", "UNTIL", "STOPPED", "REASON"):
        table.add_column(head, overflow="fold", no_wrap=head in {"STATE", "UNTIL"})
    for row in rows:
        state = "over" if row["over"] else "holds" if row["engaged"] else "not engaged"
        cells = (
            row["name"], state, ", ".join(row["stops"]), ", ".join(row["namespaces"]) or "the whole cluster",
            row["until"] or "lifted", str(len(row["stopped"])), row["reason"],
        )  # fmt: skip
        table.add_row(*map(in_one_line, cells), style="dim" if row["over"] else "" if row["engaged"] else "yellow")
    return table
