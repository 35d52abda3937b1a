"""Our API over real HTTP: what it takes, what it gives, whom it lets in, and what it does to those who mean it ill."""

import asyncio
import gzip
import io
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contract.certificates import AUTHORITY, EXPIRED, GOOD, KEY
from contract.hostile_client import resident
from fakes import NOON, FakeClock, FakeHistory, eventually
from homeostat.api.objective_status import Alert, AlertType, ServiceLevelObjectiveStatus, Severity
from homeostat.core.history.records import Retention
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.desk import desk_of
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.ports import Attributes, History, Refusal
from homeostat.rest import body as body_module
from homeostat.rest import server as server_module
from homeostat.rest.certificate import ServerCertificate
from homeostat.rest.desk import Desk, NotServing
from homeostat.rest.server import serving_api
from homeostat.store.history import SqlHistory
from pushed import KIND, FakeAccess, NotingBooks, events, ingesting, objective_body, store_of

EVENTS = "/api/v1/slo/shop/web/events"
GOOD_TOKEN = {"Authorization": "Bearer good"}
RESOURCE = "servicelevelobjectives"


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def reason(self) -> tuple[int, str]:
        return self.status, self.error["reason"]


@dataclass(slots=True)
class Api:
    """The API as a client sees it, and what is behind it."""

    port: int
    store: ObjectStore
    books: NotingBooks
    access: FakeAccess
    inbox: AlertInbox
    woken: list[Key]
    counted: list[tuple[str, str]] = field(default_factory=list)
    standing: NotServing | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, method: str, path: str, headers: Any = GOOD_TOKEN, **options: Any) -> Answer:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers, **options) as response,
        ):
            return Answer(response.status, dict(response.headers), await response.text())

    async def push(self, body: Any, key: str = "", path: str = EVENTS) -> Answer:
        return await self.ask("POST", path, GOOD_TOKEN | ({"Idempotency-Key": key} if key else {}), json=body)

    async def raw(self, sent: bytes) -> bytes:
        """Send bytes, give all that comes back until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@asynccontextmanager
async def api_of(
    *bodies: dict[str, Any], history: History | None = None, clock: FakeClock | None = None
) -> AsyncIterator[Api]:
    """Serve an API on loopback."""
    store, books, access, clock = store_of(*bodies), NotingBooks(), FakeAccess(), clock or FakeClock()
    async with ingesting(store, books, history, clock) as ingest:
        woken: list[Key] = []
        inbox = AlertInbox(store, clock, woken.append)
        desk = desk_of(store, ingest, AlertBook(store), access, clock, inbox)
        api = Api(0, store, books, access, inbox, woken)

        def serve() -> Desk | NotServing:
            return api.standing or desk

        async with serving_api("127.0.0.1", 0, serve, count=lambda *told: api.counted.append(told)) as port:
            api.port = port
            yield api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """An API with one objective, shop/web, that events are pushed to."""
    async with api_of(objective_body()) as serving:
        yield serving


# --- pushed events ------------------------------------------------------------------------------------------


async def test_events_are_counted_and_acknowledged(api: Api) -> None:
    answer = await api.push(events((120, 3), (5, 0)), key="deploy-1")

    assert (answer.status, answer.json) == (200, {"accepted": 2, "duplicate": False})
    assert answer.headers["Content-Type"].startswith("application/json")
    assert api.books.events() == 128
    assert api.access.asked == [Attributes("create", RESOURCE, "events", "shop", "web")]


async def test_a_repeated_key_is_a_duplicate_wherever_it_stands(api: Api) -> None:
    await api.push(events((1, 0)), key="k")
    for again in (
        api.push(events((1, 0)), key="k"),
        api.push(events((9, 9), key="k")),
        api.push(events((2, 0)), key="k"),
    ):
        answer = await again
        assert (answer.status, answer.json) == (200, {"accepted": 0, "duplicate": True})

    assert api.books.events() == 1


async def test_the_same_request_many_times_at_once_counts_once(api: Api) -> None:
    answers = await asyncio.gather(*(api.push(events((1, 0)), key="k") for _ in range(20)))

    assert sorted(answer.json["duplicate"] for answer in answers) == [False] + [True] * 19
    assert api.books.events() == 1


async def test_a_bad_entry_is_named_and_nothing_is_counted(api: Api) -> None:
    answer = await api.push({"events": [{"good": 1}, {"good": 1, "at": "2026-11-22T12:00:00Z"}]})

    assert answer.reason == (422, "TimeOutOfReach")
    assert answer.error["index"] == 1
    assert api.books.events() == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"events": []}, (400, "InvalidBody")),
        ([1], (400, "InvalidBody")),
        ({"events": [{"good": 1}], "key": ""}, (400, "InvalidIdempotencyKey")),
        ({"events": [{"good": 1}], "key": "x" * 129}, (400, "InvalidIdempotencyKey")),
        ({"events": [{"good": 1}] * 1001}, (422, "TooManyEntries")),
        ({"events": [{"good": -1}]}, (422, "InvalidCount")),
        ({"events": [{"good": 1, "labels": {"x": "y"}}]}, (422, "LabelsDiffer")),
        ({"events": [{"good": 1, "at": "2026-11-21T05:00:00Z"}]}, (422, "TimeOutOfReach")),
    ],
)
async def test_what_cannot_be_counted_is_refused_with_its_reason(
    api: Api, body: Any, expected: tuple[int, str]
) -> None:
    answer = await api.push(body)

    assert answer.reason == expected
    assert set(answer.json) == {"error"}
    assert set(answer.error) <= {"reason", "message", "index"}
    assert api.books.events() == 0


async def test_groups_are_bounded() -> None:
    body = {"events": [{"good": 1, "labels": {"region": f"r{number}"}} for number in range(65)]}
    async with api_of(objective_body("web", "region")) as api:
        answer = await api.push(body)

    assert answer.reason == (422, "TooManyGroups")
    assert answer.error["index"] == 64


async def test_objectives_that_take_no_events_say_so() -> None:
    checked = objective_body("checked", indicator={"healthCheck": {"name": "web"}})
    async with api_of(checked, objective_body("broken", spec={"objective": "many"})) as api:
        assert (await api.push(events((1, 0)), path="/api/v1/slo/shop/checked/events")).reason == (409, "NotPushedTo")
        assert (await api.push(events((1, 0)), path="/api/v1/slo/shop/broken/events")).reason == (409, "NotAccepted")
        assert (await api.push(events((1, 0)), path="/api/v1/slo/shop/nobody/events")).reason == (404, "NotFound")
        assert (await api.push(events((1, 0)), path="/api/v1/slo/bank/checked/events")).reason == (404, "NotFound")
        assert (await api.push(events((1, 0)), path="/api/v1/slo/Shop/%00/events")).reason == (404, "NotFound")


async def test_while_the_store_is_away_clients_are_told_to_come_back() -> None:
    history = FakeHistory()
    history.is_down = True
    async with api_of(objective_body(), history=history) as api:
        answer = await api.push(events((1, 0)), key="k")

    assert answer.reason == (503, "StoreUnavailable")
    assert answer.headers["Retry-After"] == "5"
    assert api.books.events() == 0


async def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    """With the real store: what was acknowledged is never counted again."""
    url = f"sqlite+aiosqlite:///{tmp_path}/history.db"
    answers = []
    for _ in range(2):
        history = SqlHistory(url, Retention())
        async with api_of(objective_body(), history=history) as api:
            answers.append((await api.push(events((3, 1)), key="k")).json)
        await history.close()

    assert answers == [{"accepted": 1, "duplicate": False}, {"accepted": 0, "duplicate": True}]


async def test_with_the_real_store_the_same_key_at_once_counts_once(tmp_path: Path) -> None:
    history = SqlHistory(f"sqlite+aiosqlite:///{tmp_path}/history.db", Retention())
    async with api_of(objective_body(), history=history) as api:
        answers = await asyncio.gather(*(api.push(events((1, 0)), key="k") for _ in range(20)))
    await history.close()

    assert sorted(answer.json["duplicate"] for answer in answers) == [False] + [True] * 19
    assert api.books.events() == 1


# --- who is let in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Basic Z29vZDo="}, {"Authorization": "Bearer"},
                {"Authorization": "Bearer bad"}, {"Authorization": "good"}],
)  # fmt: skip
@pytest.mark.parametrize("path", [EVENTS, "/api/v1/slo/shop/nobody/events"])
async def test_a_stranger_learns_nothing(api: Api, headers: dict[str, str], path: str) -> None:
    answer = await api.ask("POST", path, headers, json=events((1, 0)))

    assert answer.reason == (401, "Unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.books.events() == 0


@pytest.mark.parametrize(
    ("refusal", "status"), [(Refusal.UNKNOWN, 401), (Refusal.FORBIDDEN, 403), (Refusal.UNDECIDED, 503)]
)
async def test_whoever_may_not_is_told_why(api: Api, refusal: Refusal, status: int) -> None:
    for method, path in (
        ("POST", EVENTS),
        ("GET", "/api/v1/alerts"),
        ("GET", "/api/v1/slo"),
        ("GET", "/api/v1/slo/shop/web"),
        ("GET", "/api/v1/slo/shop/nobody"),
    ):
        api.access.answers = [refusal]
        answer = await api.ask(method, path, json=events((1, 0)) if method == "POST" else None)

        assert answer.reason == (status, refusal.value)
        assert ("Retry-After" in answer.headers) is (refusal is Refusal.UNDECIDED)
    assert api.books.events() == 0


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", EVENTS, '"create" on servicelevelobjectives.homeostat.dev/events in the namespace shop'),
        ("GET", "/api/v1/slo/shop/web", '"get" on servicelevelobjectives.homeostat.dev in the namespace shop'),
        ("GET", "/api/v1/alerts?namespace=x", '"list" on servicelevelobjectives.homeostat.dev in the namespace x'),
        ("GET", "/api/v1/alerts", '"list" on servicelevelobjectives.homeostat.dev in the whole cluster'),
    ],
)
async def test_whoever_lacks_a_right_is_told_which(api: Api, method: str, path: str, right: str) -> None:
    api.access.answers = [Refusal.FORBIDDEN]
    answer = await api.ask(method, path, json=events((1, 0)) if method == "POST" else None)

    assert answer.json["error"]["message"] == f"Your account lacks the right {right}."


async def test_each_route_asks_for_the_right_it_needs(api: Api) -> None:
    for path in ("/api/v1/alerts", "/api/v1/alerts?namespace=shop", "/api/v1/slo", "/api/v1/slo?namespace=shop",
                 "/api/v1/slo/shop/web"):  # fmt: skip
        assert (await api.ask("GET", path)).status == 200

    assert api.access.asked == [
        Attributes("list", RESOURCE),
        Attributes("list", RESOURCE, namespace="shop"),
        Attributes("list", RESOURCE),
        Attributes("list", RESOURCE, namespace="shop"),
        Attributes("get", RESOURCE, namespace="shop", name="web"),
    ]


@pytest.mark.parametrize("standing", list(NotServing))
async def test_a_replica_that_does_not_serve_says_so(api: Api, standing: NotServing) -> None:
    api.standing = standing
    for method, path in (("POST", EVENTS), ("GET", "/api/v1/alerts"), ("GET", "/api/v1/slo")):
        answer = await api.ask(method, path, {})
        assert answer.reason == (503, standing.value)
        assert answer.headers["Retry-After"] == "5"


async def test_a_replica_that_does_not_serve_keeps_no_client_to_itself(api: Api) -> None:
    """The next connection may lead to the one that serves; `raw` waits for the end of this one."""
    api.standing = NotServing.NOT_LEADER
    answer = await api.raw(b"GET /api/v1/slo HTTP/1.1\r\nHost: homeostat\r\n\r\n")

    assert b"NotLeader" in answer
    assert b"Connection: close" in answer


# --- alerts and statuses ----------------------------------------------------------------------------------------


def alerting(name: str = "web", namespace: str = "shop") -> dict[str, Any]:
    page = Alert(severity=Severity.PAGE, long=timedelta(hours=1), short=timedelta(minutes=5), since=NOON)
    ticket = Alert(type=AlertType.NO_DATA, severity=Severity.TICKET, group="region=eu", since=NOON)
    status = ServiceLevelObjectiveStatus(alerts=(page, ticket)).wire()
    return objective_body(name, namespace=namespace, status=status)


async def test_alerts_have_the_form_of_alertmanager() -> None:
    async with api_of(alerting(), objective_body("quiet")) as api:
        found = (await api.ask("GET", "/api/v1/alerts")).json

    assert found[0] == {
        "labels": {
            "alertname": "HomeostatErrorBudgetBurn", "namespace": "shop", "slo": "web", "service": "checkout",
            "severity": "page", "long_window": "1h", "short_window": "5m",
        },
        "annotations": {
            "summary": "shop/web: the error budget burns too fast over 1h/5m.",
            "description": "Burn rate: alert from 14.4.",
        },
        "startsAt": "2026-11-21T12:00:00.000Z",
        "endsAt": "2026-11-21T12:04:00.000Z",
        "updatedAt": "2026-11-21T12:00:00.000Z",
        "fingerprint": found[0]["fingerprint"],
        "receivers": [],
        "status": {"state": "active", "inhibitedBy": [], "silencedBy": []},
    }  # fmt: skip
    assert found[1]["labels"]["region"] == "eu"
    assert len({alert["fingerprint"] for alert in found}) == 2


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        ("?namespace=shop", 2),
        ("?namespace=nowhere", 0),
        ("?filter=severity=page", 2),
        ("?filter=severity%3D%22page%22&filter=namespace=bank", 1),
        ("?filter=region=", 2),
        ("?filter=region=eu&active=true", 2),
        ("?filter=severity=none", 0),
    ],
)
async def test_alerts_are_filtered_by_labels(query: str, count: int) -> None:
    async with api_of(alerting(), alerting("api", "bank")) as api:
        assert len((await api.ask("GET", f"/api/v1/alerts{query}")).json) == count


@pytest.mark.parametrize(
    "query", ["filter=severity", "filter==x", "filter=a!=b", "filter=a=%22", "namespace=A B", "filter=a=b&" * 17]
)
async def test_a_query_that_means_nothing_is_refused(api: Api, query: str) -> None:
    answer = await api.ask("GET", f"/api/v1/alerts?{query}")

    assert answer.status == 400


async def test_a_status_is_given_as_it_is_stored() -> None:
    async with api_of(alerting(), objective_body("quiet")) as api:
        one = (await api.ask("GET", "/api/v1/slo/shop/web")).json
        assert (one["namespace"], one["name"], one["service"]) == ("shop", "web", "checkout")
        assert one["status"] == alerting()["status"]
        assert (await api.ask("GET", "/api/v1/slo")).json["items"][0] == one
        assert [item["name"] for item in (await api.ask("GET", "/api/v1/slo")).json["items"]] == ["web", "quiet"]
        assert (await api.ask("GET", "/api/v1/slo?namespace=bank")).json == {"items": []}
        assert (await api.ask("GET", "/api/v1/slo/shop/nobody")).reason == (404, "NotFound")


async def test_a_long_list_arrives_whole() -> None:
    async with api_of(*(objective_body(f"slo-{number}", status={"x": "y" * 200}) for number in range(2000))) as api:
        found = (await api.ask("GET", "/api/v1/slo")).json["items"]

    assert {one["name"] for one in found} == {f"slo-{number}" for number in range(2000)}


# --- requests that are wrong, large, slow or hostile -----------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
        ("GET", "/api/v1/slo/shop", 404),
        ("GET", "/api/v1/slo/../../etc/passwd", 404),
        ("POST", "/api/v1/slo/a/b/c/events", 404),
        ("GET", EVENTS, 405),
        ("DELETE", "/api/v1/slo/shop/web", 405),
        ("PUT", "/api/v1/alerts", 405),
        ("POST", "/api/v1/alerts", 405),
    ],
)
async def test_what_there_is_not_is_told_in_json(api: Api, method: str, path: str, status: int) -> None:
    answer = await api.ask(method, path)

    assert answer.status == status
    assert answer.error["reason"] in {"UnknownPath", "MethodNotAllowed"}
    assert ("Allow" in answer.headers) is (status == 405)
    assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_head_is_answered_without_a_body(api: Api) -> None:
    assert (await api.ask("HEAD", "/api/v1/alerts")).status == 405
    assert (await api.ask("HEAD", "/nothing")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\x00\xff", b"nan", b'{"events": [{"good": NaN}]}', b'{"events": [{"good": Infinity}]}',
        b'{"events": [{"good": 1, "good": 100}]}', b'{"events": [{"bad": 1}], "key": "a", "key": "b"}',
        b"[" * 100_000, b"1" * 5000, b'{"events": "' + b"\xed\xa0\x80" + b'"}',
    ],
)  # fmt: skip
async def test_what_is_no_json_is_refused(api: Api, body: bytes) -> None:
    answer = await api.ask("POST", EVENTS, data=body)

    assert answer.status == 400
    assert answer.error["reason"] in {"InvalidJson", "InvalidBody"}


async def test_ten_megabytes_are_refused_and_not_kept(api: Api) -> None:
    before = resident()
    answer = await api.ask("POST", EVENTS, data=io.BytesIO(b" " * 10_000_000))

    assert answer.reason == (413, "BodyTooLarge")
    assert resident() - before < 40 << 20  # the client's own ten are in this process, too


async def test_ten_megabytes_that_do_not_say_so_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER_FOR", 0.1)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b" " * 65536

    async with api_of(objective_body()) as api:
        try:
            answer = await api.ask("POST", EVENTS, data=pieces())
        except aiohttp.ClientConnectionError:
            return  # cut off in the middle: as good
    assert answer.reason == (413, "BodyTooLarge")


async def test_bodies_that_come_slowly_have_so_much_room_together(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What 256 clients may hold at once was as much as the operator's memory."""
    monkeypatch.setattr(body_module, "MOST_UNDER_WAY", 3000)
    head = f"POST {EVENTS} HTTP/1.1\r\nHost: homeostat\r\nAuthorization: Bearer good\r\nContent-Length: 9000\r\n\r\n"
    sending = head.encode() + b" " * 2000
    _, first = await asyncio.open_connection("127.0.0.1", api.port)
    first.write(sending)
    await eventually(lambda: api.access.asked)
    refused = await api.raw(sending)
    assert b"429" in refused
    assert b"TooManyRequests" in refused
    first.close()
    await eventually(lambda: api.counted[-1] == ("events", "4xx") and len(api.counted) == 2)

    assert (await api.push(events((1, 0)))).status == 200


async def test_a_client_that_asks_first_never_sends_what_nobody_wants(api: Api) -> None:
    head = f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n"
    for length, extra, expected in (
        (10_000_000, "Authorization: Bearer good\r\n", b"HTTP/1.1 413"),
        (10, "", b"HTTP/1.1 401"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write((head % length + extra + "\r\n").encode())
        assert (await reader.readline()).startswith(expected)
        writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on(api: Api) -> None:
    body = json.dumps(events((1, 0))).encode()
    head = (
        f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200")
    assert api.books.events() == 1


async def test_a_compressed_body_is_refused(api: Api) -> None:
    """Ten kilobytes may be ten megabytes."""
    bomb = gzip.compress(b" " * 10_000_000)
    answer = await api.ask("POST", EVENTS, GOOD_TOKEN | {"Content-Encoding": "gzip"}, data=bomb)

    assert answer.reason == (415, "Encoded")


async def test_a_slow_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "PATIENCE", 0.1)
    monkeypatch.setattr(server_module, "LINGER_FOR", 0.1)
    head = f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: 100\r\n\r\n{{"
    async with api_of(objective_body()) as api:
        answer = await api.raw(head.encode())

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"BodyTooSlow" in answer


async def test_a_slow_head_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "IDLE_FOR", 0.1)
    async with api_of(objective_body()) as api:
        for sent in (b"", b"GET /api/v1/slo HTTP/1.1\r\nHost:"):
            assert await api.raw(sent) == b""


async def test_a_body_that_breaks_off_harms_nobody(api: Api) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: 100\r\n\r\n{{".encode()
    )
    await writer.drain()
    await eventually(lambda: api.access.asked)
    writer.close()
    del reader

    assert (await api.push(events((1, 0)))).status == 200
    assert api.books.events() == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS where none is
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(500)) + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_in_json_and_cut_off(
    api: Api, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await api.raw(sent)
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert json.loads(body)["error"]["reason"] == "BadRequest"
    assert "Traceback" not in caplog.text
    assert (await api.ask("GET", "/api/v1/alerts")).status == 200


async def test_a_bug_is_told_without_its_trace(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(api.access, "check", fails)
    answer = await api.ask("GET", "/api/v1/alerts")

    assert answer.reason == (500, "Internal")
    assert "secret" not in answer.text
    assert "Zero" not in answer.text


async def test_a_list_that_breaks_off_is_seen_to_be_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async with api_of(*(objective_body(f"slo-{number}", status={"x": "y" * 2000}) for number in range(200))) as api:
        monkeypatch.setattr("homeostat.engine.objective.desk.service_of", _Breaking())
        with pytest.raises(aiohttp.ClientPayloadError):
            await api.ask("GET", "/api/v1/slo")


class _Breaking:
    """Gives names a hundred times."""

    def __init__(self) -> None:
        self._left = 100

    def __call__(self, _entry: Any) -> str:
        self._left -= 1
        if self._left < 0:
            raise ZeroDivisionError
        return "checkout"


async def test_only_so_many_are_served_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_AT_ONCE", 4)
    history = FakeHistory()
    history.door.clear()
    async with api_of(objective_body(), history=history) as api, asyncio.TaskGroup() as group:
        inside = [group.create_task(api.push(events((1, 0)))) for _ in range(4)]
        await eventually(lambda: len(api.access.asked) == 4)
        answer = await api.push(events((1, 0)))
        assert answer.reason == (429, "TooManyRequests")
        assert answer.headers["Retry-After"] == "1"
        history.door.set()
        assert [(await one).status for one in inside] == [200] * 4
        assert (await api.push(events((1, 0)))).status == 200


async def test_only_so_many_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 4)
    async with api_of(objective_body()) as api:
        kept = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(4)]
        ask = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        async with asyncio.timeout(10):
            while await api.raw(ask) != b"":
                pass
        for _, writer in kept:
            writer.close()
        async with asyncio.timeout(10):
            while not (await api.raw(ask)).startswith(b"HTTP/1.1 404"):
                pass


async def test_requests_are_counted_by_route_and_class(api: Api) -> None:
    await api.push(events((1, 0)))
    await api.ask("GET", "/api/v1/slo/shop/nobody")
    await api.ask("GET", "/secret-name-of-a-stranger")

    assert api.counted == [("events", "2xx"), ("slo", "4xx"), ("none", "4xx")]


# --- TLS --------------------------------------------------------------------------------------------------------


async def test_over_tls_with_a_certificate_that_is_rotated(tmp_path: Path) -> None:
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert.write_text(EXPIRED)
    key.write_text(KEY)
    certificate = ServerCertificate(str(cert), str(key))
    trusting = ssl.create_default_context(cadata=AUTHORITY)

    async def ask(port: int) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://127.0.0.1:{port}/api/v1/slo", ssl=trusting) as response,
        ):
            return response.status

    async with serving_api("127.0.0.1", 0, lambda: NotServing.NOT_LEADER, certificate=certificate) as port:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(port)
        cert.write_text("half")
        os.utime(cert, ns=(1, 1))
        certificate.refresh()  # cannot be used: the old one stays
        cert.write_text(GOOD)
        certificate.refresh()
        assert await ask(port) == 503


async def test_an_entry_that_comes_later_is_found(api: Api) -> None:
    api.store.put(entry_from(objective_body("later"), KIND))

    assert (await api.push(events((1, 0)), path="/api/v1/slo/shop/later/events")).status == 200
