"""The client of Prometheus against servers that answer well, badly, or not at all (fault 50)."""

import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from math import inf, isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import hostile
from contract.hostile import on_uvloop, serving
from contract.prometheus_server import error, serving_prometheus, success, vector
from homeostat.core.prometheus.answer import Failure, Line, LoadedGroup, Matrix, Sample, Trouble, Vector
from homeostat.probe.net.address import Guard
from homeostat.probe.network import NetworkProbes
from homeostat.prometheus.answers import groups_of, matrix_of, vector_of
from homeostat.prometheus.client import MOST_BODY, Access, PrometheusClient

TOKEN = "shown-to-us"  # noqa: S105 - nobody's
AT = 1_435_781_451.781
EVERYWHERE = Guard(allow=[ip_network("0.0.0.0/0"), ip_network("::/0")])
LABELS = {"__name__": "up", "pod": "a"}


@contextmanager
def client(own: str = "", *, token: str = "", guarded: Guard = EVERYWHERE) -> Iterator[PrometheusClient]:
    ours, users = NetworkProbes(EVERYWHERE, time.time), NetworkProbes(guarded, time.time)
    try:
        access = Access(own, ours.http.fetch, lambda: token)
        yield PrometheusClient(access, users.http.fetch)
    finally:
        ours.close()
        users.close()


async def query(url: str) -> Vector | Failure:
    with client() as prometheus:
        return await prometheus.query(url, "up", AT)


async def ask(body: bytes, status: int = 200) -> Vector | Failure:
    async with serving_prometheus(body, status) as server:
        return await query(server.url)


def failure(trouble: Trouble) -> Failure:
    return Failure(trouble)


# --- what is asked --------------------------------------------------------------------------------------


@on_uvloop
async def test_a_query_is_a_form_and_the_operators_own_prometheus_alone_sees_the_token() -> None:
    """A user's Prometheus would keep the operator's token."""
    async with serving_prometheus(vector("1.5")) as own, serving_prometheus(vector("2")) as users:
        with client(own.url + "/behind/a/path/", token=TOKEN) as prometheus:
            first = await prometheus.query("", 'up{a="b"} & +1', AT)
            second = await prometheus.query(users.url, "up", AT)

    assert first == Vector((Sample(1.5, {"pod": "0"}),))
    assert second == Vector((Sample(2.0, {"pod": "0"}),))
    (asked,) = own.asked
    assert asked.line == "POST /behind/a/path/api/v1/query HTTP/1.1"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (asked.form["query"], asked.form["time"]) == (['up{a="b"} & +1'], ["1435781451.781"])
    assert 0 < float(asked.form["timeout"][0]) < 10
    (theirs,) = users.asked
    assert "authorization" not in theirs.headers


@on_uvloop
async def test_a_token_that_was_rotated_is_used_at_once() -> None:
    tokens = iter(["first", "second"])
    async with serving_prometheus(vector("1")) as server:
        probes = NetworkProbes(EVERYWHERE, time.time)
        prometheus = PrometheusClient(Access(server.url, probes.http.fetch, lambda: next(tokens)), probes.http.fetch)
        for _ in range(2):
            assert isinstance(await prometheus.query("", "up", AT), Vector)
        probes.close()

    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer first", "Bearer second"]


@on_uvloop
async def test_a_range_is_asked_for_with_its_ends_and_step() -> None:
    result = [{"metric": LABELS, "values": [[AT, "1"], [AT + 60, "+Inf"]]}]
    async with serving_prometheus(success("matrix", result)) as server:
        with client() as prometheus:
            answer = await prometheus.query_range(server.url, "up", AT, AT + 60, 60)

    assert answer == Matrix((Line(((AT, 1.0), (AT + 60, inf)), LABELS),))
    (asked,) = server.asked
    assert asked.line == "POST /api/v1/query_range HTTP/1.1"
    assert {name: asked.form[name] for name in ("start", "end", "step")} == {
        "start": ["1435781451.781"],
        "end": ["1435781511.781"],
        "step": ["60.000"],
    }


@on_uvloop
async def test_rules_that_are_loaded_are_listed() -> None:
    group = {"name": "g", "file": "f", "rules": [{"name": "a", "health": "ok"}, {"name": "b", "health": "unknown"}]}
    broken = {"name": "h", "file": "f", "rules": [{"name": "c", "health": "err", "lastError": "x"}]}
    body = json.dumps({"status": "success", "data": {"groups": [group, broken]}}).encode()
    async with serving_prometheus(body) as server:
        with client() as prometheus:
            answer = await prometheus.groups(server.url)

    assert answer == (LoadedGroup("g", "f", ("a", "b")), LoadedGroup("h", "f", ("c",), is_healthy=False))
    assert server.asked[0].line == "GET /api/v1/rules HTTP/1.1"


@on_uvloop
async def test_without_a_prometheus_there_is_none_to_ask() -> None:
    probes = NetworkProbes(EVERYWHERE, time.time)
    for own in (None, Access("", probes.http.fetch)):
        prometheus = PrometheusClient(own, probes.http.fetch)
        assert await prometheus.query("", "up", AT) == failure(Trouble.NOT_CONFIGURED)
    probes.close()


@on_uvloop
async def test_a_users_url_is_guarded_and_the_administrators_is_not() -> None:
    """Fault 40: the indicator of an objective is no way to look at what is not one's own."""
    async with serving_prometheus(vector("1")) as server:
        with client(server.url, guarded=Guard()) as prometheus:
            assert await prometheus.query(server.url, "up", AT) == failure(Trouble.UNREACHABLE)
            assert isinstance(await prometheus.query("", "up", AT), Vector)

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090",
        "ftp://prometheus",
        "http://",
        "http://me:word@prometheus",
        "http://a:99999",
        "http://a?b",
        "http://a/ b",
        "http://ä",
    ],
)
@on_uvloop
async def test_a_url_that_cannot_be_asked_is_out_of_reach(url: str) -> None:
    assert await query(url) == failure(Trouble.UNREACHABLE)


def test_an_own_url_that_cannot_be_asked_is_refused_at_once() -> None:
    fetch: Any = object()
    with pytest.raises(ValueError, match="URL of Prometheus"):
        PrometheusClient(Access("prometheus:9090", fetch), fetch)


# --- what is answered -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (200, success("matrix", []), Trouble.INVALID_QUERY),
        (200, success("string", [AT, "1"]), Trouble.INVALID_QUERY),
        (200, success("vector", [{"metric": {}, "histogram": [AT, {"count": "1"}]}]), Trouble.INVALID_QUERY),
        (400, error("bad_data"), Trouble.INVALID_QUERY),
        (422, error("execution"), Trouble.INVALID_QUERY),
        (422, error("422"), Trouble.INVALID_QUERY),
        (400, b"Bad Request", Trouble.UNAVAILABLE),
        (401, error("unauthorized"), Trouble.NOT_PERMITTED),
        (403, b"", Trouble.NOT_PERMITTED),
        (404, b"404 page not found", Trouble.UNAVAILABLE),
        (302, b"", Trouble.UNAVAILABLE),
        (500, error("internal"), Trouble.UNAVAILABLE),
        (503, error("timeout"), Trouble.TIMEOUT),
        (503, error("canceled"), Trouble.TIMEOUT),
        (503, vector("0"), Trouble.UNAVAILABLE),
        (200, b"<html>", Trouble.UNAVAILABLE),
        (200, vector("1")[:-3], Trouble.UNAVAILABLE),
        (200, b"\xff\xfe", Trouble.UNAVAILABLE),
        (200, b"[" * 100_000, Trouble.UNAVAILABLE),
        (200, b"[" * 200_001, Trouble.TOO_LARGE),
        (200, b"1," * 500_001, Trouble.TOO_LARGE),
        (200, vector("1", "x"), Trouble.UNAVAILABLE),
        (200, success("vector", [{"metric": LABELS, "value": [AT, "1"]}] * 2), Trouble.UNAVAILABLE),
        (200, success("vector", [{"metric": {"a": 1}, "value": [AT, "1"]}]), Trouble.UNAVAILABLE),
        (200, success("vector", [{"metric": {}, "value": [AT, 1]}]), Trouble.UNAVAILABLE),
        (200, success("vector", [{"metric": {}, "value": [AT]}]), Trouble.UNAVAILABLE),
        (200, success("vector", [None]), Trouble.UNAVAILABLE),
        (200, success("vector", {}), Trouble.UNAVAILABLE),
        (200, success("other", []), Trouble.UNAVAILABLE),
    ],
)
@on_uvloop
async def test_an_answer_that_is_of_no_use_says_why(status: int, body: bytes, trouble: Trouble) -> None:
    """Fault 50; nothing of what came over the wire is told."""
    answer = await ask(body, status)

    assert answer == failure(trouble)
    assert "secret-of-the-upstream" not in repr(answer)


@on_uvloop
async def test_numbers_are_read_as_they_were_written() -> None:
    """Fault 50: NaN and infinity are numbers, and string timestamps do not matter where we said the time."""
    answer = await ask(
        success(
            "vector",
            [
                {"metric": {"n": str(n)}, "value": [str(AT), value]}
                for n, value in enumerate(["1e3", "+Inf", "-Inf", "0.5"])
            ],
        )
    )
    scalar = await ask(success("scalar", [AT, "NaN"]))

    assert isinstance(answer, Vector)
    assert [sample.value for sample in answer.samples] == [1000.0, inf, -inf, 0.5]
    assert isinstance(scalar, Vector)
    assert isnan(scalar.samples[0].value)
    assert await ask(vector()) == Vector(())


@pytest.mark.parametrize(
    ("warnings", "is_partial"),
    [([], False), (["a store is away"], True), ([5], True), (["PromQL warning: bucket"], False), ("x", False)],
)
def test_a_warning_about_data_makes_an_answer_partial(warnings: Any, *, is_partial: bool) -> None:
    """Fault 50: partial responses. What Prometheus remarks on the query itself is none."""
    body = json.dumps(json.loads(vector("1")) | {"warnings": warnings}).encode()

    assert vector_of(200, body) == Vector((Sample(1.0, {"pod": "0"}),), is_partial)


@pytest.mark.parametrize(
    ("values", "trouble"),
    [
        ([["1", "1"]], Trouble.UNAVAILABLE),  # a string timestamp
        ([[True, "1"]], Trouble.UNAVAILABLE),
        ([[10**400, "1"]], Trouble.UNAVAILABLE),
        ([[2, "1"], [1, "1"]], Trouble.UNAVAILABLE),  # out of order
        ([[1, "1"], [1, "1"]], Trouble.UNAVAILABLE),
        ([[1]], Trouble.UNAVAILABLE),
        ("x", Trouble.UNAVAILABLE),
    ],
)
def test_a_range_is_read_strictly(values: Any, trouble: Trouble) -> None:
    assert matrix_of(200, success("matrix", [{"metric": {}, "values": values}])) == failure(trouble)


def test_a_range_of_histograms_is_no_range_of_numbers() -> None:
    assert matrix_of(200, success("matrix", [{"metric": {}, "histograms": []}])) == failure(Trouble.INVALID_QUERY)
    assert matrix_of(200, success("vector", [])) == failure(Trouble.UNAVAILABLE)
    assert matrix_of(
        200, b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[NaN,"1"]]}]}}'
    ) == failure(Trouble.UNAVAILABLE)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.just("success"),
        lambda children: (
            st.lists(children, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "status",
                        "data",
                        "resultType",
                        "result",
                        "metric",
                        "value",
                        "values",
                        "groups",
                        "rules",
                        "name",
                        "file",
                    ]
                ),
                children,
                max_size=4,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from([200, 400, 422, 503]),
)
def test_whatever_is_answered_is_an_answer_or_a_failure(content: Any, status: int) -> None:
    for raw in (content, {"status": "success", "data": {"resultType": "vector", "result": content, "groups": content}}):
        body = json.dumps(raw).encode()
        assert isinstance(vector_of(status, body), Vector | Failure)
        assert isinstance(matrix_of(status, body), Matrix | Failure)
        assert isinstance(groups_of(status, body), tuple | Failure)


# --- servers that misbehave -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "trouble"),
    [
        (hostile.gigabyte, Trouble.TOO_LARGE),
        (hostile.endless_chunks, Trouble.TOO_LARGE),
        (hostile.close_at_once, Trouble.UNREACHABLE),
        (hostile.bomb, Trouble.UNAVAILABLE),
    ],
    ids=["gigabyte", "endless", "closed", "bomb"],
)
@on_uvloop
async def test_an_answer_without_end_or_sense_costs_no_memory(behaviour: Any, trouble: Trouble) -> None:
    """Fault 50: 100 MB, and worse."""
    tracemalloc.start()
    try:
        async with serving(behaviour) as served:
            answer = await query(f"http://127.0.0.1:{served.port}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer == failure(trouble)
    assert peak < 4 * MOST_BODY


@on_uvloop
async def test_an_answer_of_several_mebibytes_is_read() -> None:
    """Answers are larger than what a probe may keep."""
    result = [{"metric": {"pod": str(n), "padding": "x" * 200}, "value": [AT, "1"]} for n in range(20_000)]
    answer = await ask(success("vector", result))

    assert isinstance(answer, Vector)
    assert len(answer.samples) == 20_000


@pytest.mark.parametrize(
    "behaviour",
    [hostile.silent, hostile.slow_loris_header, hostile.slow_loris_body],
    ids=["silent", "slow header", "slow body"],
)
@on_uvloop
async def test_a_stall_ends_at_the_deadline(behaviour: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 50: Prometheus stalls for a minute."""
    monkeypatch.setattr("homeostat.prometheus.client.QUERY_SECONDS", 0.8)
    async with serving(behaviour) as served:
        answer = await query(f"http://127.0.0.1:{served.port}")

    assert answer == failure(Trouble.TIMEOUT)


@on_uvloop
async def test_a_prometheus_that_is_not_there_is_out_of_reach() -> None:
    async with serving_prometheus(b"") as server:
        url = server.url

    assert await query(url) == failure(Trouble.UNREACHABLE)
