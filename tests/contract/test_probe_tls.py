"""TLS: what a handshake that goes wrong means, and that a stalled one costs no more than the timeout.

The certificates are of a made-up authority that signs with one worthless key, valid until 2120; the leaf is for
`shop.test`, 127.0.0.1 and ::1.
"""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest

from contract.hostile import Behaviour, answer, close_at_once, endless_garbage, on_uvloop, serving, silent
from homeostat.core.probing import HttpRequest, Reason, Result, Verdict
from homeostat.probe.address import Guard
from homeostat.probe.prober import Probes

KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQVOSWXJb2L+77UBa
OcnwOTyuLKqe8/Zy5YyzDXrJ/2yhRANCAAR7d2leTd6L+M/Cn+fejpe3u+W4jS3W
gq4k79ijg8/knlWrVIj3U5DSeZtPNgT8JGI17G95M2Q5WBvMPDbP4vtH
-----END PRIVATE KEY-----
"""
AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBbDCCARGgAwIBAgIBATAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob21lb3N0
YXQgdGVzdCBjYTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHDEa
MBgGA1UEAwwRaG9tZW9zdGF0IHRlc3QgY2EwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAR7d2leTd6L+M/Cn+fejpe3u+W4jS3Wgq4k79ijg8/knlWrVIj3U5DSeZtP
NgT8JGI17G95M2Q5WBvMPDbP4vtHo0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1Ud
DwEB/wQEAwIBBjAdBgNVHQ4EFgQU8CUAArXffUEpaLErxp9LYYfuwRgwCgYIKoZI
zj0EAwIDSQAwRgIhAL2382gzTaJb2lPGRC34whIf478re6eYEBkwKDqzAm/wAiEA
iS67Hh2RHOIDpQKwc4NhyAdmsNDxZ3R17TTfgO/MnO0=
-----END CERTIFICATE-----
"""
GOOD = """-----BEGIN CERTIFICATE-----
MIIBpjCCAUygAwIBAgIBAjAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob21lb3N0
YXQgdGVzdCBjYTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHjEc
MBoGA1UEAwwTaG9tZW9zdGF0IHRlc3QgbGVhZjBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABHt3aV5N3ov4z8Kf596Ol7e75biNLdaCriTv2KODz+SeVatUiPdTkNJ5
m082BPwkYjXsb3kzZDlYG8w8Ns/i+0ejezB5MAkGA1UdEwQCMAAwLAYDVR0RBCUw
I4IJc2hvcC50ZXN0hwR/AAABhxAAAAAAAAAAAAAAAAAAAAABMB0GA1UdDgQWBBTw
JQACtd99QSlosSvGn0thh+7BGDAfBgNVHSMEGDAWgBTwJQACtd99QSlosSvGn0th
h+7BGDAKBggqhkjOPQQDAgNIADBFAiEA26GOvkWDoDkBm1f4TTW9WcgfYWO/AOkH
vdzkZwkgjt0CIDqiNJmILRbMcwbBbvJJnMJCFeQuuH8VnsKwtxvVdho7
-----END CERTIFICATE-----
"""
EXPIRED = """-----BEGIN CERTIFICATE-----
MIIBpTCCAUqgAwIBAgIBAzAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob21lb3N0
YXQgdGVzdCBjYTAeFw0yMDAxMDEwMDAwMDBaFw0yMDAxMDIwMDAwMDBaMB4xHDAa
BgNVBAMME2hvbWVvc3RhdCB0ZXN0IGxlYWYwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAR7d2leTd6L+M/Cn+fejpe3u+W4jS3Wgq4k79ijg8/knlWrVIj3U5DSeZtP
NgT8JGI17G95M2Q5WBvMPDbP4vtHo3sweTAJBgNVHRMEAjAAMCwGA1UdEQQlMCOC
CXNob3AudGVzdIcEfwAAAYcQAAAAAAAAAAAAAAAAAAAAATAdBgNVHQ4EFgQU8CUA
ArXffUEpaLErxp9LYYfuwRgwHwYDVR0jBBgwFoAU8CUAArXffUEpaLErxp9LYYfu
wRgwCgYIKoZIzj0EAwIDSQAwRgIhALnFJzM/Hu5DAPvtIBMACRB+Xr441xGS9uYV
G8/Nk+q1AiEAwP9tdRQ4QpmqE5QMQhNVSicXqi5n9wVha7xAzDjvKUU=
-----END CERTIFICATE-----
"""
SELF_SIGNED = """-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIBBDAKBggqhkjOPQQDAjAeMRwwGgYDVQQDDBNob21lb3N0
YXQgdGVzdCBsZWFmMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAe
MRwwGgYDVQQDDBNob21lb3N0YXQgdGVzdCBsZWFmMFkwEwYHKoZIzj0CAQYIKoZI
zj0DAQcDQgAEe3dpXk3ei/jPwp/n3o6Xt7vluI0t1oKuJO/Yo4PP5J5Vq1SI91OQ
0nmbTzYE/CRiNexveTNkOVgbzDw2z+L7R6NaMFgwCQYDVR0TBAIwADAsBgNVHREE
JTAjgglzaG9wLnRlc3SHBH8AAAGHEAAAAAAAAAAAAAAAAAAAAAEwHQYDVR0OBBYE
FPAlAAK1331BKWixK8afS2GH7sEYMAoGCCqGSM49BAMCA0kAMEYCIQCelMNsLQNV
wcAHy+Fi2cKya7snbipxgHd5nfzRxxWtdwIhAItUkREjeuy89XHR416u8nhXmCyc
l8gY1rh1yqqSRuEp
-----END CERTIFICATE-----
"""

SECONDS = 0.4
# A server says why it refuses a handshake, or just hangs up.
REFUSED = {Reason.TLS_FAILED, Reason.CONNECTION_RESET, Reason.CONNECTION_CLOSED}
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def identity(folder: Path, certificate: str) -> ssl.SSLContext:
    """Make a server's context."""
    (folder / "chain.pem").write_text(certificate + KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    return context


@contextmanager
def probing(trusted: str = AUTHORITY) -> Iterator[Probes]:
    probes = Probes(
        Guard(allow=[ip_network("127.0.0.0/8")]), cast("Any", None), tls=ssl.create_default_context(cadata=trusted)
    )
    try:
        yield probes
    finally:
        probes.close()


async def ask(port: int, host: str = "shop.test", trusted: str = AUTHORITY, seconds: float = 5.0) -> Result:
    with probing(trusted) as probes:
        async with asyncio.timeout(10):
            return await probes.probe(HttpRequest(host, port, address="127.0.0.1", is_tls=True), seconds)


@pytest.mark.parametrize(
    ("certificate", "host", "verdict", "reason"),
    [
        (GOOD, "shop.test", Verdict.PASS, Reason.OK),
        (GOOD, "127.0.0.1", Verdict.PASS, Reason.OK),
        (GOOD, "other.test", Verdict.FAIL, Reason.CERTIFICATE_WRONG_HOST),
        (GOOD, "127.0.0.2", Verdict.FAIL, Reason.CERTIFICATE_WRONG_HOST),
        (EXPIRED, "shop.test", Verdict.FAIL, Reason.CERTIFICATE_EXPIRED),
        (SELF_SIGNED, "shop.test", Verdict.FAIL, Reason.CERTIFICATE_UNTRUSTED),
    ],
)
@on_uvloop
async def test_a_certificate_is_checked_against_the_host_that_was_asked_for(
    tmp_path: Path, certificate: str, host: str, verdict: Verdict, reason: Reason
) -> None:
    """Fault 46: expired, wrong host and self-signed are told apart; the pinned address is not the name."""
    async with serving(answer(FINE), tls=identity(tmp_path, certificate)) as served:
        result = await ask(served.port, host)

    assert (result.verdict, result.reason) == (verdict, reason)


@on_uvloop
async def test_an_authority_we_do_not_know_is_not_trusted(tmp_path: Path) -> None:
    async with serving(answer(FINE), tls=identity(tmp_path, GOOD)) as served:
        result = await ask(served.port, trusted=SELF_SIGNED)

    assert result.reason is Reason.CERTIFICATE_UNTRUSTED


@on_uvloop
async def test_a_protocol_that_is_too_old_fails(tmp_path: Path) -> None:
    """Fault 46: TLS 1.1 and older are not spoken."""
    context = identity(tmp_path, GOOD)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with serving(answer(FINE), tls=context) as served:
        result = await ask(served.port)

    assert result.verdict is Verdict.FAIL
    assert result.reason in REFUSED


@on_uvloop
async def test_a_server_that_demands_a_certificate_of_ours_fails(tmp_path: Path) -> None:
    """Fault 46: a client certificate is demanded; in TLS 1.3 this is said after the handshake."""
    context = identity(tmp_path, GOOD)
    context.verify_mode = ssl.CERT_REQUIRED
    async with serving(answer(FINE), tls=context) as served:
        result = await ask(served.port)

    assert result.verdict is Verdict.FAIL
    assert result.reason in REFUSED


@pytest.mark.parametrize(
    ("behaviour", "reasons"),
    [
        (silent, {Reason.TIMEOUT}),
        (close_at_once, REFUSED),
        (endless_garbage, {Reason.TIMEOUT}),  # it waits for a request that never comes
    ],
)
@on_uvloop
async def test_a_handshake_that_does_not_happen_ends_in_time(behaviour: Behaviour, reasons: set[Reason]) -> None:
    """Fault 46: a stalled or broken handshake is part of the one deadline."""
    async with serving(behaviour) as served:
        result = await ask(served.port, seconds=SECONDS)

    assert result.verdict is Verdict.FAIL
    assert result.reason in reasons


@on_uvloop
async def test_plain_text_on_a_tls_port_fails() -> None:
    """Fault 46."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 shop.test ESMTP\r\n")
        await asyncio.Event().wait()

    async with serving(greet) as served:
        result = await ask(served.port)

    assert (result.verdict, result.reason) == (Verdict.FAIL, Reason.TLS_FAILED)
