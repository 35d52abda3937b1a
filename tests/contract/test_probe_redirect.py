"""Redirects: where they lead, whether we go there, and what we take along."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.asking import ask, network, run
from contract.certificates import AUTHORITY, GOOD, GOOD_UNTIL, identity
from contract.hostile import answer, hearing, on_uvloop, serving
from homeostat.core.probing.request import Content, HttpRequest, SecretKey, Tls
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http.redirect import next_hop

KEY = SecretKey("shop", "token", "value")
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FOLLOWED = (301, 302, 303, 307, 308)


def asking(**more: Any) -> HttpRequest:
    return HttpRequest(**{"host": "a", "port": 80, "target": "/b/c/d;p?q", **more})


def hop(location: str, status: int = 302, **more: Any) -> HttpRequest | Reason:
    return next_hop(asking(**more), status, location)


def moved(location: str, status: int = 302, rest: str = "") -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\n{rest}Content-Length: 0\r\n\r\n".encode("latin-1")


# --- Where to -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d;p?y"),
        ("g?y", "/b/c/g?y"),
        ("#s", "/b/c/d;p?q"),
        ("g#s", "/b/c/g"),
        ("g?y#s", "/b/c/g?y"),
        (";x", "/b/c/;x"),
        ("g;x?y#s", "/b/c/g;x?y"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../", "/"),
        ("../../g", "/g"),
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        (".g", "/b/c/.g"),
        ("g..", "/b/c/g.."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g;x=1/./y", "/b/c/g;x=1/y"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/./x", "/b/c/g?y/./x"),
        ("g?y/../x", "/b/c/g?y/../x"),
        ("http://a", "/"),
        ("http://a?y", "/?y"),
        ("HTTP://A:80/g/../h#s", "/h"),
        ("http://a./g", "/g"),
        ("//a/g", "/g"),
        ("http://a//g", "//g"),
        ("http://a:/g", "/g"),
    ],
)
def test_a_location_is_resolved_as_rfc_3986_says(location: str, target: str) -> None:
    """The examples of its section 5.4, as far as they stay on the host; fragments are for browsers."""
    assert hop(location) == asking(target=target)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://b/",
        "//b/",
        "http://a.b/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://2852039166/",
        "http://127.0.0.1/",
        "http:g",
        "http:/g",
        "http:///g",
        "ftp://a/",
        "file:///etc/passwd",
        "gopher://a/",
        "javascript:alert(1)",
        "data:,x",
        "http://user@a/",
        "http://user:password@a/",
        "http://a@b/",
        "http://b#@a/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:80x/",
        "http://a:-1/",
        "http://a:8 0/",
        "http://a\\@b/",
        "http:\\\\b\\",
        "/\\b",
        "\\\\b",
        "/g\r\nX-Evil: 1",
        "/g\nb",
        "/g\x00",
        "/g b",
        "/g\x7f",
        "/\xe9",
        "http://\xe1/",
        "http://%61/",
        "/" + "g" * 8192,
    ],
)
@pytest.mark.parametrize("status", FOLLOWED)
def test_a_location_elsewhere_or_that_is_none_is_not_followed(location: str, status: int) -> None:
    """H9, faults 40 and 42: another host, another scheme, user and password, line breaks, backslashes."""
    assert hop(location, status) is Reason.REDIRECTED


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 309, 400])
def test_a_status_that_is_no_redirect_is_not_followed(status: int) -> None:
    assert hop("/g", status) is Reason.REDIRECTED


def test_https_is_never_left_for_http() -> None:
    """Fault 42: not even on the same host and port."""
    assert hop("http://a/", is_tls=True, port=443) is Reason.REDIRECTED
    assert hop("http://a:443/", is_tls=True, port=443) is Reason.REDIRECTED
    assert hop("http://a:8443/", is_tls=True, port=8443) is Reason.REDIRECTED


def test_http_may_be_left_for_https() -> None:
    tls = Tls(server_name="b")

    assert hop("https://a/g", tls=tls) == asking(is_tls=True, port=443, target="/g", tls=tls)
    assert hop("https://a:8443/g") == asking(is_tls=True, port=8443, target="/g")


def test_an_address_in_brackets_is_a_host_too() -> None:
    assert hop("http://[FD00::1]:8080/g", host="fd00::1", port=8080) == asking(host="fd00::1", port=8080, target="/g")


@pytest.mark.parametrize(
    ("location", "is_followed"),
    [
        ("/g", True),
        ("//a:8080/g", True),
        ("http://a:8080/g", True),
        ("https://a:8080/g", True),
        ("http://a/g", False),
        ("https://a/g", False),
        ("http://a:8081/g", False),
        ("http://b:8080/g", False),
    ],
)
def test_a_pinned_request_stays_on_its_endpoint_or_is_not_followed(location: str, *, is_followed: bool) -> None:
    """H4: what another endpoint of a Service says would say nothing of this one."""
    followed = hop(location, address="10.0.0.1", port=8080)

    assert isinstance(followed, HttpRequest) is is_followed
    if isinstance(followed, HttpRequest):
        assert (followed.address, followed.port) == ("10.0.0.1", 8080)


# --- What we take along -------------------------------------------------------------------------------------------

POST = {"method": "POST", "body": b"{}", "headers": (("Content-Type", "text/json"), ("X-A", "b"))}


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        ("GET", 301, "GET"),
        ("GET", 303, "GET"),
        ("HEAD", 302, "HEAD"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("DELETE", 303, "GET"),
        ("PATCH", 308, "PATCH"),
    ],
)
def test_the_status_says_what_becomes_of_the_method(method: str, status: int, becomes: str) -> None:
    """RFC 9110, section 15.4: and with a GET that was none, the body and what describes it are left behind."""
    request = asking(**(POST | {"method": method}))
    followed = next_hop(request, status, "/g")

    kept = replace(request, target="/g")
    rewritten = replace(kept, method="GET", body=b"", headers=(("X-A", "b"),))
    assert followed == (kept if becomes == method else rewritten)


SECRET = {
    "headers": (("X-A", "b"), ("Authorization", "captured")),
    "headers_from": (("X-Token", KEY),),
    "secret_headers": (("X-Token", "hidden"),),
}


@pytest.mark.parametrize("location", ["/g", "http://a/g", "http://a:80/g", "https://a/g", "https://a:443/g"])
def test_secrets_go_on_to_the_same_origin_and_to_its_https(location: str) -> None:
    followed = hop(location, **SECRET)

    assert isinstance(followed, HttpRequest)
    assert followed.secret_headers == SECRET["secret_headers"]
    assert followed.headers == SECRET["headers"]


@pytest.mark.parametrize("location", ["http://a:8080/g", "https://a:80/g", "https://a:8443/g"])
def test_secrets_go_to_no_other_port(location: str) -> None:
    """H9: another port of a host may be another's; nor does what a step captured go there."""
    followed = hop(location, **SECRET)

    assert isinstance(followed, HttpRequest)
    assert (followed.secret_headers, followed.headers_from) == ((), ())
    assert followed.headers == (("X-A", "b"),)


def test_a_secret_body_is_sent_whole_or_not_at_all() -> None:
    more = {"method": "POST", "body_from": KEY, "secret_body": b"hidden"}
    same, elsewhere, without = (
        hop("/g", 307, **more),
        hop("http://a:8080/g", 307, **more),
        hop("http://a:8080/g", 303, **more),
    )

    assert isinstance(same, HttpRequest)
    assert same.secret_body == b"hidden"
    assert elsewhere is Reason.REDIRECTED
    assert isinstance(without, HttpRequest)
    assert (without.method, without.secret_body, without.body_from) == ("GET", b"", None)


locations = st.one_of(
    st.text(max_size=40),
    st.text("ab:/?#@\\.[]%0189https \r\n", max_size=40),
    st.builds(
        "{}://{}{}".format,
        st.sampled_from(["http", "https", "ftp"]),
        st.text("aAb.:@0189", max_size=9),
        st.text("/.?#ab"),
    ),
)


@given(
    location=locations,
    status=st.sampled_from(FOLLOWED),
    is_tls=st.booleans(),
    port=st.sampled_from([80, 443, 8080]),
    address=st.sampled_from(["", "10.0.0.1"]),
)
def test_no_location_leads_away(location: str, status: int, *, is_tls: bool, port: int, address: str) -> None:
    """H9, fault 42: whatever a server says, the host stays, HTTPS stays, a pin stays, secrets stay at home."""
    request = asking(is_tls=is_tls, port=port, address=address, **SECRET)
    followed = next_hop(request, status, location)
    if isinstance(followed, Reason):
        assert followed is Reason.REDIRECTED
        return

    assert (followed.host, followed.address) == (request.host, request.address)
    assert followed.is_tls or not request.is_tls
    assert followed.port == port or not address
    is_home = (followed.is_tls, followed.port) == (is_tls, port)
    is_upgrade = (is_tls, port, followed.is_tls, followed.port) == (False, 80, True, 443)
    assert bool(followed.secret_headers) is (is_home or is_upgrade)
    assert followed.target.startswith("/")
    assert followed.target.isascii()
    assert not set(followed.target) & set(" \\#\r\n\t\0")
    assert not {".", ".."} & set(followed.target.partition("?")[0].split("/"))


# --- On the wire --------------------------------------------------------------------------------------------------


def to(port: int, **more: Any) -> HttpRequest:
    return HttpRequest(**{"host": "shop.test", "port": port, "address": "127.0.0.1", "follow_redirects": 3, **more})


@pytest.mark.parametrize("more", [{}, {"content": Content(contains="ok")}, {"keeps_connection": True}])
@on_uvloop
async def test_redirects_are_followed_to_the_answer(more: dict[str, Any]) -> None:
    async with serving(hearing(moved("/one"), moved("two?x", 301), moved("/three#top", 308), FINE)) as served:
        ending = await ask(to(served.port, **more))

    assert (ending.reason, ending.code) == (Reason.OK, 200)
    targets = [request.split(b" ")[1] for request in served.heard]
    assert targets == [b"/", b"/one", b"/two?x", b"/three"]
    assert served.connections == (1 if "keeps_connection" in more else 4)


@on_uvloop
async def test_the_last_answer_is_the_one_that_is_judged() -> None:
    async with serving(hearing(moved("/one"), b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nok")) as served:
        ending = await ask(to(served.port, content=Content(contains="ok")))

    assert (ending.reason, ending.code) == (Reason.UNEXPECTED_STATUS, 503)


@pytest.mark.parametrize("most", [1, 3, 10])
@on_uvloop
async def test_a_loop_ends_when_too_many_were_followed(most: int) -> None:
    """Fault 42: the count bounds it."""
    async with serving(hearing(moved("/"))) as served:
        ending = await ask(to(served.port, follow_redirects=most, expect_status=("2xx", "3xx")))

    assert (ending.reason, ending.code) == (Reason.TOO_MANY_REDIRECTS, 302)
    assert len(served.heard) == most + 1


@pytest.mark.parametrize("expected", [("2xx",), ("2xx", "302")])
@pytest.mark.parametrize(
    "payload",
    [
        moved("http://169.254.169.254/latest/meta-data/"),
        moved("http://10.0.0.1/"),
        moved("http://other.test/"),
        moved("/one", rest="Location: /two\r\n"),
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    ],
)
@on_uvloop
async def test_a_redirect_that_is_not_followed_is_a_result(payload: bytes, expected: tuple[str, ...]) -> None:
    """Fault 42: to link-local, metadata, private, elsewhere; it passes only where a 302 is expected."""
    async with serving(hearing(payload)) as served:
        ending = await ask(to(served.port, expect_status=expected))

    assert (ending.reason, ending.code) == (Reason.OK if "302" in expected else Reason.REDIRECTED, 302)
    assert len(served.heard) == 1


@on_uvloop
async def test_a_body_without_end_does_not_keep_a_redirect_from_being_followed() -> None:
    async with serving(answer(moved("/", rest="X-A: b\r\n")[:-21] + b"\r\n" + bytes(1 << 20))) as served:
        ending = await ask(to(served.port))

    assert (ending.reason, served.connections) == (Reason.TOO_MANY_REDIRECTS, 4)


@on_uvloop
async def test_all_hops_have_one_deadline_and_their_phases_are_summed() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.15)
        writer.write(moved("/"))
        await reader.read()

    async with serving(slowly) as served:
        ending = await ask(to(served.port, follow_redirects=10), seconds=0.5)

    assert ending.reason is Reason.TIMEOUT
    assert 2 <= served.connections <= 4
    assert ending.phases is not None
    assert 0.25 <= ending.phases.first_byte <= 0.7


@on_uvloop
async def test_every_hop_is_checked_again() -> None:
    """H9, fault 41: a name that has become forbidden by the next hop."""
    answers = [("127.0.0.1",), ("169.254.169.254",)]
    async with serving(hearing(moved("/one"))) as served:
        with network(lookup=lambda _: answers.pop(0)) as probes:
            probes._resolver._keep = lambda _host, found: found  # type: ignore[method-assign] # remember nothing
            ending = await run(probes, to(served.port, address=""))

    assert ending.reason is Reason.ADDRESS_NOT_ALLOWED
    assert served.connections == 1


@on_uvloop
async def test_a_redirect_to_https_is_verified(tmp_path: Path) -> None:
    secure_port: list[int] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hearing(moved(f"https://shop.test:{secure_port[0]}/"))(reader, writer)

    async with serving(hearing(FINE), tls=identity(tmp_path, GOOD)) as secure, serving(redirect) as plain:
        secure_port.append(secure.port)
        request = to(plain.port, address="", secret_headers=(("X-Token", "hidden"),))
        more: dict[str, Any] = {"lookup": lambda _: ("127.0.0.1",), "authorities": AUTHORITY}
        fine = await ask(request, **more)
        wrong = await ask(replace(request, tls=Tls(server_name="other.test")), **more)

    assert (fine.reason, fine.not_after) == (Reason.OK, GOOD_UNTIL)
    assert wrong.reason is Reason.CERTIFICATE_WRONG_HOST
    assert b"hidden" in plain.heard[0]
    assert b"hidden" not in secure.heard[0]


@on_uvloop
async def test_a_redirect_from_https_to_http_is_a_result(tmp_path: Path) -> None:
    """Fault 42: what was asked for in private is not asked for in public."""
    async with serving(hearing(FINE)) as plain:
        away = hearing(moved(f"http://shop.test:{plain.port}/"))
        async with serving(away, tls=identity(tmp_path, GOOD)) as secure:
            request = to(secure.port, address="", is_tls=True)
            ending = await ask(request, lookup=lambda _: ("127.0.0.1",), authorities=AUTHORITY)

    assert (ending.reason, ending.code, plain.connections) == (Reason.REDIRECTED, 302, 0)


@on_uvloop
async def test_nothing_is_followed_unless_that_is_asked_for() -> None:
    async with serving(hearing(moved("/one"))) as served:
        ending = await ask(to(served.port, follow_redirects=0))

    assert ending._replace(phases=None) == Ending(Reason.REDIRECTED, 302)
    assert len(served.heard) == 1
