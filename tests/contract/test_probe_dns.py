import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import pytest

from contract.dns_server import Reply, answering, framed, ignore, response, serving_dns
from contract.hostile import on_uvloop, open_files
from homeostat.core.probing.request import DnsRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.dns import DnsProbe, nameservers_of
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.net.address import Guard
from homeostat.probe.net.resolver import Lookup, Resolver, system_lookup
from homeostat.probe.net.watched_file import WatchedFile

LOOPBACK = Guard(allow=[ip_network("127.0.0.0/8"), ip_network("::1/128")])
A_RECORD = "a.example. 60 IN A 192.0.2.1"
COMPRESSION_LOOP = bytes.fromhex("c01b000100010000003c0004c0000201")


@contextmanager
def probing(guard: Guard = LOOPBACK, lookup: Lookup = system_lookup, **settings: Any) -> Iterator[DnsProbe]:
    resolver = Resolver(guard, lookup, time.monotonic)
    try:
        yield DnsProbe(resolver, time.monotonic, **settings)
    finally:
        resolver.close()


async def ask(port: int, record: str = "A", seconds: float = 5, name: str = "a.example", **fields: Any) -> Ending:
    """Ask the server at `port` of loopback."""
    with probing() as probe:
        request = DnsRequest(name, record, "127.0.0.1", port, **fields)
        return await probe.run(request, time.monotonic() + seconds)


@pytest.mark.parametrize(
    ("record", "value", "expected", "other"),
    [
        ("A", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("AAAA", "2001:db8::1", "2001:0DB8:0:0::1", "2001:db8::2"),
        ("CNAME", "b.example.", "B.example", "example"),
        ("MX", "10 mail.example.", "10 Mail.Example", "20 mail.example"),
        ("NS", "ns.example.", "ns.example", "ns"),
        ("PTR", "host.example.", "host.example.", "host.example.example"),
        ("SOA", "ns.example. root.example. 1 2 3 4 5", "NS.example root.example 1 2 3 4 5", "a b 1 2 3 4 5"),
        ("SRV", "0 5 5060 sip.example.", "0 5 5060 sip.example", "0 5 5061 sip.example"),
        ("TXT", '"v=spf1 " "-ALL"', "v=spf1 -ALL", "v=spf1 -all"),
    ],
)
@on_uvloop
async def test_a_record_of_each_type_is_compared_by_what_it_means(
    record: str, value: str, expected: str, other: str
) -> None:
    """Names without regard to case and the last dot, addresses as addresses, the strings of a text joined."""
    async with serving_dns(answering(f"a.example. 60 IN {record} {value}")) as served:
        passing = await ask(served.port, record, expect=(expected,))
        failing = await ask(served.port, record, expect=(other,))

    assert (passing.reason, passing.code) == (Reason.OK, 0)
    assert failing.reason is Reason.UNEXPECTED_ANSWER
    assert verdict_of(failing.reason) is Verdict.FAIL


@on_uvloop
async def test_every_expected_value_must_be_among_the_answers() -> None:
    async with serving_dns(answering(A_RECORD, "a.example. 60 IN A 192.0.2.2")) as served:
        both = await ask(served.port, expect=("192.0.2.2", "192.0.2.1"))
        one_more = await ask(served.port, expect=("192.0.2.2", "192.0.2.1", "192.0.2.3"))

    assert both.reason is Reason.OK
    assert one_more.reason is Reason.UNEXPECTED_ANSWER


@on_uvloop
async def test_an_address_at_the_end_of_a_chain_of_aliases_counts() -> None:
    """Fault 41: and aliases that lead round in a circle have none."""
    chain = ("a.example. 60 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1")
    circle = (chain[0], "b.example. 60 IN CNAME a.example.")
    async with serving_dns(answering(*chain)) as served:
        whole = await ask(served.port, expect=("192.0.2.1",))
    async with serving_dns(answering(chain[0])) as served:
        dangling = await ask(served.port)
    async with serving_dns(answering(*circle)) as served:
        round_and_round = await ask(served.port)

    assert whole.reason is Reason.OK
    assert dangling.reason is Reason.NO_SUCH_RECORD
    assert round_and_round.reason is Reason.NO_SUCH_RECORD


@on_uvloop
async def test_the_name_is_asked_as_it_is_without_search_domains() -> None:
    async with serving_dns(answering("db. 60 IN A 192.0.2.1")) as served:
        ending = await ask(served.port, name="DB")

    (asked,) = dns.message.from_wire(served.datagrams[0]).question
    assert ending.reason is Reason.OK
    assert str(asked.name) == "db."


@pytest.mark.parametrize(
    ("rcode", "reason"),
    [
        (0, Reason.NO_SUCH_RECORD),
        (1, Reason.NAME_SERVER_FAILED),
        (2, Reason.NAME_SERVER_FAILED),
        (3, Reason.NO_SUCH_NAME),
        (4, Reason.NAME_SERVER_FAILED),
        (5, Reason.NAME_SERVER_FAILED),
        (9, Reason.NAME_SERVER_FAILED),
    ],
)
@on_uvloop
async def test_a_refusal_is_told_by_its_code(rcode: int, reason: Reason) -> None:
    """Fault 41: SERVFAIL among them."""
    async with serving_dns(answering(rcode=rcode)) as served:
        ending = await ask(served.port)

    assert (ending.reason, ending.code) == (reason, rcode)
    assert verdict_of(reason) is Verdict.FAIL


@on_uvloop
async def test_a_server_that_understands_nothing_may_leave_the_question_out() -> None:
    def form_error(query: bytes, reply: Reply) -> None:
        reply(query[:2] + bytes.fromhex("80010000000000000000"))

    async with serving_dns(form_error) as served:
        ending = await ask(served.port)

    assert (ending.reason, ending.code) == (Reason.NAME_SERVER_FAILED, 1)


@on_uvloop
async def test_a_truncated_answer_is_asked_for_again_by_tcp() -> None:
    """Fault 48: the datagram held nothing, the connection holds 300 records in small pieces."""
    records = [f"a.example. 60 IN A 192.0.2.{number}" for number in range(1, 250)]

    async def drip(query: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = framed(response(query, *records))
        for start in range(0, len(message), 1000):
            writer.write(message[start : start + 1000])
            await asyncio.sleep(0.001)

    async with serving_dns(answering(flags=dns.flags.TC), drip) as served:
        ending = await ask(served.port, expect=("192.0.2.1", "192.0.2.249"))

    assert ending.reason is Reason.OK
    assert (len(served.datagrams), served.connections) == (1, 1)
    assert ending.phases is not None
    assert min(ending.phases.connect, ending.phases.first_byte, ending.phases.transfer) > 0


def with_other_id(query: bytes, reply: Reply) -> None:
    message = bytearray(response(query, "a.example. 60 IN A 192.0.2.66"))
    message[0] ^= 0xFF
    reply(bytes(message))


def with_other_question(query: bytes, reply: Reply) -> None:
    reply(response(query.replace(b"\x01a", b"\x01b"), "b.example. 60 IN A 192.0.2.66"))


def from_another_port(query: bytes, reply: Reply) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(response(query, "a.example. 60 IN A 192.0.2.66"), reply.client)


def a_query(query: bytes, reply: Reply) -> None:
    reply(query)


def too_short(_query: bytes, reply: Reply) -> None:
    reply(b"")
    reply(b"\x00")


FORGERIES = [with_other_id, with_other_question, from_another_port, a_query, too_short]


@pytest.mark.parametrize("forge", FORGERIES)
@on_uvloop
async def test_what_is_no_answer_to_our_question_is_ignored(forge: Any) -> None:
    """Fault 48: a wrong id, a spoof; the right answer comes after it and counts."""

    def forge_then_answer(query: bytes, reply: Reply) -> None:
        forge(query, reply)
        reply(response(query, A_RECORD))

    async with serving_dns(forge_then_answer) as served:
        ending = await ask(served.port, expect=("192.0.2.1",))

    assert ending.reason is Reason.OK


@pytest.mark.parametrize("forge", FORGERIES)
@on_uvloop
async def test_forgeries_alone_end_at_the_timeout(forge: Any) -> None:
    async with serving_dns(forge) as served:
        ending = await ask(served.port, seconds=0.2)

    assert ending.reason is Reason.TIMEOUT


@on_uvloop
async def test_a_flood_of_forgeries_ends_and_the_loop_still_turns() -> None:
    def flood(query: bytes, reply: Reply) -> None:
        for _ in range(100):
            with_other_id(query, reply)
        asyncio.get_running_loop().call_later(0.001, flood, query, reply)

    async with asyncio.timeout(10):
        async with serving_dns(flood) as served:
            ending = await ask(served.port, seconds=60)

    assert ending.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("counts", "rest"),
    [
        ("0001", COMPRESSION_LOOP),  # the name points to itself
        ("0001", COMPRESSION_LOOP[:8]),  # breaks off
        ("0001", b"\xc0\x0c" + COMPRESSION_LOOP[2:10] + b"\x00\x03abc"),  # an address of three bytes
        ("0001", b"\xc0\xff" + COMPRESSION_LOOP[2:]),  # points to what comes later
        ("0001", b"\x80" + COMPRESSION_LOOP[2:]),  # a label of no known type
        ("0002", b"\xc0\x0c" + COMPRESSION_LOOP[2:]),  # one record less than promised
        ("ffff", b"\xc0\x0c" + COMPRESSION_LOOP[2:]),
        ("0400", (b"\xc0\x0c" + COMPRESSION_LOOP[2:]) * 1024),  # more than anybody needs
    ],
)
@on_uvloop
async def test_a_malformed_answer_is_a_protocol_error(counts: str, rest: bytes) -> None:
    """Fault 48: a compression loop, and its like."""

    def malformed(query: bytes, reply: Reply) -> None:
        reply(query[:2] + bytes.fromhex("81800001" + counts + "00000000") + query[12:] + rest)

    async with serving_dns(malformed) as served:
        ending = await ask(served.port)

    assert ending.reason is Reason.PROTOCOL_ERROR


@on_uvloop
async def test_sixty_four_kilobytes_that_drip_end_at_the_timeout() -> None:
    """Fault 48."""

    async def drip(_query: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xff")
        while True:
            writer.write(b"\x00")
            await asyncio.sleep(0.01)

    async with asyncio.timeout(10):
        async with serving_dns(answering(flags=dns.flags.TC), drip) as served:
            ending = await ask(served.port, seconds=0.3)

    assert ending.reason is Reason.TIMEOUT


@on_uvloop
async def test_what_comes_after_the_message_is_not_waited_for() -> None:
    """Fault 48: a connection that never ends."""

    async def endless(query: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(response(query, A_RECORD)))
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async with asyncio.timeout(10):
        async with serving_dns(answering(flags=dns.flags.TC), endless) as served:
            ending = await ask(served.port, seconds=60)

    assert ending.reason is Reason.OK


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.CONNECTION_CLOSED),
        (b"\x00\x10only", Reason.CONNECTION_CLOSED),
        (b"\x00\x00", Reason.PROTOCOL_ERROR),
        (framed(bytes(12)), Reason.PROTOCOL_ERROR),
        (framed(bytes(65535)), Reason.PROTOCOL_ERROR),
    ],
)
@on_uvloop
async def test_a_connection_that_gives_no_answer_fails(payload: bytes, reason: Reason) -> None:
    async def say(_query: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(payload)
        writer.write_eof()
        await reader.read()

    async with serving_dns(answering(flags=dns.flags.TC), say) as served:
        ending = await ask(served.port)

    assert ending.reason is reason


@on_uvloop
async def test_a_datagram_that_got_lost_is_sent_once_more() -> None:
    def lose_the_first(query: bytes, reply: Reply) -> None:
        if len(served.datagrams) > 1:
            reply(response(query, A_RECORD))

    async with serving_dns(lose_the_first) as served:
        ending = await ask(served.port, seconds=2)

    assert ending.reason is Reason.OK
    assert len(served.datagrams) == 2


@on_uvloop
async def test_a_silent_server_ends_at_the_timeout() -> None:
    async with serving_dns(ignore) as served:
        ending = await ask(served.port, seconds=0.6)

    assert ending.reason is Reason.TIMEOUT
    assert len(served.datagrams) == 2


@on_uvloop
async def test_a_port_where_nobody_listens_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with asyncio.timeout(10):
        ending = await ask(port, seconds=60)

    assert ending.reason is Reason.CONNECTION_REFUSED


@on_uvloop
async def test_a_server_that_is_not_allowed_is_not_asked() -> None:
    """H9: an address, an odd spelling of it, and a name that resolves to it."""
    async with serving_dns(answering(A_RECORD)) as served:
        with probing(Guard(), lookup=lambda _: ("127.0.0.1",)) as probe:
            endings = [
                await probe.run(DnsRequest("a.example", "A", server, served.port), time.monotonic() + 5)
                for server in ("127.0.0.1", "::ffff:127.0.0.1", "2130706433", "ns.test")
            ]

    assert {ending.reason for ending in endings} == {Reason.ADDRESS_NOT_ALLOWED}
    assert not served.datagrams


@on_uvloop
async def test_the_servers_of_the_administrator_may_be_anywhere() -> None:
    """The guard allows nothing on loopback; by TCP neither."""

    async def answer(query: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(response(query, A_RECORD)))
        await writer.drain()

    async with serving_dns(answering(flags=dns.flags.TC), answer) as served:
        with probing(Guard(), nameservers=lambda: ("127.0.0.1",), port=served.port) as probe:
            ending = await probe.run(DnsRequest("a.example"), time.monotonic() + 5)

    assert ending.reason is Reason.OK


@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
@on_uvloop
async def test_the_next_server_is_asked_when_the_first_is_not_there(dead: str) -> None:
    async with serving_dns(answering(A_RECORD)) as served:
        with probing(nameservers=lambda: (dead, "127.0.0.1"), port=served.port) as probe:
            ending = await probe.run(DnsRequest("a.example"), time.monotonic() + 5)

    assert ending.reason is Reason.OK
    assert len(served.datagrams) == 1


@on_uvloop
async def test_the_first_server_is_still_heard_while_the_next_is_asked() -> None:
    loop = asyncio.get_running_loop()
    late: list[Callable[[], None]] = []

    def hold_back(query: bytes, reply: Reply) -> None:
        late.append(lambda: reply(response(query, A_RECORD)))

    def let_go() -> None:
        second.recv(4096)
        late[0]()

    async with serving_dns(hold_back) as served:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            second.bind(("127.0.0.2", served.port))
            loop.add_reader(second, let_go)
            with probing(nameservers=lambda: ("127.0.0.1", "127.0.0.2"), port=served.port) as probe:
                ending = await probe.run(DnsRequest("a.example"), time.monotonic() + 2)
            loop.remove_reader(second)

    assert ending.reason is Reason.OK


@on_uvloop
async def test_a_server_may_be_named() -> None:
    async with serving_dns(answering(A_RECORD)) as served:
        with probing(lookup=lambda _: ("::1", "127.0.0.1")) as probe:
            ending = await probe.run(DnsRequest("a.example", "A", "ns.test", served.port), time.monotonic() + 5)

    assert ending.reason is Reason.OK
    assert ending.phases is not None
    assert ending.phases.resolve > 0


@on_uvloop
async def test_a_server_whose_name_does_not_resolve_is_told() -> None:
    def unknown(_: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with probing(lookup=unknown) as probe:
        ending = await probe.run(DnsRequest("a.example", "A", "ns.test"), time.monotonic() + 5)

    assert ending.reason is Reason.NAME_NOT_RESOLVED


@on_uvloop
async def test_a_server_on_ipv6_is_asked() -> None:
    async with serving_dns(answering(A_RECORD), host="::1") as served:
        with probing() as probe:
            ending = await probe.run(DnsRequest("a.example", "A", "::1", served.port), time.monotonic() + 5)

    assert ending.reason is Reason.OK


@pytest.mark.parametrize(
    "request_",
    [
        DnsRequest("a..example"),
        DnsRequest("a" * 64 + ".example"),
        DnsRequest(".".join(["label"] * 50)),
        DnsRequest("a.example", "NOTYPE"),
        DnsRequest("a.example", "A", "name server"),
        DnsRequest("a.example", "A", "127.0.0.1", 0),
        DnsRequest("a.example", "A", expect=("300.0.0.1",)),
        DnsRequest("a.example", "A", expect=("2001:db8::1",)),
        DnsRequest("a.example", "AAAA", expect=("192.0.2.1",)),
        DnsRequest("a.example", "MX", expect=("mail.example",)),
        DnsRequest("a.example", "SRV", expect=("5060 sip.example",)),
    ],
)
@on_uvloop
async def test_what_cannot_be_asked_or_expected_is_invalid(request_: DnsRequest) -> None:
    with probing(nameservers=lambda: ("127.0.0.1",), port=1) as probe:
        ending = await probe.run(request_, time.monotonic() + 5)

    assert ending.reason is Reason.INVALID_REQUEST


@on_uvloop
async def test_nothing_stays_open() -> None:
    async def close(_query: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    async with serving_dns(answering(flags=dns.flags.TC), close) as served:
        await ask(served.port)
        before = open_files()
        for _ in range(20):
            await ask(served.port, seconds=0.5)
        await asyncio.sleep(0.01)

        assert open_files() <= before


def test_the_servers_of_resolv_conf_are_read_as_the_c_library_reads_them() -> None:
    text = "# nameserver 192.0.2.9\nsearch svc.cluster.local\nnameserver 10.96.0.10 # kube\nnameserver nonsense\n"
    more = "nameserver ::1\n nameserver fe80::1%eth0\nnameserver 192.0.2.4\nnameserver\noptions ndots:5\n"

    assert nameservers_of(text) == ("10.96.0.10",)
    assert nameservers_of(text + more) == ("10.96.0.10", "::1", "fe80::1%eth0")
    assert nameservers_of("") == ("127.0.0.1",)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    file = WatchedFile(path, nameservers_of)
    assert file.content() == ("127.0.0.1",)

    path.write_text("nameserver 192.0.2.1\n")
    assert file.content() == ("192.0.2.1",)

    replacement = tmp_path / "new"
    replacement.write_text("nameserver 192.0.2.2\n")
    replacement.rename(path)
    assert file.content() == ("192.0.2.2",)

    path.unlink()
    assert file.content() == ("127.0.0.1",)
