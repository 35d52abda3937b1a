"""How far the SLI of 30 days is from the truth: homeostat's own counting, its rules, and the formulas of the others.

Synthetic traffic of which every request is known: steady, bursty, with idle spells, with a counter of errors that is
born late (the first error of each new pod is its first sample), and with counters that restart. It is scraped
every 30 s into a real Prometheus, which works out the formulas of all: recorded rules are written as subqueries with
the step at which they are recorded. Rows: the error of the SLI, in points of a percent and in percent of the budget.
"""

import argparse
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bench.progress import say
from bench.prometheus_server import Server, serving
from bench.report import Row, publish
from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.prometheus.answer import Sample
from homeostat.core.prometheus.collecting import Memory, Segment, count_up, read
from homeostat.core.prometheus.queries import queries_of
from homeostat.core.rules.queries import measured

DAY, SCRAPE = 86_400, 30
END = 1_790_000_400  # a whole minute of some month
OURS, OUR_RULES, SLOTH, PYRRA = "homeostat", "homeostat's rules", "Sloth (formula)", "Pyrra (formula)"
BUDGET = 0.001  # of 99.9 %
METRIC = "http_requests_total"

Rates = Callable[[int, random.Random], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What happens: (requests a second, share of bad ones) at a second, and how often a process restarts (0 never).

    `has_new_name`: after a restart it is another pod, with series of its own.
    """

    name: str
    rates: Rates
    restarts_every: int = 0
    has_new_name: bool = False


def _steady(_at: int, _dice: random.Random) -> tuple[float, float]:
    return 10.0, 0.0008


def _bursty(at: int, _dice: random.Random) -> tuple[float, float]:
    """Ten minutes of two hundred times the traffic every six hours, with many errors."""
    return (200.0, 0.0015) if at % 21_600 < 600 else (1.0, 0.0001)


def _idle(at: int, _dice: random.Random) -> tuple[float, float]:
    """Office hours only: nights have a few requests, of which many fail."""
    hour = at % DAY // 3600
    return (20.0, 0.0005) if 8 <= hour < 18 else (0.002, 0.05)


def _late(_at: int, _dice: random.Random) -> tuple[float, float]:
    """Single errors, far apart: many a pod ends before it has a second one."""
    return 5.0, 0.00005


TRAFFIC = (
    Traffic("steady", _steady),
    Traffic("bursty", _bursty),
    Traffic("idle spells", _idle),
    Traffic("late-born errors", _late, restarts_every=2 * 3600, has_new_name=True),
    Traffic("counter resets", _steady, restarts_every=3 * 3600),
)


# --- what happens ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class History:
    """The samples of one traffic, (epoch s, value) by (code, pod), and what really happened."""

    traffic: Traffic
    samples: Mapping[tuple[str, int], Sequence[tuple[int, int]]]
    true_bad: int
    true_total: int


def history(traffic: Traffic, days: int, seed: int) -> History:
    """Play a traffic through. A counter of errors has no sample before its first event, as client libraries do it."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    samples: dict[tuple[str, int], list[tuple[int, int]]] = {}
    counters, pod, all_bad, all_total = [0, 0], 0, 0, 0
    first = END - days * DAY
    for at in range(first, END + 1, SCRAPE):
        if traffic.restarts_every and (at - first) % traffic.restarts_every == 0:
            counters, pod = [0, 0], pod + traffic.has_new_name
        if at > first:
            rate, share = traffic.rates(at - SCRAPE, dice)
            total = _poisson(rate * SCRAPE, dice)
            failed = _poisson(total * share, dice)
            counters = [counters[0] + max(total - failed, 0), counters[1] + failed]
            all_bad, all_total = all_bad + failed, all_total + max(total, failed)
        samples.setdefault(("200", pod), []).append((at, counters[0]))
        if counters[1]:
            samples.setdefault(("500", pod), []).append((at, counters[1]))
    return History(traffic, samples, all_bad, all_total)


def _poisson(mean: float, dice: random.Random) -> int:
    if mean > 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), dice.random(), 0
    while product > limit:
        product, count = product * dice.random(), count + 1
    return count


def families(histories: Sequence[History]) -> Iterator[tuple[str, Iterable[str]]]:
    """Write all samples."""
    yield (
        METRIC,
        (
            f'{METRIC}{{job="{one.traffic.name}",code="{code}",pod="{pod}"}} {value} {at}\n'
            for one in histories
            for (code, pod), samples in one.samples.items()
            for at, value in samples
        ),
    )


# --- what each makes of it ------------------------------------------------------------------------------


def indicator(job: str) -> PrometheusIndicator:
    """Give what a user would write."""
    bad, total = f'{METRIC}{{job="{job}",code=~"5.."}}', f'{METRIC}{{job="{job}"}}'
    return PrometheusIndicator.model_validate({"ratio": {"bad": bad, "total": total}})


def formulas(job: str, days: int) -> dict[str, str]:
    """Give the share of bad events, as each tool's rules work it out."""
    bad, total = f'{METRIC}{{job="{job}",code=~"5.."}}', f'{METRIC}{{job="{job}"}}'
    queries = measured(indicator(job), timedelta(minutes=5))
    ours_total, ours_bad = f"({queries.total})", f"({queries.bad(f'({queries.total})')})"
    ratio = f"(sum(rate({bad}[5m])) / sum(rate({total}[5m])))"
    return {
        OUR_RULES: f"avg_over_time({ours_bad}[{days}d:5m]) / avg_over_time({ours_total}[{days}d:5m])",
        SLOTH: f"sum_over_time({ratio}[{days}d:1m]) / count_over_time({ratio}[{days}d:1m])",
        PYRRA: f"sum(increase({bad}[{days}d])) / sum(increase({total}[{days}d]))",
    }


def counted(one: History, days: int) -> float:
    """Give the share of bad events as the operator counts it: counters minute by minute, increases taken by itself."""
    queries = queries_of(indicator(one.traffic.name))
    first = END - days * DAY
    by_time: dict[int, dict[str, list[Sample]]] = {}
    for (code, pod), samples in one.samples.items():
        for at, value in samples:
            found = by_time.setdefault(at, {"200": [], "500": []})
            found[code].append(Sample(float(value), {"code": code, "pod": str(pod)}))
    memory: Memory | None = None
    found_bad = found_total = 0.0
    for at in range(first, END, 3600):
        segment = Segment(at, at + 3600, 60, 60, is_added=True)
        times = range(at if memory is None else at + 60, at + 3601, 60)
        parts = {time: by_time[time]["500"] for time in times if by_time[time]["500"]}
        wholes = {time: [*by_time[time]["200"], *by_time[time]["500"]] for time in times}
        memory, part, total = count_up(queries, memory, parts, wholes, segment)
        for reading in read(queries, part, total, segment):
            for lost, of in reading.counts.values():
                found_bad, found_total = found_bad + lost, found_total + of
    return found_bad / found_total if found_total else float("nan")


def figures(server: Server, one: History, days: int) -> dict[str, float]:
    """Give the share of bad events by subject."""
    found = {OURS: counted(one, days)}
    for subject, expr in formulas(one.traffic.name, days).items():
        found[subject] = server.value(expr, END)
    return found


def rows(one: History, found: dict[str, float]) -> Iterator[Row]:
    """Give how far each is from the truth, if it gives a number at all."""
    truth = one.true_bad / one.true_total
    yield Row(one.traffic.name, "truth", "SLI", 100 * (1 - truth), "%")
    for subject, share in found.items():
        yield Row(one.traffic.name, subject, "gives a number", float(not math.isnan(share)), "of 1")
        if math.isnan(share):
            continue
        yield Row(one.traffic.name, subject, "error of the SLI", 100 * (truth - share), "points of a percent")
        yield Row(
            one.traffic.name, subject, "error of the budget", 100 * abs(share - truth) / BUDGET, "% of the budget"
        )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    histories = []
    for traffic in TRAFFIC:
        histories.append(history(traffic, options.days, options.seed))
        say(f"{traffic.name}: {histories[-1].true_total} requests, {histories[-1].true_bad} of them bad")
    with serving(families(histories)) as server:
        say("Prometheus is ready")
        found: list[Row] = []
        for one in histories:
            found += rows(one, figures(server, one, options.days))
            say(f"{one.traffic.name}: worked out")
        publish("accuracy", found)


if __name__ == "__main__":
    main()
