"""The routes of our API: pushed events, alerts to and fro in Alertmanager's form, and the status of objectives.

Who asks is asked for a token before anything is said about what there is.
"""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import web

from homeostat.api.objective import KIND
from homeostat.api.recovery import KIND as POLICY
from homeostat.core.objective.firing import FiringAlert
from homeostat.core.objective.pushing import Refused
from homeostat.core.recovery.alerting import Misread, alerts_in
from homeostat.ports import Attributes
from homeostat.rest.answers import JSON, Trouble, answer, away, trouble_of, trouble_of_access
from homeostat.rest.body import read_json
from homeostat.rest.desk import Desk, Shown

ENDS_AFTER = timedelta(minutes=4)
MOST_FILTERS, PIECE = 16, 1 << 16
BEGUN = web.RequestKey("BEGUN", bool)
"""Marks a request that is being answered piece by piece: it is too late for another answer."""
_MISREAD = {"InvalidAlert": HTTPStatus.UNPROCESSABLE_ENTITY, "TooManyAlerts": HTTPStatus.UNPROCESSABLE_ENTITY}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_FILTER = re.compile(r"""([a-zA-Z_][a-zA-Z0-9_]*)=("?)([^"]*)\2""")

Route = Callable[[web.Request, Desk], Awaitable[web.StreamResponse]]


async def push_events(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Count events: POST /api/v1/slo/{namespace}/{name}/events."""
    namespace, name = _objective(request)
    await _admit(request, desk, Attributes("create", KIND.plural, "events", namespace, name))
    refused = desk.refusal(namespace, name)
    if refused is not None:
        raise trouble_of(refused)
    body = await read_json(request)
    found = await desk.push(namespace, name, _key(request), body)
    if isinstance(found, Refused):
        raise trouble_of(found)
    return answer({"accepted": found.entries, "duplicate": found.is_duplicate})


async def list_alerts(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Give the alerts that fire: GET /api/v1/alerts."""
    namespace = _namespace(request)
    wanted = _filters(request)
    await _admit(request, desk, Attributes("list", KIND.plural, namespace=namespace))
    now = desk.now()
    found = await desk.alerts(namespace)
    return answer([gettable(alert, now) for alert in found if all(alert.has(*pair) for pair in wanted)])


async def tell_alerts(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Take what Alertmanager tells policies: POST /api/v1/alerts/{namespace}, its webhook in version 4."""
    namespace = request.match_info["namespace"]
    if not _NAME.fullmatch(namespace):
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidNamespace", "Nothing can be called so.")
    await _admit(request, desk, Attributes("create", POLICY.plural, "alerts", namespace))
    told = alerts_in(await read_json(request))
    if isinstance(told, Misread):
        raise Trouble(_MISREAD.get(told.reason, HTTPStatus.BAD_REQUEST), told.reason, told.message, index=told.index)
    concerned = await desk.tell(namespace, told)
    if concerned is None:
        raise away("NotRecorded", "Not all policies that this concerns have it on record yet: tell it again.")
    return answer({"accepted": len(told), "policies": concerned})


async def list_objectives(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Give the status of all objectives: GET /api/v1/slo. Written piece by piece, as they may be many."""
    namespace = _namespace(request)
    await _admit(request, desk, Attributes("list", KIND.plural, namespace=namespace))
    response = web.StreamResponse(headers={"Content-Type": f"{JSON}; charset=utf-8", "Cache-Control": "no-store"})
    request[BEGUN] = True
    await response.prepare(request)
    piece, comma = bytearray(b'{"items":['), b""
    async for one in desk.objectives(namespace):
        piece += comma + _shown(one)
        comma = b","
        if len(piece) >= PIECE:
            await response.write(bytes(piece))
            piece.clear()
    await response.write(bytes(piece + b"]}"))
    await response.write_eof()
    return response


async def show_objective(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Give the status of one objective: GET /api/v1/slo/{namespace}/{name}."""
    namespace, name = _objective(request)
    await _admit(request, desk, Attributes("get", KIND.plural, namespace=namespace, name=name))
    found = desk.objective(namespace, name)
    if found is None:
        raise _not_found()
    return web.Response(body=_shown(found), content_type=JSON, headers={"Cache-Control": "no-store"})


def gettable(alert: FiringAlert, now: datetime) -> dict[str, Any]:
    """Write an alert as Alertmanager's API gives it."""
    labels = dict(alert.labels)
    return {
        "labels": labels,
        "annotations": dict(alert.annotations),
        "startsAt": timestamp(alert.since),
        "endsAt": timestamp(max(now, alert.since) + ENDS_AFTER),
        "updatedAt": timestamp(now),
        "fingerprint": alert.fingerprint,
        "receivers": [],
        "status": {"state": "active", "inhibitedBy": [], "silencedBy": []},
    }


def timestamp(at: datetime) -> str:
    """Write a time as RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- the parts of a request -----------------------------------------------------------------------------


async def _admit(request: web.Request, desk: Desk, attributes: Attributes) -> None:
    """Let the bearer of a token in who may do this; raises Trouble for everybody else."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    refusal = await desk.access.check(token.strip() if scheme.lower() == "bearer" else "", attributes)
    if refusal is not None:
        raise trouble_of_access(refusal, attributes)


def _objective(request: web.Request) -> tuple[str, str]:
    """Give namespace and name. What can be no name is nobody's secret: nothing is called so."""
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
        raise _not_found()
    return namespace, name


def _namespace(request: web.Request) -> str:
    namespace = request.query.get("namespace", "")
    if namespace and not _NAME.fullmatch(namespace):
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidNamespace", "Nothing can be called so.")
    return namespace


def _key(request: web.Request) -> str:
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) > 1 or keys == [""]:
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidIdempotencyKey", "There must be one key, and not an empty one.")
    return keys[0] if keys else ""


def _filters(request: web.Request) -> list[tuple[str, str]]:
    """Give the labels and values that must all be there: `filter=severity="page"`, with or without quotes."""
    texts = request.query.getall("filter", [])
    found = [_FILTER.fullmatch(text) for text in texts]
    if len(texts) > MOST_FILTERS or None in found:
        told = f"A filter is label=value, and there are {MOST_FILTERS} at most."
        raise Trouble(HTTPStatus.BAD_REQUEST, "InvalidFilter", told)
    return [(match[1], match[3]) for match in found if match is not None]


def _shown(one: Shown) -> bytes:
    head = json.dumps({"namespace": one.namespace, "name": one.name, "service": one.service})
    return head[:-1].encode() + b',"status":' + one.status + b"}"


def _not_found() -> Trouble:
    return Trouble(HTTPStatus.NOT_FOUND, "NotFound", "There is no such ServiceLevelObjective.")
