"""Secrets in requests: which are used and which refused, how old they may be, and that nothing of them is shown."""

import asyncio
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeClock, FakeSecrets
from homeostat.core.cluster import Secret
from homeostat.core.probing.request import (
    DnsRequest,
    GrpcRequest,
    HttpRequest,
    IcmpRequest,
    JobRequest,
    PromqlRequest,
    Request,
    SecretKey,
    StepRequest,
    StepsRequest,
    TcpRequest,
    Tls,
    TlsRequest,
    WorkloadRequest,
)
from homeostat.core.probing.result import Reason
from homeostat.ports import Forbidden, Unavailable
from homeostat.probe.cluster.secrets import SecretReader

TOKEN = "Bearer swordfish"  # noqa: S105 - what must not be seen
PLAIN = HttpRequest("shop.test", 443, is_tls=True)
WITH_TOKEN = replace(PLAIN, headers_from=(("Authorization", SecretKey("shop", "api", "token")),))
WITH_TLS = Tls(
    ca_from=SecretKey("shop", "authority", "ca.crt"), certificate_from=SecretKey("shop", "client"), server_name="a.test"
)


class Desk:
    """A reader, the Secrets it reads, and its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.secrets = FakeSecrets()
        self.reader = SecretReader(self.secrets, self.clock.monotonic)

    async def fill(self, request: Request, seconds: float = 5.0) -> Request | Reason:
        return await self.reader.fill(request, self.clock.monotonic() + seconds)

    async def token(self, seconds: float = 5.0) -> str | Reason:
        """Give the header's value as it would be sent now."""
        filled = await self.fill(WITH_TOKEN, seconds)
        return filled if isinstance(filled, Reason) else http(filled).secret_headers[0][1]


def http(request: Request | Reason) -> HttpRequest:
    assert isinstance(request, HttpRequest)
    return request


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.secrets.put("api", token=TOKEN.encode(), body=b"swordfish\n")
    made.secrets.put("authority", ca_crt=b"swordfish authority")
    made.secrets.put("client", "kubernetes.io/tls", tls_crt=b"certificate", tls_key=b"swordfish key")
    return made


# --- what is filled -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        PLAIN,
        pytest.param(replace(PLAIN, tls=Tls(server_name="b.test")), id="HttpRequest with tls"),
        TcpRequest("db", 5432),
        DnsRequest("a.test"),
        GrpcRequest("a", 1),
        pytest.param(GrpcRequest("a", 1, tls=Tls()), id="GrpcRequest with tls"),
        TlsRequest("a", 1),
        IcmpRequest("a"),
        WorkloadRequest("shop", "Deployment", "a", 1),  # type: ignore[arg-type]
        PromqlRequest("up", ">", 0),
        JobRequest("shop", "a", "uid", "{}"),
        StepsRequest((StepRequest("a", PLAIN), StepRequest("b", PLAIN))),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_a_request_that_names_no_secret_is_given_back_as_it_is(desk: Desk, request_: Request) -> None:
    assert await desk.fill(request_) is request_
    assert desk.secrets.read_names == []


async def test_an_http_request_gets_its_headers_body_and_certificates(desk: Desk) -> None:
    asked = replace(WITH_TOKEN, body_from=SecretKey("shop", "api", "body"), tls=WITH_TLS)
    filled = http(await desk.fill(asked))

    assert filled.secret_headers == (("Authorization", TOKEN),)
    assert filled.secret_body == b"swordfish\n"
    assert filled.tls is not None
    assert (filled.tls.ca, filled.tls.certificate) == (b"swordfish authority", b"certificate")
    assert (filled.tls.private_key, filled.tls.server_name) == (b"swordfish key", "a.test")


@pytest.mark.parametrize("request_", [GrpcRequest("a", 1, tls=WITH_TLS), TlsRequest("a", 1, tls=WITH_TLS)])
async def test_grpc_and_tls_requests_get_their_certificates(desk: Desk, request_: GrpcRequest | TlsRequest) -> None:
    filled = await desk.fill(request_)

    assert isinstance(filled, GrpcRequest | TlsRequest)
    assert filled.tls == replace(
        WITH_TLS, ca=b"swordfish authority", certificate=b"certificate", private_key=b"swordfish key"
    )


async def test_each_step_gets_what_it_names_and_the_others_stay_as_they_are(desk: Desk) -> None:
    plain, secret = StepRequest("plain", PLAIN), StepRequest("secret", WITH_TOKEN)
    filled = await desk.fill(StepsRequest((plain, secret)))

    assert isinstance(filled, StepsRequest)
    assert filled.steps[0] is plain
    assert filled.steps[1].request.secret_headers == (("Authorization", TOKEN),)


async def test_one_step_whose_secret_is_missing_refuses_them_all(desk: Desk) -> None:
    missing = replace(PLAIN, body_from=SecretKey("shop", "nothing", "key"))
    steps = StepsRequest((StepRequest("secret", WITH_TOKEN), StepRequest("missing", missing)))

    assert await desk.fill(steps) is Reason.SECRET_NOT_FOUND


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b"plain", "plain"),
        (b"by echo\n", "by echo"),
        (b"by echo on Windows\r\n", "by echo on Windows"),
        ("café".encode(), "café"),
        (b"a\tb", "a\tb"),
        (b"two\n\n", None),
        (b"a\nInjected: header", None),
        (b"a\r\nInjected: header\r\n", None),
        (b"a\rb", None),
        (b"ends in CR\r", None),
        (b"nul\0", None),
        (b"escape\x1b[2J", None),
        (b"delete\x7f", None),
        (b"latin-1 of old \xe9", None),
        ("€".encode(), None),
        (b" blank before", None),
        (b"blank after ", None),
        (b"\n", None),
        (b"", None),
    ],
)
async def test_a_header_takes_only_what_can_be_sent_in_one(desk: Desk, value: bytes, sent: str | None) -> None:
    """H9: a value cannot smuggle in another header; one line break at the end is what `echo` adds."""
    desk.secrets.put("api", token=value)

    assert await desk.token() == (Reason.SECRET_UNUSABLE if sent is None else sent)


async def test_a_value_has_at_most_64_kibibytes(desk: Desk) -> None:
    desk.secrets.put("api", token=b"x" * (64 << 10))
    assert await desk.token() == "x" * (64 << 10)

    desk.secrets.put("long", token=b"x" * ((64 << 10) + 1))
    assert await desk.fill(_naming("long")) is Reason.SECRET_UNUSABLE


@given(value=st.binary(max_size=64))
def test_whatever_a_secret_holds_a_header_stays_one_line(value: bytes) -> None:
    """H9, for any bytes at all."""

    async def sent() -> str | Reason:
        desk = Desk()
        desk.secrets.put("api", token=value)
        return await desk.token()

    text = asyncio.run(sent())
    assert isinstance(text, Reason) or not set(text.encode("latin-1")) & set(b"\r\n\0")


@pytest.mark.parametrize(
    "type_",
    [
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/dockercfg",
    ],
)
async def test_the_keys_of_the_cluster_itself_are_never_sent_anywhere(desk: Desk, type_: str) -> None:
    """H9: whoever may write a HealthCheck must not get a ServiceAccount's token by it."""
    desk.secrets.put("api", type_, token=TOKEN.encode())

    assert await desk.token() is Reason.SECRET_UNUSABLE


@pytest.mark.parametrize("type_", ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/tls", "example.com/own"])
async def test_other_types_of_secret_are_used(desk: Desk, type_: str) -> None:
    desk.secrets.put("api", type_, token=TOKEN.encode())

    assert await desk.token() == TOKEN


@pytest.mark.parametrize(
    "secret",
    [
        Secret("Opaque", {"tls.crt": b"certificate", "tls.key": b"key"}),
        Secret("kubernetes.io/tls", {"tls.crt": b"certificate"}),
        Secret("kubernetes.io/tls", {"tls.key": b"key"}),
        Secret("kubernetes.io/tls", {"tls.crt": b"", "tls.key": b"key"}),
    ],
)
async def test_a_client_certificate_comes_from_a_whole_tls_secret_only(desk: Desk, secret: Secret) -> None:
    desk.secrets.kept["shop", "client"] = secret

    assert await desk.fill(TlsRequest("a", 1, tls=WITH_TLS)) is Reason.SECRET_UNUSABLE


async def test_a_key_that_is_missing_is_not_a_secret_that_is_missing(desk: Desk) -> None:
    desk.secrets.put("api", another=b"value")
    assert await desk.token() is Reason.SECRET_UNUSABLE

    assert await desk.fill(replace(PLAIN, body_from=SecretKey("shop", "no", "key"))) is Reason.SECRET_NOT_FOUND


async def test_an_authority_without_a_client_certificate_is_enough(desk: Desk) -> None:
    filled = http(await desk.fill(replace(PLAIN, tls=replace(WITH_TLS, certificate_from=None))))

    assert filled.tls is not None
    assert (filled.tls.ca, filled.tls.certificate) == (b"swordfish authority", b"")


@pytest.mark.parametrize("place", ["ca_from", "certificate_from"])
async def test_a_missing_secret_of_a_tls_connection_is_told(desk: Desk, place: str) -> None:
    tls = replace(Tls(), **{place: SecretKey("shop", "no", "ca.crt")})

    assert await desk.fill(replace(PLAIN, tls=tls)) is Reason.SECRET_NOT_FOUND
    assert await desk.fill(GrpcRequest("a", 1, tls=tls)) is Reason.SECRET_NOT_FOUND


# --- how old it may be ----------------------------------------------------------------------------------


async def test_a_secret_is_read_once_for_all_its_keys_and_again_after_thirty_seconds(desk: Desk) -> None:
    await desk.fill(replace(WITH_TOKEN, body_from=SecretKey("shop", "api", "body")))
    desk.clock.advance(29)
    await desk.token()
    assert desk.secrets.read_names == ["api"]

    desk.secrets.put("api", token=b"rotated")
    desk.clock.advance(2)
    assert await desk.token() == "rotated"


async def test_many_at_once_read_a_secret_once(desk: Desk) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(desk.token()) for _ in range(100)]

    assert {task.result() for task in asked} == {TOKEN}
    assert desk.secrets.read_names == ["api"]


async def test_one_that_gives_up_early_does_not_end_the_read_of_the_others(desk: Desk) -> None:
    desk.secrets.door.clear()
    async with asyncio.TaskGroup() as tasks:
        patient = tasks.create_task(desk.token())
        assert await desk.token(seconds=0.0) is Reason.API_UNAVAILABLE
        cancelled = tasks.create_task(desk.token())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        desk.secrets.door.set()

    assert patient.result() == TOKEN
    assert desk.secrets.read_names == ["api"]


async def test_a_missing_secret_is_looked_for_again_within_seconds(desk: Desk) -> None:
    there = desk.secrets.kept.pop(("shop", "api"))
    assert await desk.token() is Reason.SECRET_NOT_FOUND
    desk.secrets.kept["shop", "api"] = there
    assert await desk.token() is Reason.SECRET_NOT_FOUND
    assert desk.secrets.read_names == ["api"]

    desk.clock.advance(3)
    assert await desk.token() == TOKEN


async def test_a_deleted_secret_and_a_right_taken_back_end_the_use_of_old_values(desk: Desk) -> None:
    assert await desk.token() == TOKEN
    desk.clock.advance(30)
    desk.secrets.failure = Forbidden()
    assert await desk.token() is Reason.NOT_PERMITTED

    desk.secrets.failure = Unavailable()
    desk.clock.advance(30)
    assert await desk.token() is Reason.API_UNAVAILABLE


async def test_without_the_api_server_old_values_serve_for_ten_minutes_and_no_longer(desk: Desk) -> None:
    assert await desk.token() == TOKEN
    desk.secrets.failure = Unavailable()
    desk.clock.advance(600)
    assert await desk.token() == TOKEN

    desk.clock.advance(5)
    assert await desk.token() is Reason.API_UNAVAILABLE


async def test_an_api_server_that_is_down_is_not_asked_on_every_run(desk: Desk) -> None:
    assert await desk.token() == TOKEN
    desk.secrets.failure = Unavailable()
    desk.clock.advance(30)
    for _ in range(4):
        assert await desk.token() == TOKEN
        desk.clock.advance(1)

    assert len(desk.secrets.read_names) == 2


async def test_an_api_server_that_hangs_leaves_a_run_most_of_its_time(desk: Desk) -> None:
    """The old value is used after a second, and at once by those that come later."""
    assert await desk.token() == TOKEN
    desk.clock.advance(30)
    desk.secrets.door.clear()
    async with asyncio.timeout(15):
        assert await desk.token(seconds=3600) == TOKEN
        desk.clock.advance(1)
        for _ in range(20):
            assert await desk.token(seconds=3600) == TOKEN
    desk.reader.close()


async def test_an_api_server_that_never_answered_is_unavailable_at_the_deadline(desk: Desk) -> None:
    desk.secrets.door.clear()
    async with asyncio.timeout(5):
        assert await desk.token(seconds=0.02) is Reason.API_UNAVAILABLE

    desk.reader.close()


async def test_no_more_secrets_are_read_at_once_than_can_be_kept(desk: Desk) -> None:
    """H9: an API server that hangs does not make us hold ever more."""
    desk.secrets.door.clear()
    for number in range(1024):
        assert await desk.fill(_naming(f"s{number}"), 0.0) is Reason.API_UNAVAILABLE
    assert await desk.fill(_naming("one more"), 0.0) is Reason.OUT_OF_RESOURCES

    desk.reader.close()


async def test_closing_gives_up_what_is_being_read(desk: Desk) -> None:
    desk.secrets.door.clear()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(desk.token())
        while not desk.secrets.read_names:  # noqa: ASYNC110 - the read begins in another task
            await asyncio.sleep(0)
        desk.reader.close()

    assert waiting.result() is Reason.API_UNAVAILABLE


async def test_a_bug_in_reading_is_told_to_who_waits(desk: Desk) -> None:
    desk.secrets.failure = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        await desk.token()


async def test_the_memory_for_secrets_is_bounded_by_number_and_by_size(desk: Desk) -> None:
    for number in range(1100):
        desk.secrets.put(f"s{number}", token=b"x")
        await desk.fill(_naming(f"s{number}"))
    assert len(desk.reader._known) == 1024

    for number in range(200):
        desk.secrets.put(f"big{number}", token=b"x", other=b"x" * (1 << 20))
        await desk.fill(_naming(f"big{number}"))
    assert desk.reader._bytes == sum(known.size for known in desk.reader._known.values()) <= 8 << 20


async def test_the_secret_in_use_is_not_the_one_forgotten(desk: Desk) -> None:
    await desk.token()
    for number in range(2000):
        desk.secrets.put(f"s{number}", token=b"x")
        await desk.fill(_naming(f"s{number}"))
        await desk.token()

    assert desk.secrets.read_names.count("api") == 1


def _naming(name: str) -> HttpRequest:
    return replace(PLAIN, body_from=SecretKey("shop", name, "token"))


# --- what is shown --------------------------------------------------------------------------------------


async def test_nothing_of_a_secret_is_ever_shown(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """H9: neither in a request, nor in a record, nor in a log."""
    caplog.set_level(logging.DEBUG)
    asked = replace(WITH_TOKEN, body_from=SecretKey("shop", "api", "body"), tls=WITH_TLS)
    shown = [
        await desk.fill(asked),
        await desk.fill(StepsRequest((StepRequest("one", asked),))),
        await desk.fill(GrpcRequest("a", 1, tls=WITH_TLS)),
        await desk.fill(TlsRequest("a", 1, tls=WITH_TLS)),
        desk.secrets.kept["shop", "api"],
        desk.reader._known,
    ]
    desk.secrets.put("api", token=b"swordfish \xff\n")
    desk.clock.advance(60)
    shown.append(await desk.fill(asked))

    texts = [*map(repr, shown), *map(str, shown), caplog.text]
    assert [text for text in texts if "swordfish" in text] == []
    assert "api" in repr(shown[0])
