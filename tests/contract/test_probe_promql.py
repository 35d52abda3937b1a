import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from contract import hostile
from contract.hostile import on_uvloop, serving
from contract.prometheus_server import error, serving_prometheus, success, vector
from homeostat.core.probing.request import Content, PromqlRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.probe import HttpProbe
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer
from homeostat.probe.net.resolver import Resolver, system_lookup
from homeostat.probe.net.tls import Contexts
from homeostat.probe.promql import PromqlProbe

EVERYWHERE = Guard(allow=[ip_network("0.0.0.0/0"), ip_network("::/0")])
QUERY = 'sum(rate(http_requests_total{code=~"5.."}[5m])) / 100 < +Inf & x'


class NoJudge:
    async def judge(self, content: Content, answer: Answer, deadline: float) -> Reason:
        raise AssertionError("there is no content to judge")


@contextmanager
def probing(url: str, **settings: Any) -> Iterator[PromqlProbe]:
    resolver = Resolver(EVERYWHERE, system_lookup, time.monotonic)
    http = HttpProbe(Dialer(EVERYWHERE, resolver, time.monotonic), Contexts(), NoJudge())
    try:
        yield PromqlProbe(http, url, **settings)
    finally:
        resolver.close()


async def ask(url: str, operator: str = "<", bound: float = 0.05, seconds: float = 5, **settings: Any) -> Ending:
    with probing(url, **settings) as probe:
        return await probe.run(PromqlRequest(QUERY, operator, bound), time.monotonic() + seconds)


@pytest.mark.parametrize(
    ("value", "operator", "bound", "is_met"),
    [
        ("0.04", "<", 0.05, True),
        ("0.05", "<", 0.05, False),
        ("0.05", "<=", 0.05, True),
        ("2", ">", 1, True),
        ("1", ">", 1, False),
        ("1", ">=", 1, True),
        ("1", "==", 1, True),
        ("1.5", "==", 1, False),
        ("1.5", "!=", 1, True),
        ("-1e3", "<", -999, True),
        ("+Inf", "<", 0.05, False),
        ("+Inf", ">", 1, True),
        ("-Inf", "<", 0.05, True),
    ],
)
@on_uvloop
async def test_the_value_must_meet_the_condition(value: str, operator: str, bound: float, is_met: bool) -> None:  # noqa: FBT001
    async with serving_prometheus(vector(value)) as prometheus:
        ending = await ask(prometheus.url, operator, bound)

    assert ending.reason is (Reason.OK if is_met else Reason.CONDITION_NOT_MET)
    assert verdict_of(ending.reason) is (Verdict.PASS if is_met else Verdict.FAIL)
    assert ending.code == 200


@on_uvloop
async def test_the_query_is_sent_as_it_was_written() -> None:
    async with serving_prometheus(success("scalar", [1.5, "0"])) as prometheus:
        ending = await ask(prometheus.url + "/behind/a/path/")

    (asked,) = prometheus.asked
    assert ending.reason is Reason.OK
    assert ending.phases is not None
    assert asked.line == "POST /behind/a/path/api/v1/query HTTP/1.1"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in asked.headers
    assert asked.form["query"] == [QUERY]
    assert 0 < float(asked.form["timeout"][0]) <= 5


@on_uvloop
async def test_the_token_is_shown_and_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    async with serving_prometheus(vector("0")) as prometheus:
        with probing(prometheus.url, token_file=str(path)) as probe:
            for token in ("first", "second"):
                path.write_text(f"{token}\n")
                ending = await probe.run(PromqlRequest(QUERY, "<", 1), time.monotonic() + 5)
                assert ending.reason is Reason.OK

    assert [asked.headers["authorization"] for asked in prometheus.asked] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, vector(), Reason.NO_DATA),
        (200, vector("NaN"), Reason.NO_DATA),
        (200, vector("1", "2"), Reason.INVALID_QUERY),
        (200, success("matrix", []), Reason.INVALID_QUERY),
        (400, error("bad_data"), Reason.INVALID_QUERY),
        (422, error("execution"), Reason.INVALID_QUERY),
        (400, vector("0"), Reason.PROMETHEUS_UNAVAILABLE),
        (400, b"Bad Request", Reason.PROMETHEUS_UNAVAILABLE),
        (401, error("unauthorized"), Reason.PROMETHEUS_UNAVAILABLE),
        (404, b"404 page not found", Reason.PROMETHEUS_UNAVAILABLE),
        (302, b"", Reason.PROMETHEUS_UNAVAILABLE),
        (500, error("internal"), Reason.PROMETHEUS_UNAVAILABLE),
        (503, error("timeout"), Reason.PROMETHEUS_UNAVAILABLE),
        (503, vector("0"), Reason.PROMETHEUS_UNAVAILABLE),
        (200, b"<html>", Reason.PROMETHEUS_UNAVAILABLE),
        (200, vector("0") + bytes(100_000), Reason.PROMETHEUS_UNAVAILABLE),
    ],
)
@on_uvloop
async def test_an_answer_without_a_value_says_why(status: int, body: bytes, reason: Reason) -> None:
    """Fault 50; H1: none of them is a failure of the target, and nothing of the answer is told."""
    async with serving_prometheus(body, status) as prometheus:
        ending = await ask(prometheus.url)

    assert (ending.reason, ending.code) == (reason, status)
    assert verdict_of(reason) in {Verdict.UNKNOWN, Verdict.INVALID}
    assert "secret-of-the-upstream" not in repr(ending)


@pytest.mark.parametrize(
    "behaviour",
    [hostile.silent, hostile.slow_loris_header, hostile.slow_loris_body],
    ids=["silent", "slow header", "slow body"],
)
@on_uvloop
async def test_a_stall_ends_at_the_timeout_and_teaches_nothing(behaviour: Any) -> None:
    """Fault 50: Prometheus stalls."""
    async with serving(behaviour) as served:
        ending = await ask(f"http://127.0.0.1:{served.port}", seconds=0.3)

    assert ending.reason is Reason.PROMETHEUS_UNAVAILABLE


@pytest.mark.parametrize(
    "behaviour",
    [hostile.gigabyte, hostile.endless_chunks, hostile.close_at_once, hostile.bomb],
    ids=["gigabyte", "endless", "closed", "bomb"],
)
@on_uvloop
async def test_an_answer_without_end_or_sense_teaches_nothing(behaviour: Any) -> None:
    """Fault 50: 100 MB, and worse."""
    async with serving(behaviour) as served:
        ending = await ask(f"http://127.0.0.1:{served.port}", seconds=10)

    assert ending.reason is Reason.PROMETHEUS_UNAVAILABLE


@on_uvloop
async def test_a_prometheus_that_is_not_there_teaches_nothing() -> None:
    async with serving_prometheus(b"") as prometheus:
        url = prometheus.url
    ending = await ask(url)

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.PROMETHEUS_UNAVAILABLE, Verdict.UNKNOWN)


@on_uvloop
async def test_what_we_lack_ourselves_is_our_own_fault() -> None:
    class Exhausted:
        async def fetch(self, *_: Any) -> tuple[Ending, None]:
            return Ending(Reason.OUT_OF_RESOURCES), None

    probe = PromqlProbe(Exhausted(), "http://prometheus.test:9090")
    ending = await probe.run(PromqlRequest(QUERY, "<", 1), time.monotonic() + 5)

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.OUT_OF_RESOURCES, Verdict.ERROR)


@on_uvloop
async def test_without_a_prometheus_a_query_is_bad_configuration() -> None:
    ending = await PromqlProbe(None).run(PromqlRequest(QUERY, "<", 1), time.monotonic() + 5)

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.NO_PROMETHEUS, Verdict.INVALID)


@on_uvloop
async def test_an_unknown_comparison_is_bad_configuration() -> None:
    async with serving_prometheus(vector("0")) as prometheus:
        ending = await ask(prometheus.url, operator="=~")

    assert ending.reason is Reason.INVALID_QUERY
    assert not prometheus.asked


@pytest.mark.parametrize(
    "url",
    ["", "prometheus:9090", "ftp://prometheus", "http://", "http://me:word@prometheus", "http://a:99999", "http://a?b"],
)
def test_a_url_that_cannot_be_asked_is_refused_at_once(url: str) -> None:
    http: Any = object()

    with pytest.raises(ValueError, match=r"Prometheus|[Pp]ort"):
        PromqlProbe(http, url)
