import struct
import time

import dns.message
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.probing.result import Reason
from homeostat.probe.dns_message import Question, all_canonical, canonical, is_answer, is_truncated, judge, question_of

RECORDS = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
ANSWERS = (Reason.OK, Reason.PROTOCOL_ERROR, Reason.NO_SUCH_RECORD, Reason.UNEXPECTED_ANSWER)

labels = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=6).map(".".join)
records = st.sampled_from(RECORDS)


def asked(name: str = "a.example", record: str = "A") -> Question:
    question = question_of(name, record)
    assert question is not None
    return question


@given(names, records, st.integers(0, 65535))
def test_a_question_is_what_the_library_reads_in_it(name: str, record: str, number: int) -> None:
    message = dns.message.from_wire(asked(name, record).message(number))

    (question,) = message.question
    assert (message.id, str(question.name), question.rdtype.name) == (number, name.lower() + ".", record)


@given(names, records)
def test_an_answer_is_recognised_whatever_the_case_of_its_name(name: str, record: str) -> None:
    query = dns.message.from_wire(asked(name, record).message(7))
    query.question[0].name = dns.name.from_text(name.swapcase())
    answer = dns.message.make_response(query).to_wire()

    assert is_answer(answer, 7, asked(name, record))
    assert not is_answer(answer, 8, asked(name, record))
    assert not is_answer(answer, 7, asked("other." + name[:200], record))
    assert not is_answer(answer[:11], 7, asked(name, record))


@given(st.binary(max_size=600), records, st.integers(0, 20))
def test_no_bytes_make_the_reader_raise(rest: bytes, record: str, count: int) -> None:
    """Fault 48: whatever follows the question."""
    question = asked(record=record)
    message = struct.pack("!HHHHHH", 7, 0x8180, 1, count, 0, 0) + question.section + rest

    reason, code = judge(message, question, record, frozenset({"10 mail.example"}))
    assert (reason in ANSWERS, code) == (True, 0)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=8), records)
def test_no_record_data_makes_the_reader_raise(data: list[tuple[int, bytes]], record: str) -> None:
    """Fault 48: records of the right type, with any data, some of it pointing into the message."""
    question = asked(record=record)
    kind = struct.unpack("!H", question.section[-4:-2])[0]
    message = struct.pack("!HHHHHH", 7, 0x8180, 1, len(data), 0, 0) + question.section
    for pointer, value in data:
        data_ = value + bytes([0xC0, pointer])
        message += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data_)) + data_

    reason, code = judge(message, question, record, frozenset({"10 mail.example"}))
    assert (reason in ANSWERS, code) == (True, 0)


@given(st.binary(max_size=40))
def test_any_bytes_can_be_asked_whether_they_are_an_answer(message: bytes) -> None:
    assert is_answer(message, 7, asked()) in {True, False}


def test_the_costliest_message_is_read_in_no_time() -> None:
    """Fault 48: a general parser spends seconds on 64 KiB of compressed names."""
    question = asked(".".join(["a"] * 120), "CNAME")
    record = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 2) + b"\xc0\x0e"
    started = time.monotonic()
    for count in (512, 5000):
        message = struct.pack("!HHHHHH", 7, 0x8180, 1, count, 0, 0) + question.section + record * count
        reason, _ = judge(message, question, "CNAME", frozenset({"b"}))
        assert reason is (Reason.UNEXPECTED_ANSWER if count == 512 else Reason.PROTOCOL_ERROR)

    assert time.monotonic() - started < 2


def test_a_truncated_message_says_so() -> None:
    assert is_truncated(bytes.fromhex("0007 8380 0001 0000 0000 0000"))
    assert not is_truncated(bytes.fromhex("0007 8180 0001 0000 0000 0000"))


@given(st.ip_addresses(v=6))
def test_every_spelling_of_an_address_is_the_same(address: object) -> None:
    exploded = address.exploded

    assert canonical("AAAA", exploded.upper()) == canonical("AAAA", str(address)) == str(address)


@given(st.sampled_from(["CNAME", "NS", "PTR"]), names)
def test_a_name_is_compared_without_case_and_last_dot(record: str, name: str) -> None:
    assert canonical(record, name.upper() + ".") == canonical(record, name.lower()) == name.lower()


def test_what_can_be_no_value_of_a_record_is_told() -> None:
    assert all_canonical("A", ("192.0.2.1", "192.0.2")) is None
    assert all_canonical("MX", ("10 mail.example.", "0 .")) == {"10 mail.example", "0 "}
    assert all_canonical("A", ()) == frozenset()


@given(st.text(max_size=300), st.text(max_size=10))
def test_no_text_makes_a_question_raise(name: str, record: str) -> None:
    question = question_of(name, record)

    assert question is None or len(question.section) <= 255 + 4
