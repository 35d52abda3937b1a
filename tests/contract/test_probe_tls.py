"""TLS: what a handshake that goes wrong means, and that a stalled one costs no more than the timeout."""

import asyncio
import gc
import ssl
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.asking import ask, network, run
from contract.certificates import (
    AUTHORITY,
    EXPIRED,
    GOOD,
    GOOD_UNTIL,
    SELF_SIGNED,
    certificate,
    chain,
    demanding,
    identity,
)
from contract.hostile import Behaviour, answer, close_at_once, encrypted, endless_garbage, on_uvloop, serving, silent
from homeostat.core.probing.request import HttpRequest, Tls, TlsRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.net.tls_session import Session

SECONDS = 0.4
# A server says why it refuses a handshake, or just hangs up.
REFUSED = {Reason.TLS_FAILED, Reason.CONNECTION_RESET, Reason.CONNECTION_CLOSED}
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DAY = 86_400

both_probes = pytest.mark.parametrize("kind", ["http", "tls"])
both_versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def to(kind: str, port: int, host: str = "shop.test", tls: Tls | None = None) -> HttpRequest | TlsRequest:
    """Give the request of an HTTP probe or of a TLS probe: they must agree on what TLS is."""
    if kind == "tls":
        return TlsRequest(host, port, "127.0.0.1", tls=tls or Tls())
    return HttpRequest(host, port, "127.0.0.1", is_tls=True, tls=tls)


async def probe(request: HttpRequest | TlsRequest, seconds: float = 5.0, trusted: str = AUTHORITY) -> Ending:
    return await ask(request, seconds, authorities=trusted)


@both_probes
@pytest.mark.parametrize(
    ("shown", "host", "reason"),
    [
        (GOOD, "shop.test", Reason.OK),
        (GOOD, "SHOP.test.", Reason.OK),
        (GOOD, "127.0.0.1", Reason.OK),
        (GOOD, "other.test", Reason.CERTIFICATE_WRONG_HOST),
        (GOOD, "127.0.0.2", Reason.CERTIFICATE_WRONG_HOST),
        (EXPIRED, "shop.test", Reason.CERTIFICATE_EXPIRED),
        (SELF_SIGNED, "shop.test", Reason.CERTIFICATE_UNTRUSTED),
    ],
)
@on_uvloop
async def test_a_certificate_is_checked_against_the_host_that_was_asked_for(
    tmp_path: Path, shown: str, host: str, reason: Reason, kind: str
) -> None:
    """Fault 46: expired, wrong host and self-signed are told apart; the pinned address is not the name."""
    async with serving(answer(FINE), tls=identity(tmp_path, shown)) as served:
        ending = await probe(to(kind, served.port, host))

    assert ending.reason is reason
    assert verdict_of(ending.reason) is (Verdict.PASS if reason is Reason.OK else Verdict.FAIL)


@both_probes
@on_uvloop
async def test_an_authority_we_do_not_know_is_not_trusted(tmp_path: Path, kind: str) -> None:
    async with serving(answer(FINE), tls=identity(tmp_path, GOOD)) as served:
        ending = await probe(to(kind, served.port), trusted=SELF_SIGNED)

    assert ending.reason is Reason.CERTIFICATE_UNTRUSTED


@both_probes
@on_uvloop
async def test_a_protocol_that_is_too_old_fails(tmp_path: Path, kind: str) -> None:
    """Fault 46: TLS 1.1 and older are not spoken."""
    context = identity(tmp_path, GOOD)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with serving(answer(FINE), tls=context) as served:
        ending = await probe(to(kind, served.port))

    assert ending.reason in REFUSED


@both_versions
@both_probes
@on_uvloop
async def test_the_probe_shows_when_the_certificate_expires(tmp_path: Path, kind: str, version: ssl.TLSVersion) -> None:
    context = identity(tmp_path, GOOD)
    context.minimum_version = context.maximum_version = version
    async with serving(answer(FINE), tls=context) as served:
        ending = await probe(to(kind, served.port))

    assert (ending.reason, ending.not_after) == (Reason.OK, GOOD_UNTIL)


@pytest.mark.parametrize(("days", "reason"), [(13, Reason.CERTIFICATE_EXPIRES_SOON), (15, Reason.OK)])
@on_uvloop
async def test_a_certificate_must_stay_valid_for_a_while(tmp_path: Path, days: int, reason: Reason) -> None:
    until = int(time.time()) + days * DAY
    shown = certificate("shop.test", "homeostat test ca", until=until)
    async with serving(answer(FINE), tls=identity(tmp_path, shown)) as served:
        request = TlsRequest("shop.test", served.port, "127.0.0.1", min_validity=14 * DAY)
        ending = await probe(request)

    assert (ending.reason, ending.not_after) == (reason, until)


@both_versions
@both_probes
@on_uvloop
async def test_a_server_that_demands_a_certificate_of_ours_refuses_us(
    tmp_path: Path, kind: str, version: ssl.TLSVersion
) -> None:
    """Fault 46: a client certificate is demanded; in TLS 1.3 this is said after the handshake."""
    context = demanding(tmp_path)
    context.minimum_version = context.maximum_version = version
    async with serving(encrypted(context, FINE)) as served:
        ending = await probe(to(kind, served.port))

    assert ending.reason is Reason.CLIENT_CERTIFICATE_REFUSED


@both_probes
@on_uvloop
async def test_a_server_with_which_nothing_can_be_agreed_on_refuses_no_certificate(tmp_path: Path, kind: str) -> None:
    """Fault 46: its alert is the one that a missing certificate causes in TLS 1.2."""
    context = identity(tmp_path, GOOD)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")  # which no client offers any more
    async with serving(encrypted(context, FINE)) as served:
        ending = await probe(to(kind, served.port))

    assert ending.reason is Reason.TLS_FAILED


@both_probes
@on_uvloop
async def test_a_certificate_with_a_name_that_is_no_text_fails(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Fault 46: OpenSSL lets it pass, Python cannot read it, and it is no bug of ours; nothing of it is shown (H9)."""
    odd = certificate("shop.test", "homeostat test ca", address=b"http://\xff\xfe/")
    async with serving(answer(FINE), tls=identity(tmp_path, odd)) as served:
        ending = await probe(to(kind, served.port))

    assert ending.reason is Reason.TLS_FAILED
    assert "\\xff" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("length", "reasons"),
    [
        (3, {Reason.OK}),
        (100, {Reason.OK, Reason.CERTIFICATE_UNTRUSTED}),
        (150, {Reason.CERTIFICATE_UNTRUSTED}),
        (400, {Reason.TLS_FAILED}),
    ],
)
@on_uvloop
async def test_a_long_chain_of_certificates_is_judged_in_time(
    tmp_path: Path, length: int, reasons: set[Reason]
) -> None:
    """Fault 46: a chain may be as long as OpenSSL takes it; one of 130 KB is not even read."""
    context = identity(tmp_path, chain(length))
    async with serving(answer(FINE), tls=context) as served:
        ending = await probe(to("http", served.port))

    assert ending.reason in reasons


@both_probes
@pytest.mark.parametrize(
    ("behaviour", "reasons"),
    [
        (silent, {Reason.TIMEOUT}),
        (close_at_once, REFUSED),
        (endless_garbage, {Reason.TIMEOUT}),  # it waits for a request that never comes
    ],
)
@on_uvloop
async def test_a_handshake_that_does_not_happen_ends_in_time(
    behaviour: Behaviour, reasons: set[Reason], kind: str
) -> None:
    """Fault 46: a stalled or broken handshake is part of the one deadline."""
    async with serving(behaviour) as served:
        ending = await probe(to(kind, served.port), seconds=SECONDS)

    assert ending.reason in reasons
    assert ending.phases is not None
    assert ending.phases.first_byte == 0
    assert ending.phases.tls > (0.9 * SECONDS if ending.reason is Reason.TIMEOUT else 0)


@on_uvloop
async def test_the_handshake_has_a_phase_of_its_own(tmp_path: Path) -> None:
    async with serving(answer(FINE), tls=identity(tmp_path, GOOD)) as served:
        ending = await probe(to("http", served.port))

    assert ending.phases is not None
    assert min(ending.phases.connect, ending.phases.tls, ending.phases.first_byte) > 0


@both_probes
@on_uvloop
async def test_plain_text_on_a_tls_port_fails(kind: str) -> None:
    """Fault 46."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 shop.test ESMTP\r\n")
        await asyncio.Event().wait()

    async with serving(greet) as served:
        ending = await probe(to(kind, served.port))

    assert ending.reason is Reason.TLS_FAILED


@on_uvloop
async def test_a_server_that_ignores_a_goodbye_passes_all_the_same(tmp_path: Path) -> None:
    """A TLS probe waits for an objection, but not for long, and does not call the server slow for it."""
    context = identity(tmp_path, GOOD)
    context.num_tickets = 0
    async with serving(silent_after_goodbye, tls=context) as served:
        patient = await probe(to("tls", served.port))
        hasty = await probe(to("tls", served.port), seconds=SECONDS)

    assert (patient.reason, hasty.reason) == (Reason.OK, Reason.OK)
    for ending in (patient, hasty):
        assert ending.phases is not None
        assert ending.phases.tls > 0
        assert (ending.phases.first_byte, ending.phases.transfer) == (0.0, 0.0)


async def silent_after_goodbye(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined] # it does not even hear the goodbye
    await asyncio.Event().wait()


def test_a_session_takes_no_more_bytes_than_an_answer_may_need(tmp_path: Path) -> None:
    """H9: records of one byte, or tickets without end, are cut off by their raw bytes."""
    client, server, arrived, leaving = shaken(tmp_path)
    heard: list[bytes] = []

    def flood() -> None:
        for _ in range(1 << 20):
            server.write(b"x")
            client.feed(leaving.read())
            heard.extend(client.pieces())

    with pytest.raises(ssl.SSLError, match="too many") as raised:
        flood()

    assert client.reason_of(raised.value) is Reason.TLS_FAILED
    assert 0 < len(heard) < 1 << 19
    assert not arrived.pending


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 16_384), min_size=1, max_size=4),
    cuts=st.lists(st.one_of(st.integers(0, 70_000), st.integers(0, 30)), max_size=6),
)
def test_a_session_knows_whether_a_record_is_whole(tmp_path: Path, sizes: list[int], cuts: list[int]) -> None:
    """However the bytes are cut: it is at rest between records, and then all that was said has been heard."""
    client, server, _, leaving = shaken(tmp_path)
    client.feed(leaving.read())  # tickets
    assert not list(client.pieces())
    said, wire, ends = 0, b"", {0: 0}
    for size in sizes:
        said += server.write(bytes(size))
        wire += leaving.read()
        ends[len(wire)] = said
    heard = at = 0
    for cut in sorted({*(cut for cut in cuts if cut < len(wire)), *ends}):
        client.feed(wire[at:cut])
        heard += sum(map(len, client.pieces()))
        at = cut

        assert client.is_at_rest() is (at in ends)
        assert heard == max(count for end, count in ends.items() if end <= at)


def shaken(folder: Path) -> tuple[Session, ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """Give both ends of a session that is open, and what arrives at and leaves the server."""
    arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = identity(folder, GOOD).wrap_bio(arrived, leaving, server_side=True)
    client = Session(ssl.create_default_context(cadata=AUTHORITY), "shop.test")
    client.feed(b"")
    arrived.write(client.leaving())
    with suppress(ssl.SSLWantReadError):
        server.do_handshake()
    client.feed(leaving.read())
    arrived.write(client.leaving())
    server.do_handshake()
    return client, server, arrived, leaving


@on_uvloop
async def test_probes_over_tls_leave_no_reference_cycles(tmp_path: Path) -> None:
    with network(authorities=AUTHORITY) as probes:
        async with serving(answer(FINE), tls=identity(tmp_path, GOOD)) as served:
            request = to("http", served.port)
            await run(probes, request)
            gc.collect()
            gc.disable()
            try:
                before = count_sessions()
                for _ in range(20):
                    await run(probes, request)
                await asyncio.sleep(0)
                after = count_sessions()
            finally:
                gc.enable()

    assert after - before <= 1


def count_sessions() -> int:
    return sum(isinstance(thing, Session) for thing in gc.get_objects())
