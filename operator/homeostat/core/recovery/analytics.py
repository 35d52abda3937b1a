"""How well healing works, from the attempts that are over: how often it helped and how long each part took (R17).

    fault ─ detect ─▶ trigger fires ─ decide ─▶ intent on record ─ act ─▶ first action done ─ … ─▶ trigger quiet
                      └───────────────────────── recover ────────────────────────────────────────────┘

`detect` needs a source that tells its first sign (a check's first failed probe). `decide` holds the trigger's `for` and
whatever stood against acting. Only attempts that acted count as attempts, as in status.stats.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from homeostat.api.recovery_attempt import AttemptRecord, Outcome


class Part(StrEnum):
    """The parts of healing that are timed."""

    DETECT = "detect"
    DECIDE = "decide"
    ACT = "act"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class Told:
    """An attempt and whose it was."""

    namespace: str
    name: str
    record: AttemptRecord


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, over `count` times."""

    count: int
    mean: timedelta
    median: timedelta
    p95: timedelta


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a group of attempts. `attempts` acted; `outcomes` holds the others too, such as NotStarted."""

    key: tuple[str, ...]
    attempts: int
    recovered: int
    outcomes: Mapping[str, int]
    took: Mapping[Part, Spread]

    @property
    def success_rate(self) -> float | None:
        """The share that recovered; None when none acted."""
        return self.recovered / self.attempts if self.attempts else None


def timings(record: AttemptRecord) -> dict[Part, timedelta]:
    """Time the parts of one attempt, those that are known; a clock set back makes none of them negative."""
    spans = {
        Part.DETECT: (record.began_at, record.detected_at),
        Part.DECIDE: (record.detected_at, record.started_at),
        Part.ACT: (record.started_at, record.acted_at),
        Part.RECOVER: (record.detected_at, record.recovered_at),
    }
    if record.acted_at is None:
        return {}
    return {part: _span(*between) for part, between in spans.items() if None not in between}


KEYS: dict[str, Callable[[Told], tuple[str, ...]]] = {
    "policy": lambda told: (f"{told.namespace}/{told.name}",),
    "step": lambda told: (f"{told.namespace}/{told.name}", told.record.name),
    "cause": lambda told: (f"{told.namespace}/{told.name}", told.record.cause or "unknown"),
}
"""What attempts are grouped by."""


def grouped(attempts: Iterable[Told], by: str) -> tuple[Figures, ...]:
    """Sum attempts up by one of KEYS, in the order of the keys."""
    groups: dict[tuple[str, ...], list[AttemptRecord]] = {}
    for told in attempts:
        groups.setdefault(KEYS[by](told), []).append(told.record)
    return tuple(_figures(key, records) for key, records in sorted(groups.items()))


def _figures(key: tuple[str, ...], records: list[AttemptRecord]) -> Figures:
    acted = [record for record in records if record.acted_at is not None]
    spans: dict[Part, list[timedelta]] = {}
    for record in acted:
        for part, span in timings(record).items():
            spans.setdefault(part, []).append(span)
    return Figures(
        key=key,
        attempts=len(acted),
        recovered=sum(record.outcome is Outcome.RECOVERED for record in acted),
        outcomes=Counter(record.outcome.value for record in records),
        took={part: _spread(spans[part]) for part in Part if part in spans},
    )


def _spread(spans: list[timedelta]) -> Spread:
    """Sum up spans, with percentiles by the nearest rank: each is a span that there was."""
    ordered, count = sorted(spans), len(spans)
    median, p95 = (ordered[ceil(share * count / 100) - 1] for share in (50, 95))
    return Spread(count, sum(ordered, timedelta(0)) / count, median, p95)


def _span(since: datetime | None, until: datetime | None) -> timedelta:
    return max(timedelta(0), until - since) if since and until else timedelta(0)
