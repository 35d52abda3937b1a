"""The hot path: start a due check, have its endpoints asked, record what came of it, wake whom it concerns.

Start-to-start: the next run is planned when this one is due, not when it ends (H3). A run that is due while the
last still runs is counted as missed. Results of a spec that was edited meanwhile are dropped. In maintenance nothing
is asked, and a run is recorded as skipped.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from homeostat.core.health.maintenance import rests_until
from homeostat.core.health.plan import Plan
from homeostat.core.health.run import RESTING, Answer, Run, aggregate
from homeostat.core.health.track import is_silent, record
from homeostat.core.probing.request import Request
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.core.schedule import next_run
from homeostat.engine.asking import Asker
from homeostat.engine.checks import Check
from homeostat.engine.connectivity import Connectivity
from homeostat.engine.crew import Crew
from homeostat.engine.directory import Directory
from homeostat.engine.meters import Meters
from homeostat.engine.telling import facts_of, trace_result
from homeostat.ports import UNTRACED, Clock, Prober, Tracer
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.probing")

_BUG = Result(Verdict.ERROR, Reason.INTERNAL, 0.0)
_NEWS = frozenset({Verdict.PASS, Verdict.FAIL})


@dataclass(frozen=True, slots=True)
class Instruments:
    """What probing reads from and writes to. Without `connectivity` every failure is believed."""

    prober: Prober
    directory: Directory
    meters: Meters
    metrics: Metrics
    clock: Clock
    connectivity: Connectivity | None = None
    tracer: Tracer = UNTRACED


class Probing:
    """Runs checks when the timetable starts them. `plan_next` asks for the next start, `wake` for an evaluation."""

    def __init__(
        self,
        instruments: Instruments,
        limit: int,
        *,
        plan_next: Callable[[Check, float], None],
        wake: Callable[[Check], None],
    ) -> None:
        self._with = instruments
        self._plan_next = plan_next
        self._wake = wake
        self._asker = Asker(self._probe, instruments.directory)
        self._opened_at = 0.0
        self.crew = Crew(self._run, limit)

    def open(self) -> None:
        """Begin. What came due while all was loaded is not started at once: that would be a burst (H3)."""
        self._opened_at = self._with.clock.monotonic()

    def start(self, check: Check, due: float) -> None:
        """Start a check that is due, and plan the next start. Never blocks."""
        if not check.is_on:
            return
        now = self._with.clock.monotonic()
        if due < self._opened_at:
            self._put_off(check, now)
            return
        following, missed = next_run(due, check.plan.interval, now)
        if check.regular_at is not None:
            following, missed, check.regular_at = max(check.regular_at, now), 0, None
        check.track.missed += missed
        self._plan_next(check, following)
        if check.is_running:
            check.track.missed += 1
            self._notice_silence(check, now)
        elif self._is_resting(check.plan):
            self._take(check, check.plan, None)
        else:
            check.is_running, check.due = True, due
            self._notice_silence(check, now)
            self.crew.put(check)

    def _put_off(self, check: Check, now: float) -> None:
        """Plan a check whose time came too early for us like one that never ran: soon, and not with all others."""
        self._plan_next(check, check.early_run(self._with.clock.now(), now))

    def _is_resting(self, plan: Plan) -> bool:
        return bool(plan.maintenance) and rests_until(plan.maintenance, self._with.clock.now()) is not None

    def _notice_silence(self, check: Check, now: float) -> None:
        """Have a check evaluated once when its last result goes stale; asking here costs it no timer of its own."""
        if not check.is_silent and is_silent(check.track, check.plan, now):
            check.is_silent = True
            self._wake(check)

    async def _run(self, check: Check) -> None:
        tracer = self._with.tracer
        with tracer.span("probe", facts_of(check.key) if tracer.is_on else {}, is_root=True):
            await self._run_once(check)

    async def _run_once(self, check: Check) -> None:
        plan = check.plan
        self._with.metrics.started_late(self._with.clock.monotonic() - check.due)
        try:
            answers = await self._asker.ask(plan, turn=sum(check.track.counts))
        except Exception:  # a bug in one check spares the others
            log.exception("bug", **_named(check))
            answers = [(None, _BUG, False)]
        finally:
            check.is_running = False
        if check.is_on and check.plan is plan:
            self._take(check, plan, answers)

    async def _probe(self, request: Request, timeout: float) -> Result:  # noqa: ASYNC109 - a budget of the prober's
        """Probe once, and doubt a failure that may only show that we have no network."""
        connectivity, metrics = self._with.connectivity, self._with.metrics
        began = self._with.clock.monotonic()
        result = await self._with.prober.probe(request, timeout)
        if connectivity is not None:
            result = await connectivity.judge(request, result, began)
        metrics.probed(request.type, result.verdict.value, result.seconds)
        if result.phases is not None:
            metrics.phased(request.type, result.phases)
        if self._with.tracer.is_kept:
            trace_result(self._with.tracer, request.type, result)
        return result

    # --- what came of it --------------------------------------------------------------------------------

    def _take(self, check: Check, plan: Plan, answers: list[Answer] | None) -> None:
        """Take what the endpoints answered; None when they were not asked because of maintenance."""
        try:
            if answers is None or self._is_resting(plan):
                self._record(check, RESTING)
            else:
                self._record(check, aggregate(answers, plan))
        except Exception:  # a bug in one check spares the others
            log.exception("bug", **_named(check))

    def _record(self, check: Check, run: Run) -> None:
        track, clock = check.track, self._with.clock
        now = clock.now()
        self._with.tracer.note({"homeostat.probe.result": run.verdict.value, "homeostat.probe.reason": run.reason})
        was_silent = check.is_silent
        check.is_silent = was_silent and run.verdict not in _NEWS and run is not RESTING
        if record(track, check.plan, run, now, clock.monotonic()) or was_silent is not check.is_silent:
            self._wake(check)
        self._with.meters.count(check, run, now)


def _named(check: Check) -> dict[str, str]:
    """Name a check in a log line."""
    return {"kind": "HealthCheck", "namespace": check.ref.namespace, "name": check.ref.name}
