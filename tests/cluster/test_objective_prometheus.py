"""Objectives that a real Prometheus feeds: its history, its absence and its return, and what it cannot answer."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.manifests import Manifest
from cluster.objectives import HURRY, SLO, names_of, printed, slo, until_condition
from cluster.stage import Stage
from prometheus_process import Recorded, openmetrics, running_prometheus

pytestmark = pytest.mark.apiserver

REQUESTS, ERRORS = 50, 1  # a minute: 2 % are bad
HISTORY, FUTURE = 3 * 3600, 900  # seconds of samples before now, and after it
SCRAPED = 15
HURRIED = HURRY | {
    "homeostat.engine.objective.collector:SPREAD": 2,
    "homeostat.engine.objective.collector:EARLY": 1,
    "homeostat.engine.objective.prometheus_sources:_GRACE": -40,  # of two minutes that data may be old
}


def recorded() -> Iterator[Recorded]:
    """Three hours of requests, and what a scrape will find in the next minutes; a histogram without a 0.3."""
    now = int(time.time())
    times = range((now - HISTORY) // 60 * 60, now + FUTURE, SCRAPED)
    for code, rate in (("200", REQUESTS - ERRORS), ("500", ERRORS)):
        counted = [(float(at), float((at - times[0]) * rate // 60)) for at in times]
        yield Recorded("http_requests_total", {"job": "checkout", "code": code}, counted)
    seconds = [(float(at), float(at - times[0])) for at in times]
    yield Recorded("latency_seconds_count", {}, seconds)
    for bound in ("0.1", "0.5", "+Inf"):
        yield Recorded("latency_seconds_bucket", {"le": bound}, seconds)


def fed(name: str, **prometheus: Any) -> Manifest:
    """Give an objective that Prometheus feeds, within a day."""
    return slo(name, {"prometheus": prometheus}, window={"rolling": "1d"})


def requests(status: dict[str, Any]) -> int:
    """Give how many requests the window has."""
    return int(status["good"]) + int(status["bad"])


def test_history_is_taken_up_and_a_gap_is_filled_when_prometheus_returns(stage: Stage) -> None:
    """S4, S6, S13: stopped, it is named and alerts stay as they were; what happened meanwhile is counted afterwards."""
    ratio = {"bad": 'sum(http_requests_total{code="500"})', "total": "sum(http_requests_total)"}
    folder = stage.folder / "prometheus"
    with ExitStack() as first:
        prometheus = first.enter_context(running_prometheus(folder, openmetrics(recorded())))
        stage.put(fed("checkout", ratio=ratio))
        stage.start("--prometheus-url", prometheus.url, "--refreshes-per-second", "100", hurry=HURRIED)
        before = stage.until_status(SLO, lambda it: (it.get("good") or 0) > 8000, "history is there", "checkout")
        prove_figures(before)

    until_condition(stage, "DataPresent", "False", "PrometheusUnreachable", seconds=150)
    status = stage.status(SLO, "checkout")
    assert status["state"] == "Unknown"
    assert set(names_of(before)) <= set(names_of(status))

    with running_prometheus(folder, port=urlsplit(prometheus.url).port or 0):
        until_condition(stage, "DataPresent", "True", "Fresh")
        later = requests(before) + 2 * REQUESTS
        after = stage.until_status(SLO, lambda it: requests(it) >= later, "the gap is filled", "checkout", 120)
        prove_figures(after)
        assert names_of(after) == names_of(before)


def prove_figures(status: dict[str, Any]) -> None:
    """See that the figures are those of the data: 2 % of all bad, and no minute is missing but the newest."""
    share = float(status["window"]["coverage"]) / 100
    assert float(status["sli"]) == pytest.approx(98, abs=0.05)
    assert float(status["budget"]["consumed"]) == pytest.approx(100 * 2 * share, abs=1)
    assert share == pytest.approx(requests(status) / REQUESTS / 1440, abs=0.003)
    assert requests(status) / REQUESTS == pytest.approx(HISTORY / 60, abs=6)
    assert "BurnRate 1h" in names_of(status)


def test_what_prometheus_cannot_answer_is_named(stage: Stage) -> None:
    """S11, S13: no PromQL, no bucket at the threshold, no series; each in a word that `kubectl get slo` shows."""
    bucket = {"histogram": "latency_seconds", "threshold": "300ms"}
    total = {"total": "http_requests_total"}
    with running_prometheus(stage.folder / "prometheus", openmetrics(recorded())) as prometheus:
        stage.put(
            fed("typo", ratio={"bad": 'sum(rate(http_requests_total{code="500"}[{{window}}])', "total": "1"}),
            fed("bucket", latency=bucket),
            fed("bound", latency=bucket | {"threshold": "500ms"}),
            fed("nothing", ratio={"bad": "no_such_metric", "total": "no_such_metric"}),
            fed("elsewhere", url="http://127.0.0.1:9", ratio={"bad": "a", **total}),
        )
        stage.start("--prometheus-url", prometheus.url, hurry=HURRIED)
        until_condition(stage, "QueryValid", "False", "InvalidQuery", "typo")
        until_condition(stage, "QueryValid", "False", "BucketMissing", "bucket")
        stage.until_status(SLO, lambda it: it.get("sli") == "100", "the bucket is found", "bound")
        until_condition(stage, "DataPresent", "False", "NoSamples", "nothing")
        until_condition(stage, "DataPresent", "False", "PrometheusUnreachable", "elsewhere")
        shown = printed(stage, "typo")
        assert (shown["REASON"], shown["STATE"]) == ("InvalidQuery", "Unknown")
        assert "sli" not in stage.status(SLO, "bucket")
