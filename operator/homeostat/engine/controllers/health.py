"""HealthCheck: turns specs into running checks, and what the checks found into status."""

from dataclasses import replace
from datetime import datetime

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.core.decision import Decision
from homeostat.core.health.evaluation import HealthSeen, decide, significance, steady_from
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.reasons import FLAPPING, HealthReason, has_reason
from homeostat.core.health.track import restore, snapshot, watch_anew
from homeostat.core.health.trend import trend_of
from homeostat.core.probing.asking import Invalid
from homeostat.core.schedule import first_run_in
from homeostat.core.significance import Significance
from homeostat.engine.checks import Check, Checks
from homeostat.engine.controller import Subject
from homeostat.engine.meters import Meters
from homeostat.engine.objects import Entry, Key, Problem
from homeostat.engine.observing import read_check
from homeostat.engine.timetable import Timetable
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock


class HealthController:
    """The controller of HealthCheck. One check runs for one object, through any number of edits (H3)."""

    def __init__(
        self, checks: Checks, meters: Meters, clock: Clock, timetable: Timetable[Check | Key], wakes: Wakes
    ) -> None:
        self._checks = checks
        self._wakes = wakes
        self._meters = meters
        self._clock = clock
        self._timetable = timetable

    def changed(self, entry: Entry, spec: HealthCheckSpec | None, problem: Problem | None) -> None:
        """Start, change or stop the check. One that cannot be read keeps running as last accepted."""
        if spec is None:
            return
        self._depend(entry.key, () if problem else tuple(one.name for one in spec.depends_on))
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
        """Stop the check, and forget its series and what it depended on."""
        self._stop(entry)
        self._depend(entry.key, ())
        self._meters.close_check(entry.ref)

    async def decide(
        self, subject: Subject[HealthCheckSpec, HealthCheckStatus], clock: Clock
    ) -> Decision[HealthCheckStatus]:
        """Decide on how the check fares now."""
        entry, spec, now = subject.entry, subject.spec, clock.now()
        check = self._checks.get(entry.key)
        cycle = self._checks.dependencies.cycle(entry.key)
        seen = HealthSeen(
            entry.ref,
            entry.generation,
            track=None if check is None else snapshot(check.track, clock.monotonic()),
            uptime={} if check is None else self._meters.uptime(check),
            trend=None if check is None else trend_of(self._meters.trend_points(check)),
            problem=subject.problem or (_refusal(spec, entry) if check is None else None),
            dependencies={} if cycle else self._states(entry.key.namespace, spec, clock),
            cycle=cycle,
        )
        decision = decide(spec, subject.status, seen, now)
        if check is not None:
            check.track.is_flapping = has_reason(decision.status, FLAPPING, HealthReason.FLAPS)
        # Silence is noticed by probing, which looks at each check every interval anyway; only flapping ends unseen.
        return replace(decision, check_again_at=steady_from(spec, decision.status, now))

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: HealthCheckStatus, new: HealthCheckStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _depend(self, key: Key, names: tuple[str, ...]) -> None:
        """Take note of what a check depends on, be woken by that, and tell all whom a cycle made this way concerns."""
        for concerned in self._checks.dependencies.put(key, names):
            self._timetable.add_now(concerned)
        if names:
            self._wakes.watch(key, (key._replace(name=name) for name in names if name != key.name))
        else:
            self._wakes.forget(key)

    def _states(self, namespace: str, spec: HealthCheckSpec, clock: Clock) -> dict[str, HealthState]:
        """Read the state of all that a check depends on."""
        found = {one.name: read_check(self._checks, namespace, one.name, clock) for one in spec.depends_on}
        return {name: reading.state if reading else HealthState.UNKNOWN for name, reading in found.items()}

    def _begin(self, entry: Entry, plan: Plan) -> None:
        now = self._clock.now()
        status = entry.status()
        known = status if isinstance(status, HealthCheckStatus) else HealthCheckStatus()
        check = Check(
            key=entry.key,
            ref=entry.ref,
            plan=plan,
            track=restore(known, entry.generation, now, self._clock.monotonic()),
            slot=self._meters.open_check(entry.ref, plan.serves),
        )
        self._checks.put(check)
        self._schedule(check, now)

    def _change(self, check: Check, entry: Entry, plan: Plan) -> None:
        now = self._clock.now()
        check.plan = plan
        self._meters.open_check(entry.ref, plan.serves)
        watch_anew(check.track, entry.generation, self._clock.monotonic())
        self._timetable.forget(check)
        self._schedule(check, now)

    def _schedule(self, check: Check, now: datetime) -> None:
        """Plan the next run at the check's own point of time; one that never ran, also once before that, and soon."""
        at = self._clock.monotonic()
        if check.track.at is None:
            self._timetable.add(check, check.early_run(now, at))
            return
        check.regular_at = None
        self._timetable.add(check, at + first_run_in(check.ref.uid, check.plan.interval, now))

    def _stop(self, entry: Entry) -> None:
        check = self._checks.remove(entry.key)
        if check is not None:
            self._timetable.forget(check)


def _refusal(spec: HealthCheckSpec, entry: Entry) -> Problem | None:
    """Say why a spec that the schema accepts can never run. One that runs has been compiled: nobody need ask."""
    plan = compile(spec, entry.ref)
    return (plan.reason, plan.message) if isinstance(plan, Invalid) else None
