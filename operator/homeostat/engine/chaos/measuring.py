"""What the checks of each experiment counted before, during and after its fault: runs, latency, the lowest score.

Kept in memory alone: a restart costs figures of a report, and nothing else; what is on record in the status stays.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.core.chaos.hypothesis.named import watches
from homeostat.core.chaos.seen import MeasuresSeen
from homeostat.core.chaos.telling.stages import stage_of
from homeostat.core.health.score import check_score
from homeostat.core.health.track import RING, VERDICTS, Track
from homeostat.core.probing.result import Verdict
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objects import Entry, Key

_PASS, _FAIL = VERDICTS.index(Verdict.PASS), VERDICTS.index(Verdict.FAIL)
_NOTHING = MeasuresSeen(0, 0, None, None)


@dataclass(slots=True)
class _Base:
    """What a check had counted when a stage began: passes, fails, latencies recorded."""

    track: Track
    passed: int
    failed: int
    recorded: int


@dataclass(slots=True)
class _Book:
    """One run: the stages that are over or under way, and what the checks had counted when this one began."""

    run: tuple[str, int, datetime | None]
    stage: str = ""
    bases: dict[str, _Base] = field(default_factory=dict)
    measures: dict[str, MeasuresSeen] = field(default_factory=dict)


class Measuring:
    """Reads what the running checks have counted, for each experiment by stages."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._books: dict[Key, _Book] = {}

    def forget(self, key: Key) -> None:
        """Forget an experiment."""
        self._books.pop(key, None)

    def measure(
        self, entry: Entry, spec: ChaosExperimentSpec, status: ChaosExperimentStatus
    ) -> dict[str, MeasuresSeen]:
        """Give what was measured since each stage of the run under way began."""
        run, stage = (entry.ref.uid, status.run_number, status.started_at), stage_of(status)
        book = self._books.get(entry.key)
        if book is None or book.run != run:
            book = self._books[entry.key] = _Book(run)
        keys = (Key("HealthCheck", entry.ref.namespace, name) for name in watches(spec))
        found = [check for key in keys if (check := self._checks.get(key)) is not None]
        if book.stage != stage:
            book.stage, book.bases = stage, {check.key.name: _base(check) for check in found}
        book.measures[stage] = _with_score(_counted(book, found), book.measures.get(stage, _NOTHING), found)
        return dict(book.measures)


def _base(check: Check) -> _Base:
    track = check.track
    return _Base(track, track.counts[_PASS], track.counts[_FAIL], track.recorded)


def _counted(book: _Book, found: list[Check]) -> MeasuresSeen:
    passed = failed = 0
    latencies: list[float] = []
    for check in found:
        track, base = check.track, book.bases.get(check.key.name)
        if base is None or base.track is not track:  # it began to run, or began anew, in the middle of a stage
            base = book.bases[check.key.name] = _base(check)
        passed += track.counts[_PASS] - base.passed
        failed += track.counts[_FAIL] - base.failed
        newest = min(track.recorded - base.recorded, RING)
        latencies += [track.latencies[(track.recorded - 1 - back) % RING] for back in range(newest)]
    return MeasuresSeen(passed, failed, _p95(latencies), None)


def _p95(seconds: list[float]) -> timedelta | None:
    if not seconds:
        return None
    return timedelta(seconds=sorted(seconds)[ceil(0.95 * len(seconds)) - 1])


def _with_score(measures: MeasuresSeen, before: MeasuresSeen, found: list[Check]) -> MeasuresSeen:
    now = (check_score(check.state, check.track.passing, check.track.total) for check in found)
    scores = [score for score in (before.score, *now) if score is not None]
    return replace(measures, score=min(scores, default=None))
