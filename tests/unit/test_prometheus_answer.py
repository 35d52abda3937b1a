import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import verdict_of
from homeostat.probe.prometheus_answer import value_of

AT = 1435781451.781
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=12,
)


def answer(kind: Any, result: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def vector(*values: Any) -> bytes:
    return answer("vector", [{"metric": {"pod": str(n)}, "value": [AT, value]} for n, value in enumerate(values)])


@given(st.floats(allow_nan=False))
@example(math.inf)
@example(-math.inf)
@example(1.7976931348623157e308)
@example(5e-324)
def test_a_number_is_read_as_it_was_written(value: float) -> None:
    """Fault 50: infinite values are numbers, and compare like others."""
    text = "+Inf" if value == math.inf else "-Inf" if value == -math.inf else repr(value)

    assert value_of(vector(text)) == value
    assert value_of(answer("scalar", [AT, text])) == value


def test_the_longest_numbers_that_prometheus_writes_are_read() -> None:
    """It never writes an exponent."""
    assert value_of(vector(f"{1.7976931348623157e308:.0f}")) == 1.7976931348623157e308
    assert value_of(vector(f"{5e-324:.324f}")) == 5e-324


@pytest.mark.parametrize("time", [str(AT), "yesterday", None, [], 0])
def test_the_time_of_a_sample_does_not_matter(time: Any) -> None:
    """Fault 50: string timestamps."""
    assert value_of(answer("vector", [{"metric": {}, "value": [time, "0.5"]}])) == 0.5
    assert value_of(answer("scalar", [time, "0.5"])) == 0.5


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (vector(), Reason.NO_DATA),
        (vector("NaN"), Reason.NO_DATA),
        (answer("scalar", [AT, "NaN"]), Reason.NO_DATA),
        (vector("1", "2"), Reason.INVALID_QUERY),
        (vector("NaN", "NaN"), Reason.INVALID_QUERY),
        (answer("matrix", []), Reason.INVALID_QUERY),
        (answer("matrix", [{"metric": {}, "values": [[AT, "1"]]}]), Reason.INVALID_QUERY),
        (answer("string", [AT, "1"]), Reason.INVALID_QUERY),
        (answer("vector", [{"metric": {}, "histogram": [AT, {"count": "1"}]}]), Reason.INVALID_QUERY),
        (b'{"status":"error","errorType":"bad_data","error":"parse error"}', Reason.INVALID_QUERY),
        (b'{"status":"error","errorType":"execution","error":"many-to-many"}', Reason.INVALID_QUERY),
        (b'{"status":"error","errorType":"timeout"}', Reason.PROMETHEUS_UNAVAILABLE),
        (b'{"status":"error","errorType":"internal"}', Reason.PROMETHEUS_UNAVAILABLE),
        (b'{"status":"error","errorType":["bad_data"]}', Reason.PROMETHEUS_UNAVAILABLE),
        (b'{"status":"error"}', Reason.PROMETHEUS_UNAVAILABLE),
    ],
)
def test_what_gives_no_value_says_why(body: bytes, reason: Reason) -> None:
    """Fault 50."""
    assert value_of(body) is reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad Gateway</html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"vector"}}',
        b'{"status":"success","data":{"resultType":"vector","result":{}}}',
        vector("1")[:-3],
        vector(1),
        vector(None),
        vector(""),
        vector(" 1"),
        vector("1_0"),
        vector("0x10"),
        vector("\u0661"),  # a digit, but not one of ours
        vector("nan"),
        vector("infinity"),
        vector("1" * 1000),
        answer("scalar", []),
        answer("scalar", [AT]),
        answer("scalar", [AT, "1", "2"]),
        answer("vector", ["1"]),
        answer("vector", [{"metric": {}}]),
        answer("vector", [{"value": "1"}]),
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"1" * 60_000,
    ],
)
def test_what_is_no_answer_of_prometheus_teaches_nothing(body: bytes) -> None:
    """Fault 50: H1, it is no failure of the target."""
    assert value_of(body) is Reason.PROMETHEUS_UNAVAILABLE
    assert verdict_of(Reason.PROMETHEUS_UNAVAILABLE) is Verdict.UNKNOWN


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_answer_makes_the_reader_raise(body: bytes) -> None:
    assert isinstance(value_of(body), float | Reason)


@given(st.sampled_from(["vector", "scalar", "matrix", "string", ""]), json_values)
def test_no_result_makes_the_reader_raise_or_gives_nan(kind: str, result: Any) -> None:
    value = value_of(answer(kind, result))

    assert isinstance(value, Reason) or not math.isnan(value)


@given(json_values)
def test_no_sample_makes_the_reader_raise_or_gives_nan(sample: Any) -> None:
    value = value_of(answer("vector", [{"metric": {}, "value": sample}]))

    assert isinstance(value, Reason) or not math.isnan(value)


@given(st.lists(st.floats(), min_size=2, max_size=5))
def test_several_values_are_never_one(values: list[float]) -> None:
    assert value_of(vector(*(str(value) for value in values))) is Reason.INVALID_QUERY
