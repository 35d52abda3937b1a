"""Where HTTP/1 messages end, told from their bytes: the same however the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.agent.http.answer import answer_to
from homeostat.agent.http.body import BadChunk, Body, Chunked
from homeostat.agent.http.message import LONGEST_HEAD, Unreadable, read_request, read_response

HEAD = b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


def passed(body: Body, stream: bytes, cuts: list[int]) -> int:
    """Give how many bytes of a stream belong to a body, when it comes in pieces."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    waiting, total = b"", 0
    for start, end in pairwise(places):
        waiting += stream[start:end]
        while not body.is_over and (taken := body.take(waiting)):
            waiting = waiting[taken:]
            total += taken
    return total


@given(st.binary(max_size=300), st.lists(st.integers(0, 500), max_size=8))
def test_a_counted_body_ends_at_its_length(rest: bytes, cuts: list[int]) -> None:
    """What follows belongs to the next message."""
    request = read_request(HEAD)
    assert request is not None
    body = request.body()

    assert passed(body, b"hello" + rest, cuts) == 5
    assert body.is_over


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.sampled_from([b"", b"T: 1\r\n", b"T: 1\r\nU: 2\r\n"]),
    st.binary(max_size=50),
    st.lists(st.integers(0, 1000), max_size=10),
)
def test_a_chunked_body_ends_after_its_trailer(
    chunks: list[bytes], trailer: bytes, rest: bytes, cuts: list[int]
) -> None:
    """Cut anywhere, also in the middle of a size."""
    framed = b"".join(b"%x;x=y\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
    body = Chunked()

    assert passed(body, framed + rest, cuts) == len(framed)
    assert body.is_over


@pytest.mark.parametrize("bad", [b"x\r\n", b"-1\r\n", b"\r\n", b"1" * 9000, b"3\r\nabc\r\n3x\r\n"])
def test_what_is_no_chunk_is_said_so(bad: bytes) -> None:
    """The end of such a body is not known, and no guess is made."""
    body = Chunked()
    with pytest.raises(BadChunk):
        body.take(bad[body.take(bad) :])


@given(st.integers(0, len(HEAD) - 1))
def test_a_head_is_waited_for_until_it_is_all_there(cut: int) -> None:
    """Any beginning of a request can become one."""
    assert read_request(HEAD[:cut]) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_will_be_or_cannot_be(data: bytes) -> None:
    """Reading is total: it raises nothing else."""
    try:
        request = read_request(data)
    except Unreadable:
        return
    assert request is None or data.startswith(request.raw)


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n",
        b"\x16\x03\x01",
        b"GET /\r\n",
        b"get foo\r\n",
        b" GET / HTTP/1.1\r\n",
        b"A" * 25,
        b"GET / HTTP/1.1\r\nX: " + b"x" * LONGEST_HEAD,
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_can_be_no_request_is_known_at_once(data: bytes) -> None:
    """Nothing is held back that a program which speaks otherwise waits for; two lengths are no length."""
    with pytest.raises(Unreadable):
        read_request(data)


def test_the_same_length_twice_is_one_length() -> None:
    """Proxies make such heads."""
    request = read_request(b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\ncontent-length:3\r\n\r\n")

    assert request is not None
    assert request.fields.length == 3


@pytest.mark.parametrize(
    ("method", "head", "is_over"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", False),
        (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"GET", b"HTTP/1.0 200 OK\r\n\r\n", False),
    ],
)
def test_an_answer_has_a_body_or_not_by_its_head_and_its_request(method: bytes, head: bytes, *, is_over: bool) -> None:
    """As RFC 9112 has it."""
    response = read_response(head, method)

    assert response is not None
    assert response.body().is_over is is_over


@pytest.mark.parametrize(("status", "method", "switches"), [(101, b"GET", 1), (200, b"CONNECT", 1), (200, b"GET", 0)])
def test_a_switch_of_protocols_is_seen(status: int, method: bytes, switches: int) -> None:
    """After it nothing is HTTP/1 any more."""
    response = read_response(b"HTTP/1.1 %d x\r\n\r\n" % status, method)

    assert response is not None
    assert response.switches is bool(switches)


@given(status=st.integers(200, 599), method=st.sampled_from([b"GET", b"HEAD", b"POST"]), goes_on=st.booleans())
def test_our_own_answers_can_be_read(status: int, method: bytes, *, goes_on: bool) -> None:
    """What we say ends where its head says."""
    request = read_request(method + b" / HTTP/1.1\r\n\r\n")
    assert request is not None
    answer = answer_to(request, status, goes_on=goes_on)
    response = read_response(answer, method)

    assert response is not None
    assert response.status == status
    assert passed(response.body(), answer[len(response.raw) :], []) == len(answer) - len(response.raw)
