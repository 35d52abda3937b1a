"""Answers of name servers, rewritten."""

import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.agent.dns.message import marked_without_name, question, without_name
from homeostat.agent.dns.names import FailingNames, search_list
from homeostat.agent.dns.packet import carried, replaced

QUERY = dns.message.make_query("db.shop.svc", "A", use_edns=True)


def reply() -> bytes:
    made = dns.message.make_response(QUERY)
    made.answer.append(dns.rrset.from_text("db.shop.svc.", 30, "IN", "A", "192.0.2.1"))
    return made.to_wire()


def ipv4(payload: bytes, protocol: int, header: bytes) -> bytes:
    length = 20 + len(header) + len(payload)
    start = bytes([0x45, 0]) + length.to_bytes(2, "big") + bytes([0, 1, 0x40, 0, 64, protocol, 0, 0])
    return start + bytes([192, 0, 2, 53, 10, 0, 0, 1]) + header + payload


def udp(payload: bytes) -> bytes:
    return b"\0\x35\x30\x39" + (8 + len(payload)).to_bytes(2, "big") + b"\0\0"


def folded(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_failed_answer_has_the_question_and_nothing_else() -> None:
    about = question(reply())
    assert about is not None
    failed = dns.message.from_wire(without_name(reply(), about[1]))

    assert about[0] == "db.shop.svc"
    assert failed.rcode() == dns.rcode.NXDOMAIN
    assert (failed.id, failed.question) == (QUERY.id, QUERY.question)
    assert not failed.answer
    assert not failed.authority
    assert not failed.additional


def test_an_answer_in_a_stream_keeps_its_length() -> None:
    marked = marked_without_name(reply())

    assert len(marked) == len(reply())
    assert dns.message.from_wire(marked).rcode() == dns.rcode.NXDOMAIN


def test_a_query_is_no_answer() -> None:
    assert question(QUERY.to_wire()) is None


@given(st.binary(max_size=600))
def test_no_message_is_too_broken_to_be_looked_at(data: bytes) -> None:
    about = question(data)

    assert about is None or about[1] <= len(data)


@given(st.binary(max_size=200))
def test_no_packet_is_too_broken_to_be_looked_at(data: bytes) -> None:
    found = carried(data)

    assert found is None or found.message in data


def test_a_datagram_gets_the_right_lengths_and_checksums() -> None:
    packet = ipv4(reply(), 17, udp(reply()))
    found = carried(packet)
    assert found is not None
    changed = replaced(packet, found, b"short message")
    pseudo = changed[12:20] + bytes([0, 17]) + len(changed[20:]).to_bytes(2, "big")

    assert int.from_bytes(changed[2:4], "big") == len(changed) == 20 + 8 + len(b"short message")
    assert changed[4:10] == packet[4:10]
    assert int.from_bytes(changed[24:26], "big") == 8 + len(b"short message")
    assert folded(changed[:20]) == 0xFFFF
    assert folded(pseudo + changed[20:]) == 0xFFFF


@pytest.mark.parametrize(
    ("asked", "fails"),
    [
        ("db.shop.svc", True),
        ("DB.Shop.SVC.", True),
        ("db.shop.svc.cluster.local", True),
        ("xdb.shop.svc", False),
        ("db.shop", False),
        ("db.shop.svc.example.com", False),
        ("api.example.org", True),
        ("a.b.example.org.cluster.local", True),
        ("example.org", False),
    ],
)
def test_a_name_fails_by_itself_and_by_what_resolvers_make_of_it(asked: str, fails: bool) -> None:  # noqa: FBT001
    names = FailingNames(["db.shop.svc", "*.example.org"], ["shop.svc.cluster.local", "cluster.local"])

    assert (asked in names) is fails


def test_the_last_search_line_counts() -> None:
    text = "nameserver 10.96.0.10\nsearch a.svc.cluster.local svc.cluster.local\noptions ndots:5\n"

    assert search_list(text) == ("a.svc.cluster.local", "svc.cluster.local")
    assert search_list(text + "search x\n") == ("x",)
    assert search_list("") == ()
