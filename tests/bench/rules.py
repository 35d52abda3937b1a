"""What the rules of objectives cost a real Prometheus: homeostat's, and those of Sloth and Pyrra for the same.

A month of samples of each objective is written at once: counters scraped every minute, and what each tool's rules would
have recorded of them. Then every expression of every rule is evaluated at the end of the month, round by round, and
the CPU of Prometheus is counted; what an empty query costs is taken off. Rows: ms of CPU per objective and evaluation
of all its rules, the same per minute at the intervals of each tool, and ratios.
"""

import argparse
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.progress import say
from bench.prometheus_server import Server, serving
from bench.report import Row, publish
from bench.rule_shapes import PYRRA_WINDOWS, SLOTH_WINDOWS, Shape, pyrra, sloth
from homeostat.api.meta import parse_duration
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.rules.groups import emit

DAY = 86_400
END = 1_790_000_400  # a whole minute of some month
OURS = "homeostat"
SUBJECTS = (OURS, "Sloth (shapes)", "Pyrra (shapes)")


@dataclass(frozen=True, slots=True)
class Task:
    """What a subject evaluates, by the group that it is in: all objectives together."""

    subject: str
    group: str
    seconds: int
    exprs: tuple[str, ...]


# --- samples --------------------------------------------------------------------------------------------


def counters(jobs: Sequence[str], days: int) -> Iterator[str]:
    """Write good and bad requests: 600 a minute, one in a thousand bad."""
    first = END - days * DAY
    for job in jobs:
        for code, each in (("200", 600), ("500", 0.6)):
            start = f'http_requests_total{{job="{job}",code="{code}"}} '
            for minute in range(days * 1440 + 1):
                yield f"{start}{int(minute * each):d} {first + minute * 60}\n"


def recorded(metric: str, labels: Sequence[str], seconds: int, step: int, value: float) -> Iterator[str]:
    """Write what was recorded of the last `seconds`, every `step`; it differs a little from sample to sample."""
    for one in labels:
        start = f"{metric}{{{one}}} "
        for count in range(seconds // step + 1):
            at = END - seconds // step * step + count * step
            yield f"{start}{value * (1 + count * 37 % 101 / 1000):.6g} {at}\n"


def families(jobs: Sequence[str], days: int) -> Iterator[tuple[str, Iterable[str]]]:
    """Give all samples: the counters, and what the rules of each tool would have recorded."""
    yield "http_requests_total", counters(jobs, days)
    ours = [f'homeostat_namespace="bench",homeostat_slo="{job}"' for job in jobs]
    for what, value in (("total", 10.0), ("bad", 0.01)):
        yield f"homeostat:slo_{what}:rate5m", recorded(f"homeostat:slo_{what}:rate5m", ours, 7 * 3600, 60, value)
        name = f"homeostat:slo_{what}:rate5m_step"
        yield name, recorded(name, ours, days * DAY, 300, value)
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", f"{days}d")
    labels = [f'{one},homeostat_window="{window}"' for one in ours for window in windows]
    yield "homeostat:slo_error:ratio", recorded("homeostat:slo_error:ratio", labels, 300, 60, 0.001)
    whole = [f'{one},homeostat_window="{days}d"' for one in ours]
    for name in ("homeostat:slo_coverage:ratio", "homeostat:slo_budget:remaining"):
        yield name, recorded(name, whole, 300, 60, 0.9)
    yield from others(jobs, days)


def others(jobs: Sequence[str], days: int) -> Iterator[tuple[str, Iterable[str]]]:
    """Give what the rules of the other two would have recorded."""
    theirs = [f'sloth_id="{job}"' for job in jobs]
    for window in (*SLOTH_WINDOWS, f"{days}d"):
        name, seconds = f"slo:sli_error:ratio_rate{window}", days * DAY if window == "5m" else 300
        yield name, recorded(name, [f'{one},sloth_window="{window}"' for one in theirs], seconds, 60, 0.001)
    for name in ("slo:error_budget:ratio", "slo:period_burn_rate:ratio"):
        yield name, recorded(name, theirs, 300, 60, 0.001)
    for window in PYRRA_WINDOWS:
        name = f"http_requests:burnrate{window}"
        yield name, recorded(name, [f'slo="{job}"' for job in jobs], 300, 30, 0.001)


# --- rules ----------------------------------------------------------------------------------------------


def ours(job: str, period: str) -> tuple[Shape, ...]:
    """Give our rules of an objective."""
    bad = f'http_requests_total{{job="{job}",code=~"5.."}}'
    total = f'http_requests_total{{job="{job}"}}'
    spec = ServiceLevelObjectiveSpec.model_validate(
        {
            "objective": "99.9",
            "window": {"rolling": period},
            "indicator": {"prometheus": {"ratio": {"bad": bad, "total": total}}},
        }
    )
    groups = emit(spec, "bench", job).groups
    every = (int(parse_duration(group["interval"]).total_seconds()) for group in groups)
    return tuple(
        Shape(seconds, [rule["expr"] for rule in group["rules"]])
        for seconds, group in zip(every, groups, strict=True)
    )  # fmt: skip


def tasks(jobs: Sequence[str], days: int) -> list[Task]:
    """Give what is evaluated, group by group."""
    found: list[Task] = []
    makers = (ours, sloth, pyrra)
    for subject, maker in zip(SUBJECTS, makers, strict=True):
        shapes = [maker(job, f"{days}d") for job in jobs]
        for number, first in enumerate(shapes[0]):
            exprs = tuple(expr for shape in shapes for expr in shape[number].exprs)
            found.append(Task(subject, f"every {first.seconds} s", first.seconds, exprs))
    return found


def cost(server: Server, exprs: Sequence[str]) -> float:
    """Give the CPU seconds of evaluating expressions one after the other."""
    before = server.cpu()
    for expr in exprs:
        server.query(expr, END)
    return server.cpu() - before


def measure(server: Server, todo: Sequence[Task], rounds: int) -> dict[Task, float]:
    """Give the CPU seconds of one evaluation of each task: medians of rounds, less that of empty queries."""
    found: dict[int, list[float]] = {}
    for number in range(rounds):
        empty = cost(server, ["vector(1)"] * 2000) / 2000
        for index, task in enumerate(todo):
            spent = cost(server, task.exprs) - empty * len(task.exprs)
            found.setdefault(index, []).append(max(spent, 0.0))
            say(f"round {number + 1} of {rounds}: {task.subject}, {task.group}: {spent:.2f} s of CPU")
    return {task: statistics.median(found[index]) for index, task in enumerate(todo)}


# --- figures --------------------------------------------------------------------------------------------


def rows(costs: dict[Task, float], objectives: int) -> Iterator[Row]:
    """Give the figures per objective, and what the others cost beside ours."""
    once, minute = dict.fromkeys(SUBJECTS, 0.0), dict.fromkeys(SUBJECTS, 0.0)
    for task, spent in costs.items():
        each = spent / objectives * 1000
        once[task.subject] += each
        minute[task.subject] += each * 60 / task.seconds
        yield Row(task.group, task.subject, "rules", len(task.exprs) / objectives, "per objective")
        yield Row(task.group, task.subject, "evaluation", each, "ms CPU per objective")
    for case, figures in (("all rules once", once), ("a minute", minute)):
        for subject in SUBJECTS:
            yield Row(case, subject, "cost", figures[subject], "ms CPU per objective")
        for subject in SUBJECTS[1:]:
            yield Row(case, f"{subject} / {OURS}", "cost", figures[subject] / figures[OURS], "x")
    for subject in SUBJECTS:
        yield Row("10,000 objectives", subject, "cost", minute[subject] * 10_000 / 60_000, "cores")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objectives", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    jobs = [f"job{number}" for number in range(options.objectives)]
    say(f"writing {options.days} days of {options.objectives} objectives")
    with serving(families(jobs, options.days)) as server:
        say("Prometheus is ready")
        todo = tasks(jobs, options.days)
        _check(server, todo)
        publish("rules", list(rows(measure(server, todo, options.rounds), options.objectives)))


def _check(server: Server, todo: Sequence[Task]) -> None:
    """Make sure that what is measured finds its samples. Only comparisons, as of alerts, may give nothing."""
    for task in todo:
        for expr in task.exprs[:30]:
            if not re.search(r"[<>]=|absent|> \(", expr) and not server.query(expr, END):
                raise SystemExit(f"nothing is found by {expr}")


if __name__ == "__main__":
    main()
