"""How a TLS connection is verified: authorities, client certificates, server names, and none of it."""

import ssl
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.asking import ask
from contract.certificates import (
    AUTHORITY,
    EXPIRED,
    GOOD,
    KEY,
    LOCKED_KEY,
    OTHER_KEY,
    SELF_SIGNED,
    certificate,
    demanding,
    identity,
)
from contract.hostile import answer, encrypted, hearing, no_descriptor_left, on_uvloop, open_files, serving
from homeostat.core.probing.request import HttpRequest, SecretKey, Tls, TlsRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import verdict_of
from homeostat.probe.net.tls import MOST_CONTEXTS, MOST_SYSTEM_CONTEXTS, Contexts

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRUSTING = Tls(ca=AUTHORITY.encode())
OURS = replace(TRUSTING, certificate=GOOD.encode(), private_key=KEY.encode())

both_probes = pytest.mark.parametrize("kind", ["http", "tls"])
both_versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def to(kind: str, port: int, tls: Tls, host: str = "shop.test") -> HttpRequest | TlsRequest:
    if kind == "tls":
        return TlsRequest(host, port, "127.0.0.1", tls=tls)
    return HttpRequest(host, port, "127.0.0.1", is_tls=True, tls=tls)


def made(tls: Tls | None, alpn: tuple[str, ...] = (), contexts: Contexts | None = None) -> ssl.SSLContext:
    context = (contexts or Contexts()).context(tls, alpn)
    assert isinstance(context, ssl.SSLContext)
    return context


# --- Authorities --------------------------------------------------------------------------------------------------


@both_probes
@pytest.mark.parametrize(
    ("ca", "reason"), [(AUTHORITY, Reason.OK), (SELF_SIGNED, Reason.CERTIFICATE_UNTRUSTED), ("", Reason.OK)]
)
@on_uvloop
async def test_authorities_that_are_given_are_trusted_instead_of_the_systems(
    tmp_path: Path, ca: str, reason: Reason, kind: str
) -> None:
    async with serving(answer(FINE), tls=identity(tmp_path, GOOD)) as served:
        ending = await ask(to(kind, served.port, Tls(ca=ca.encode())), authorities=AUTHORITY)

    assert ending.reason is reason


def test_authorities_that_are_given_are_the_only_ones() -> None:
    """A request that names its authorities must not be satisfied by one of the system's."""
    assert made(TRUSTING).cert_store_stats()["x509"] == 1
    assert made(TRUSTING, contexts=Contexts(SELF_SIGNED.encode())).cert_store_stats()["x509"] == 1


@on_uvloop
async def test_an_intermediate_or_the_servers_own_certificate_may_be_the_authority(tmp_path: Path) -> None:
    """As in Go, and so in what users know from Kubernetes: a certificate that is named is trusted."""
    intermediate = certificate("between", "homeostat test ca", is_authority=True)
    leaf = certificate("shop.test", "between")
    async with serving(answer(FINE), tls=identity(tmp_path, leaf)) as served:
        by_intermediate = await ask(to("tls", served.port, Tls(ca=intermediate.encode())))
    async with serving(answer(FINE), tls=identity(tmp_path, SELF_SIGNED)) as served:
        by_itself = await ask(to("tls", served.port, Tls(ca=SELF_SIGNED.encode())))

    assert (by_intermediate.reason, by_itself.reason) == (Reason.OK, Reason.OK)


# --- Client certificates ------------------------------------------------------------------------------------------


@both_versions
@both_probes
@on_uvloop
async def test_a_certificate_of_ours_opens_the_door(tmp_path: Path, kind: str, version: ssl.TLSVersion) -> None:
    context = demanding(tmp_path)
    context.minimum_version = context.maximum_version = version
    async with serving(answer(FINE), tls=context) as served:
        ending = await ask(to(kind, served.port, OURS))

    assert ending.reason is Reason.OK


@both_versions
@both_probes
@on_uvloop
async def test_a_certificate_that_the_server_does_not_like_is_refused(
    tmp_path: Path, kind: str, version: ssl.TLSVersion
) -> None:
    """Fault 46: TLS 1.3 says so only after the handshake, with an alert in place of an answer."""
    context = demanding(tmp_path)
    context.minimum_version = context.maximum_version = version
    async with serving(encrypted(context, FINE)) as served:
        for shown in (SELF_SIGNED, EXPIRED):
            ending = await ask(to(kind, served.port, replace(OURS, certificate=shown.encode())))

            assert ending.reason is Reason.CLIENT_CERTIFICATE_REFUSED


@pytest.mark.parametrize(
    "tls",
    [
        Tls(ca=b"no PEM"),
        Tls(ca=b"\xff\xfe"),
        Tls(ca=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        Tls(ca=KEY.encode()),
        Tls(certificate=b"no PEM", private_key=KEY.encode()),
        Tls(certificate=GOOD.encode()),
        Tls(private_key=KEY.encode()),
        Tls(certificate=GOOD.encode(), private_key=b"\x00\xff"),
        Tls(certificate=GOOD.encode(), private_key=OTHER_KEY.encode()),
        Tls(certificate=GOOD.encode(), private_key=LOCKED_KEY.encode()),
        Tls(ca_from=SecretKey("shop", "tls", "ca.crt")),
        Tls(certificate_from=SecretKey("shop", "tls")),
    ],
)
@on_uvloop
async def test_a_secret_that_is_no_certificate_or_key_is_unusable(tls: Tls) -> None:
    """It is the user who must mend it; a key with a password asks nobody for it; what is missing trusts nobody."""
    async with serving(answer(FINE)) as served:
        for kind in ("http", "tls"):
            ending = await ask(to(kind, served.port, tls))

            assert ending.reason is Reason.SECRET_UNUSABLE
            assert verdict_of(ending.reason) is Verdict.INVALID
    assert served.connections == 0


def test_a_private_key_is_never_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """H9: OpenSSL wants to read it from a file; that one has no name, and is gone when the context is made."""
    seen: list[tuple[str, bool]] = []

    def load(_context: ssl.SSLContext, path: str, **_more: Any) -> None:
        seen.append((str(Path(path).readlink()), stat.S_ISREG(Path(path).stat().st_mode)))

    before = open_files()
    made(OURS)
    with monkeypatch.context() as patch:
        patch.setattr(ssl.SSLContext, "load_cert_chain", load)
        made(OURS)

    assert len(seen) == 1
    assert seen[0][0].startswith("/memfd:")
    assert open_files() == before


# --- Names, and none of it ----------------------------------------------------------------------------------------


@both_probes
@on_uvloop
async def test_a_server_name_that_is_given_is_asked_for_and_verified(tmp_path: Path, kind: str) -> None:
    asked: list[str | None] = []
    context = identity(tmp_path, GOOD)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with serving(answer(FINE), tls=context) as served:
        named = await ask(to(kind, served.port, replace(TRUSTING, server_name="shop.test"), host="other.test"))
        wrong = await ask(to(kind, served.port, replace(TRUSTING, server_name="other.test")))

    assert (named.reason, wrong.reason) == (Reason.OK, Reason.CERTIFICATE_WRONG_HOST)
    assert asked == ["shop.test", "other.test"]


@pytest.mark.parametrize("name", [".shop.test", "a" * 64 + ".test", "a..b"])
@on_uvloop
async def test_a_server_name_that_is_none_is_invalid(name: str) -> None:
    async with serving(answer(FINE)) as served:
        ending = await ask(to("tls", served.port, replace(TRUSTING, server_name=name)))

    assert ending.reason is Reason.INVALID_REQUEST
    assert served.connections == 0


@both_probes
@pytest.mark.parametrize("shown", [SELF_SIGNED, EXPIRED, GOOD])
@on_uvloop
async def test_without_verification_any_certificate_will_do(tmp_path: Path, shown: str, kind: str) -> None:
    """What is not verified proves nothing, so its expiry is not shown either."""
    async with serving(answer(FINE), tls=identity(tmp_path, shown)) as served:
        ending = await ask(to(kind, served.port, Tls(is_verified=False), host="other.test"))

    assert (ending.reason, ending.not_after) == (Reason.OK, 0.0)


@pytest.mark.parametrize("is_agreed", [True, False])
@on_uvloop
async def test_http2_over_tls_must_be_agreed_on(tmp_path: Path, *, is_agreed: bool) -> None:
    context = identity(tmp_path, GOOD)
    context.set_alpn_protocols(["h2"] if is_agreed else ["http/1.1"])
    async with serving(hearing(FINE), tls=context) as served:
        request = HttpRequest("shop.test", served.port, "127.0.0.1", is_tls=True, tls=TRUSTING, is_http2=True)
        ending = await ask(request, 0.5)

    assert ending.reason is Reason.PROTOCOL_ERROR
    assert [line[:3] for line in served.heard[:1]] == ([b"PRI"] if is_agreed else [])


# --- Contexts -----------------------------------------------------------------------------------------------------


def test_a_context_is_made_once_for_each_configuration() -> None:
    contexts = Contexts()
    first = contexts.context(OURS)

    assert contexts.context(replace(OURS, server_name="other.test")) is first
    assert contexts.context(OURS, ("h2",)) is not first
    assert contexts.context(replace(OURS, certificate=SELF_SIGNED.encode())) is not first
    assert contexts.context(replace(OURS, is_verified=False)) is not first
    assert contexts.context(None) is contexts.context(Tls())


def test_no_more_contexts_are_kept_than_may_be() -> None:
    """H9: rotating Secrets do not fill the memory; the one that is used goes on being kept."""
    contexts = Contexts(AUTHORITY.encode())
    system, own = contexts.context(None), contexts.context(TRUSTING)
    for number in range(2 * MOST_CONTEXTS):
        contexts.context(Tls(ca=b"not PEM %d" % number))
        contexts.context(Tls(certificate=b"not PEM %d" % number))
        assert (contexts.context(None), contexts.context(TRUSTING)) == (system, own)

    assert (len(contexts._others), len(contexts._system)) == (MOST_CONTEXTS, MOST_SYSTEM_CONTEXTS)


def test_without_files_no_context_is_made_that_trusts_nobody() -> None:
    """Fault 23: the system's authorities could not be read, which must not fail targets, now or later."""
    contexts = Contexts()
    with no_descriptor_left():
        missing = [contexts.context(None), contexts.context(OURS)]

    assert missing == [Reason.OUT_OF_RESOURCES] * 2
    context = contexts.context(None)
    assert isinstance(context, ssl.SSLContext)
    assert context.cert_store_stats() == made(None).cert_store_stats()


def test_a_context_speaks_nothing_old_or_dear() -> None:
    """Fault 46: no TLS before 1.2, no new handshake in the middle of a connection, no numbers of a server's choice."""
    for context in (made(None), made(OURS), made(Tls(is_verified=False))):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert not [cipher["name"] for cipher in context.get_ciphers() if cipher["name"].startswith("DHE")]
    assert made(TRUSTING).verify_mode is ssl.CERT_REQUIRED
    assert made(TRUSTING).check_hostname
