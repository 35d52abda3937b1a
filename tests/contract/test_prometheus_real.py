"""The collector, its queries and its client against a real Prometheus, with samples of the last eight hours in it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from contract.hostile import on_uvloop
from contract.native_histogram import scraped_target
from fakes import FakeClock, eventually
from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.history.window import Counts
from homeostat.core.objective.seen import SourceSeen
from homeostat.core.prometheus.answer import Failure, Sample, Trouble, Vector
from homeostat.core.prometheus.queries import Query, queries_of
from homeostat.engine.meters import Meters
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.counting import Counting
from homeostat.engine.objects import Key
from homeostat.probe.net.address import Guard
from homeostat.probe.network import NetworkProbes
from homeostat.prometheus.client import Access, PrometheusClient
from prometheus_process import Recorded, RunningPrometheus, openmetrics, running_prometheus

HOURS = 8
AFTER = 10 * 60  # seconds for which it goes on after what the tests look at
END = int(time.time()) // 60 * 60 - AFTER
TIMES = range(END - HOURS * 3600, END + AFTER, 15)
KEY = Key("ServiceLevelObjective", "shop", "checkout")
RESET, BORN = END - 2 * 3600, END - 3600
TWO_HOURS = timedelta(hours=2)


def counter(name: str, per_scrape: float, *, born: int = 0, reset: int = 0, **labels: str) -> Recorded:
    """Grow by `per_scrape` every 15 seconds, from 0 when `born`, again from 0 at `reset`; else from a million."""
    samples: list[tuple[float, float]] = []
    value = -per_scrape if born else 1e6
    for at in TIMES:
        if at < born:
            continue
        value = per_scrape if at == reset else value + per_scrape
        samples.append((float(at), value))
    return Recorded(name, labels, samples)


def gauge(name: str, value: float, **labels: str) -> Recorded:
    return Recorded(name, labels, [(float(at), value) for at in TIMES])


SERIES = [
    counter("requests_total", 90, code="200", pod="a", region="eu"),
    counter("requests_total", 10, code="500", pod="a", region="eu"),
    counter("requests_total", 40, code="200", pod="b", region="us"),
    counter("restarted_total", 5, reset=RESET, pod="a"),
    counter("restarted_total", 7, born=BORN, pod="b"),
    counter("idle_total", 0),
    counter("req_seconds_bucket", 30, le="0.30", pod="a"),
    counter("req_seconds_bucket", 20, le="3e-01", pod="b"),
    counter("req_seconds_bucket", 60, le="1.0", pod="a"),
    counter("req_seconds_count", 60, pod="a"),
    counter("req_seconds_count", 40, pod="b"),
    gauge("probe_success", 1, target="a"),
    gauge("probe_success", 0, target="b"),
    gauge("homeostat:slo_bad:rate5m", 0.5, homeostat_namespace="shop", homeostat_slo="checkout"),
    gauge("homeostat:slo_total:rate5m", 2, homeostat_namespace="shop", homeostat_slo="checkout"),
]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    with running_prometheus(tmp_path_factory.mktemp("prometheus") / "server", openmetrics(SERIES)) as running:
        yield running


@contextmanager
def client(url: str) -> Iterator[PrometheusClient]:
    probes = NetworkProbes(Guard(allow=[ip_network("127.0.0.0/8")]), time.time)
    try:
        yield PrometheusClient(Access(url, probes.http.fetch), probes.http.fetch)
    finally:
        probes.close()


class Collected:
    """An objective that was collected until everything there is was asked for."""

    def __init__(self, meters: Meters, seen: SourceSeen) -> None:
        self.meters = meters
        self.seen = seen

    def last(self, seconds: int, group: str = "") -> Counts:
        """Count up to the end of what is in Prometheus."""
        series = self.meters.series(KEY, group)
        assert series is not None
        return series.between(END - seconds, END)


async def collect(
    prometheus: RunningPrometheus, *, reach: timedelta = TWO_HOURS, is_recorded: bool = False, **spec: Any
) -> Collected:
    """Collect from the real books as they would be after a first start."""
    clock = FakeClock(datetime.fromtimestamp(END, UTC))
    meters = Meters()
    meters.open_objective(KEY, "uid", Counting(reach))
    meters.roll(clock.now())
    indicator = PrometheusIndicator.model_validate(spec)
    with client(prometheus.url) as asking:
        collector = Collector(asking, meters, clock, lambda _: None, pause=0)
        task = asyncio.create_task(collector.run())
        collector.open(KEY, "uid", indicator, reach, is_recorded=is_recorded)
        source = collector._sources[KEY]
        await eventually(lambda: collector.timetable._is_open)
        for _ in range(60):
            clock.advance(5)
            meters.roll(clock.now())
            collector.timetable._tick()
            await eventually(lambda: not source.is_busy and not any(one.is_busy for one in collector._shared.values()))
            if source.is_known and (source.asked_until or 0) >= END and not is_recorded:
                break
        seen = collector.seen(KEY)
        task.cancel()
        await asyncio.wait([task])
    assert seen is not None
    return Collected(meters, seen)


@on_uvloop
async def test_a_ratio_of_rates_is_what_happened(prometheus: RunningPrometheus) -> None:
    found = await collect(
        prometheus,
        ratio={
            "bad": 'sum(rate(requests_total{code=~"5.."}[{{window}}]))',
            "total": "sum(rate(requests_total[{{ window }}]))",
        },
    )

    counts = found.last(3600)
    assert (counts.bad, counts.total) == (pytest.approx(240 * 10), pytest.approx(240 * 140))
    assert (found.seen.reason, found.seen.is_clamped) == ("", False)


@on_uvloop
async def test_a_history_is_the_same_in_hours_five_minutes_and_minutes(prometheus: RunningPrometheus) -> None:
    """Of 30 days Prometheus has 8 hours."""
    found = await collect(
        prometheus,
        reach=timedelta(days=30),
        ratio={
            "good": 'sum(increase(requests_total{code!~"5.."}[{{window}}]))',
            "total": "sum(increase(requests_total[{{window}}]))",
        },
    )

    for hours in (1, 5, 7):
        counts = found.last(hours * 3600)
        assert counts.total == pytest.approx(hours * 240 * 140, rel=0.01)
        assert counts.bad == pytest.approx(hours * 240 * 10, rel=0.01)


@on_uvloop
async def test_groups_have_budgets_of_their_own(prometheus: RunningPrometheus) -> None:
    """S14, S15: a region without errors has none."""
    found = await collect(
        prometheus,
        groupBy=["region"],
        ratio={
            "bad": 'sum by (region) (increase(requests_total{code=~"5.."}[{{window}}]))',
            "total": "sum by (region) (increase(requests_total[{{window}}]))",
        },
    )

    eu, us, whole = (found.last(3600, group) for group in ("region=eu", "region=us", ""))
    assert (eu.bad, eu.total) == (pytest.approx(2400), pytest.approx(24_000))
    assert (us.bad, us.total) == (0, pytest.approx(9600))
    assert (whole.bad, whole.total) == (pytest.approx(2400), pytest.approx(33_600))


@on_uvloop
async def test_counters_that_restart_or_are_born_late_are_counted_to_the_event(prometheus: RunningPrometheus) -> None:
    """Fault 50: what `increase` estimates, we count; but for what came between our last look and the restart."""
    found = await collect(
        prometheus, reach=timedelta(hours=5), ratio={"bad": 'restarted_total{pod="b"}', "total": "restarted_total"}
    )

    assert found.last(3600).bad == 240 * 7
    assert found.last(4 * 3600).total == 4 * 240 * 5 - 3 * 5 + 240 * 7


@pytest.mark.parametrize(("threshold", "good"), [("300ms", 50), ("1s", None), ("700ms", None)])
@on_uvloop
async def test_a_bucket_is_found_however_it_is_written_and_its_absence_is_told(
    prometheus: RunningPrometheus, threshold: str, good: int | None
) -> None:
    """S11: 0.3 is written as 0.30 and 3e-01 there."""
    spec = {"histogram": "req_seconds", "threshold": threshold}
    found = await collect(prometheus, latency=spec if good else {**spec, "selector": 'pod="b"'})

    counts = found.last(3600)
    if good is None:
        assert (found.seen.reason, found.seen.is_valid, counts.total) == ("BucketMissing", False, 0)
    else:
        assert (counts.good, counts.total) == (pytest.approx(240 * good), pytest.approx(240 * 100))


@pytest.mark.parametrize(
    ("spec", "reason", "is_valid"),
    [
        ({"ratioQuery": "sum(up"}, "InvalidQuery", False),
        ({"ratioQuery": "probe_success"}, "InvalidQuery", False),
        ({"ratioQuery": "requests_total[5m]"}, "InvalidQuery", False),
        ({"ratioQuery": "nothing_of_that_name"}, "NoSamples", True),
    ],
)
@on_uvloop
async def test_a_query_that_gives_no_counts_is_told(
    prometheus: RunningPrometheus, spec: dict[str, Any], reason: str, *, is_valid: bool
) -> None:
    found = await collect(prometheus, **spec)

    assert (found.seen.reason, found.seen.is_valid) == (reason, is_valid)
    assert found.last(3600).total == 0


@on_uvloop
async def test_nothing_of_nothing_is_no_traffic(prometheus: RunningPrometheus) -> None:
    """S5, fault 51."""
    ratio = await collect(
        prometheus, ratioQuery="sum(rate(idle_total[{{window}}])) / sum(rate(idle_total[{{window}}]))"
    )
    events = await collect(prometheus, ratio={"good": "idle_total", "total": "increase(idle_total[{{window}}])"})

    for found in (ratio, events):
        counts = found.last(3600)
        assert (counts.total, counts.observed_seconds) == (0, 3600)
        assert found.seen.reason == ""
        assert found.seen.observed_at is not None


@on_uvloop
async def test_a_gauge_weighs_every_minute_alike(prometheus: RunningPrometheus) -> None:
    found = await collect(prometheus, ratioQuery="1 - avg(probe_success)")

    counts = found.last(3600)
    assert (counts.bad, counts.total) == (pytest.approx(30), pytest.approx(60))


@on_uvloop
async def test_what_rules_recorded_is_read_back(prometheus: RunningPrometheus) -> None:
    """The first hour is asked for as it is written, the newest minutes are read back."""
    found = await collect(prometheus, is_recorded=True, ratioQuery="1 - avg(probe_success)")

    series = found.meters.series(KEY)
    assert series is not None
    newest = series.between(END + 180, END + 240)
    assert (newest.bad, newest.total) == (pytest.approx(30), pytest.approx(120))


@on_uvloop
async def test_the_client_reads_what_a_real_prometheus_writes(prometheus: RunningPrometheus) -> None:
    with client(prometheus.url) as asking:
        assert await asking.query("", "vector(1) / 0 > 5", END) == Vector((Sample(float("inf")),))
        assert await asking.query("", "1 + 1", END) == Vector((Sample(2.0),))
        assert await asking.query("", '"text"', END) == Failure(Trouble.INVALID_QUERY)
        assert await asking.query("", "up +", END) == Failure(Trouble.INVALID_QUERY)
        assert await asking.query_range("", "requests_total[5m]", END - 60, END, 60) == Failure(Trouble.INVALID_QUERY)
        assert await asking.query_range("", "up", END, END - 60, 60) == Failure(Trouble.INVALID_QUERY)
        assert await asking.query(prometheus.url + "/nowhere", "up", END) == Failure(Trouble.UNAVAILABLE)
        rule = "groups: [{name: g, rules: [{record: a, expr: vector(1)}, {alert: B, expr: vector(0)}]}]"
        prometheus.load_rules("some", rule)
        groups = await asking.groups("")

    assert not isinstance(groups, Failure)
    (group,) = groups
    assert (group.name, group.rules, group.is_healthy) == ("g", ("a", "B"), True)


@pytest.fixture
def scraping(tmp_path: Path) -> Iterator[RunningPrometheus]:
    """Give a Prometheus that knows native histograms."""
    with (
        scraped_target() as target,
        running_prometheus(
            tmp_path / "server", targets=[target], flags=["--enable-feature=native-histograms"]
        ) as server,
    ):
        yield server


@pytest.mark.programs
@on_uvloop
async def test_a_native_histogram_gives_a_share_of_its_events(scraping: RunningPrometheus) -> None:
    """S11: no bucket is needed at the threshold."""
    latency = {"histogram": "req_seconds", "threshold": "1s", "type": "Native"}
    queries = queries_of(PrometheusIndicator.model_validate({"latency": latency}))
    assert queries.total is not None
    with client(scraping.url) as asking:

        async def ask(query: Query) -> list[float]:
            answer = await asking.query("", query.text(60), time.time())
            assert isinstance(answer, Vector)
            return [sample.value for sample in answer.samples]

        async with asyncio.timeout(30):
            while not await ask(queries.total):  # noqa: ASYNC110 - two scrapes must have been
                await asyncio.sleep(0.1)
        raw = await asking.query("", "req_seconds", time.time())
        at = time.time()
        good = await asking.query("", queries.query.text(60), at)
        total = await asking.query("", queries.total.text(60), at)

    assert raw == Failure(Trouble.INVALID_QUERY)  # histograms are no numbers
    assert isinstance(good, Vector)
    assert isinstance(total, Vector)
    assert total.samples[0].value > 0
    assert good.samples[0].value / total.samples[0].value == pytest.approx(0.9)
