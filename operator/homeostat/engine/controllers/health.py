"""HealthCheck: turns specs into running checks, and what the checks found into status."""

from dataclasses import replace
from datetime import datetime

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus
from homeostat.core.decision import Decision
from homeostat.core.health import HealthSeen, decide, significance
from homeostat.core.plan import Invalid, Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.schedule import first_run_in
from homeostat.core.significance import Significance
from homeostat.core.track import restore, snapshot, watch_anew
from homeostat.engine.checks import Check, Checks
from homeostat.engine.controller import Subject
from homeostat.engine.meters import Meters
from homeostat.engine.objects import Entry, Key, Problem
from homeostat.engine.timetable import Timetable
from homeostat.ports import Clock


class HealthController:
    """The controller of HealthCheck. One check runs for one object, through any number of edits (H3)."""

    def __init__(self, checks: Checks, meters: Meters, clock: Clock, timetable: Timetable[Check | Key]) -> None:
        self._checks = checks
        self._meters = meters
        self._clock = clock
        self._timetable = timetable

    def changed(self, entry: Entry, spec: HealthCheckSpec | None, problem: Problem | None) -> None:
        """Start, change or stop the check. One that cannot be read keeps running as last accepted."""
        if spec is None:
            return
        plan = None if problem or spec.suspend else compile(spec, entry.ref)
        if not isinstance(plan, Plan):
            self._stop(entry)
            return
        check = self._checks.get(entry.key)
        if check is None:
            self._begin(entry, plan)
        elif check.track.generation != entry.generation:
            self._change(check, entry, plan)

    def removed(self, entry: Entry) -> None:
        """Stop the check, and forget its series."""
        self._stop(entry)
        self._meters.close_check(entry.ref)

    async def decide(
        self, subject: Subject[HealthCheckSpec, HealthCheckStatus], clock: Clock
    ) -> Decision[HealthCheckStatus]:
        """Decide on how the check fares now."""
        entry, spec = subject.entry, subject.spec
        check = self._checks.get(entry.key)
        seen = HealthSeen(
            entry.ref,
            entry.generation,
            track=None if check is None else snapshot(check.track),
            uptime={} if check is None else self._meters.uptime(check),
            problem=subject.problem or _refusal(spec, entry),
        )
        # Silence is noticed by probing, which looks at each check every interval anyway.
        return replace(decide(spec, subject.status, seen, clock.now()), check_again_at=None)

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: HealthCheckStatus, new: HealthCheckStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _begin(self, entry: Entry, plan: Plan) -> None:
        now = self._clock.now()
        status = entry.status()
        known = status if isinstance(status, HealthCheckStatus) else HealthCheckStatus()
        check = Check(
            key=entry.key,
            ref=entry.ref,
            plan=plan,
            track=restore(known, entry.generation, now),
            slot=self._meters.open_check(entry.ref),
        )
        self._checks.put(check)
        self._schedule(check, now)

    def _change(self, check: Check, entry: Entry, plan: Plan) -> None:
        now = self._clock.now()
        check.plan = plan
        watch_anew(check.track, entry.generation, now)
        self._timetable.forget(check)
        self._schedule(check, now)

    def _schedule(self, check: Check, now: datetime) -> None:
        wait = first_run_in(check.ref.uid, check.plan.interval, now)
        self._timetable.add(check, self._clock.monotonic() + wait)

    def _stop(self, entry: Entry) -> None:
        check = self._checks.remove(entry.key)
        if check is not None:
            self._timetable.forget(check)


def _refusal(spec: HealthCheckSpec, entry: Entry) -> Problem | None:
    """Say why a spec that the schema accepts can never run."""
    plan = compile(spec, entry.ref)
    return (plan.reason, plan.message) if isinstance(plan, Invalid) else None
