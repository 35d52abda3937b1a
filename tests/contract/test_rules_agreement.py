"""The rules in a real Prometheus and the operator's own arithmetic say the same of the same requests.

Three days of requests, scraped every 30 s, with a burst of errors, a night without traffic and a restart. A first
Prometheus works out what the rules record of them at each of their times; a second one, which has been given that as
its past, evaluates the rules that are made of it.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from homeostat.core.history.window import Counts
from homeostat.core.objective.burn import Terms, bad_ratio, burn
from homeostat.core.prometheus.answer import Sample
from homeostat.core.prometheus.collecting import Segment, count_up, read
from homeostat.core.prometheus.queries import queries_of
from homeostat.core.rules.groups import emit
from prometheus_process import Recorded, RunningPrometheus, openmetrics, running_prometheus
from rule_cases import spec_of

SPEC = spec_of(window={"rolling": "3d"})
TERMS = Terms(Decimal("0.001"), timedelta(days=3))
HOUR, DAY, SCRAPE = 3600, 86_400, 30
END = 1_790_000_400  # a whole minute
FIRST = END - 3 * DAY - 600
MOST_POINTS = 11_000  # of one range query
LABELS = {"homeostat_namespace": "shop", "homeostat_slo": "checkout"}
WINDOWS = {"5m": 300, "30m": 1800, "1h": HOUR, "2h": 2 * HOUR, "6h": 6 * HOUR, "1d": DAY, "3d": 3 * DAY}


def _rate(at: int) -> tuple[float, float]:
    """Requests a second, and the share of bad ones."""
    if END - 40 * HOUR < at <= END - 32 * HOUR:
        return 0.0, 0.0
    if END - 4 * HOUR < at <= END - 3 * HOUR:
        return 100.0, 0.02
    return 10.0 + 5 * math.sin(at / 20_000), 0.0005 if at < END - 3 * HOUR else 0.01


@dataclass(frozen=True, slots=True)
class Requests:
    """Counters of good and bad requests, (epoch s, value)."""

    good: list[tuple[float, float]]
    bad: list[tuple[float, float]]


@pytest.fixture(scope="module")
def requests() -> Requests:
    dice, good, bad, counted = random.Random(1), [], [], [0.0, 0.0]  # noqa: S311 - no secret
    for at in range(FIRST, END + 1, SCRAPE):
        if at == FIRST + DAY // SCRAPE * SCRAPE:
            counted = [0.0, 0.0]
        rate, share = _rate(at)
        total = round(rate * SCRAPE * dice.uniform(0.8, 1.2))
        failed = sum(dice.random() < share for _ in range(total))
        counted = [counted[0] + total - failed, counted[1] + failed]
        good.append((float(at), counted[0]))
        bad.append((float(at), counted[1]))
    return Requests(good, bad)


@pytest.fixture(scope="module")
def recorded(requests: Requests, tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    """What the first rules record of the requests, each at its own times."""
    total, bad = (rule["expr"] for rule in emit(SPEC, "shop", "checkout").groups[0]["rules"][:2])
    selector = 'homeostat:slo_total:rate5m{homeostat_namespace="shop", homeostat_slo="checkout"}'
    whole = {"total": total, "bad": bad.replace(selector, f"({total})")}
    series = [
        Recorded("http_requests_total", {"code": code}, samples)
        for code, samples in (("200", requests.good), ("500", requests.bad))
    ]
    with running_prometheus(tmp_path_factory.mktemp("first") / "prometheus", openmetrics(series)) as prometheus:
        return [
            Recorded(f"homeostat:slo_{what}:rate5m{tail}", LABELS, list(_range(prometheus, expr, step)))
            for what, expr in whole.items()
            for tail, step in (("", 60), ("_step", 300))
        ]


@pytest.fixture(scope="module")
def worked_out(recorded: list[Recorded], tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The rules that are made of the recordings, by the name of the recording and the window."""
    found: dict[str, float] = {}
    with running_prometheus(tmp_path_factory.mktemp("second") / "prometheus", openmetrics(recorded)) as prometheus:
        for group in emit(SPEC, "shop", "checkout").groups:
            for rule in group["rules"]:
                name = rule.get("record", "")
                if name in {"homeostat:slo_error:ratio", "homeostat:slo_coverage:ratio"}:
                    (sample,) = prometheus.ask("query", query=rule["expr"], time=END)["result"]
                    found[f"{name}/{rule['labels']['homeostat_window']}"] = float(sample["value"][1])
    return found


def _range(prometheus: RunningPrometheus, expr: str, step: int) -> Iterator[tuple[float, float]]:
    chunk = MOST_POINTS * step
    for start in range(END - (END - FIRST - 300) // step * step, END + 1, chunk):
        end = min(start + chunk - step, END)
        for line in prometheus.ask("query_range", query=expr, start=start, end=end, step=step)["result"]:
            yield from ((float(at), float(value)) for at, value in line["values"])


def _counted(requests: Requests, seconds: int) -> Counts:
    """What the operator's own collector counts in the last `seconds`."""
    queries = queries_of(SPEC.indicator.prometheus)  # type: ignore[arg-type]
    good, bad = dict(requests.good), dict(requests.bad)
    points = range(END - seconds, END + 1, 60)
    parts = {at: (Sample(bad[at], {"code": "500"}),) for at in points}
    wholes = {at: (Sample(good[at], {"code": "200"}), Sample(bad[at], {"code": "500"})) for at in points}
    segment = Segment(END - seconds, END, 60, 60, is_added=True)
    _, part, total = count_up(queries, None, parts, wholes, segment)
    lost = of = 0.0
    for reading in read(queries, part, total, segment):
        for one, all_ in reading.counts.values():
            lost, of = lost + one, of + all_
    return Counts(of - lost, of, float(seconds), seconds)


def test_the_collector_starts_from_what_it_finds(requests: Requests) -> None:
    """The helper above counts what happened within the window, and nothing of before."""
    at = dict(requests.bad)

    assert _counted(requests, HOUR).bad == at[END] - at[END - HOUR]


@pytest.mark.parametrize(
    ("window", "slack"),
    [("5m", 0.02), ("30m", 0.05), ("1h", 0.03), ("2h", 0.03), ("6h", 0.03), ("1d", 0.01), ("3d", 0.005)],
)
def test_burn_rates_agree(window: str, slack: float, requests: Requests, worked_out: dict[str, float]) -> None:
    """S4, S15: they differ by what the edges of a window have of the five minutes that a sample is about."""
    own = burn(_counted(requests, WINDOWS[window]), TERMS.bad_share)
    theirs = worked_out[f"homeostat:slo_error:ratio/{window}"] / float(TERMS.bad_share)

    assert own is not None
    assert theirs == pytest.approx(float(own), rel=slack)


def test_the_sli_of_the_whole_window_agrees_to_a_hundredth_of_the_budget(
    requests: Requests, worked_out: dict[str, float]
) -> None:
    own = bad_ratio(_counted(requests, 3 * DAY))

    assert own is not None
    assert worked_out["homeostat:slo_error:ratio/3d"] == pytest.approx(float(own), abs=0.01 * float(TERMS.bad_share))


def test_a_night_without_traffic_is_covered(worked_out: dict[str, float]) -> None:
    """S5, S6."""
    assert worked_out["homeostat:slo_coverage:ratio/3d"] == pytest.approx(1.0, abs=0.005)
