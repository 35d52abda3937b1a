"""One HealthCheck as the engine lives with it, for tests of its decisions: time passes, runs end, statuses are written.

A life is spelled: `c` a clean pass, `r` a pass after a retry, `f` a fail, `e` an error of ours, `x` a restart of the
operator, `s` a silence, `d` the dependency turns Unhealthy, `u` it is Healthy again. A run takes a second, a silence as
long as it must, the others next to nothing. In maintenance runs are skipped, whatever is spelled.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.core.condition import condition
from homeostat.core.decision import Decision, Event, EventType
from homeostat.core.health import plan as plans
from homeostat.core.health.evaluation import HealthSeen, decide, significance, steady_from
from homeostat.core.health.maintenance import rests_until
from homeostat.core.health.plan import Plan
from homeostat.core.health.run import RESTING, Run
from homeostat.core.health.track import Track, record, restore, snapshot
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance

START = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = Ref("HealthCheck", "shop", "checkout", "uid-1")
SECOND, MOMENT = timedelta(seconds=1), timedelta(milliseconds=1)
PASS = Run(Verdict.PASS, Reason.OK, 0.003, 1, 1)
RUNS = {
    "c": PASS,
    "r": PASS._replace(is_retried=True),
    "f": Run(Verdict.FAIL, Reason.TIMEOUT, 2.0, 0, 1, failing=((None, "a", Reason.TIMEOUT),)),
    "e": Run(Verdict.ERROR, Reason.INTERNAL, 0.0, 0, 1),
}


def at(second: float) -> datetime:
    """Give the time so many seconds after the beginning."""
    return START + timedelta(seconds=second)


class Life:
    """A check that runs every second, decided on when something matters or a decision asked for it."""

    def __init__(self, **spec: Any) -> None:
        whole = {"probe": {"tcp": {"address": "a:1"}}, "interval": "1s", "timeout": "1s", **spec}
        self.spec = HealthCheckSpec.model_validate(whole)
        compiled = plans.compile(self.spec, CHECK)
        assert isinstance(compiled, Plan)
        self.plan = compiled
        self.dependencies = {one.name: HealthState.HEALTHY for one in self.spec.depends_on}
        self.cycle: tuple[str, ...] = ()
        self.now = START
        self.written = HealthCheckStatus()
        self.writes = 0
        self.events: list[tuple[Event, bool]] = []  # each with whether the check was suppressed then
        self.states: list[HealthState] = []  # after each letter
        self.track: Track = restore(self.written, 1, self.now, self.monotonic)
        self.look()

    @property
    def monotonic(self) -> float:
        return (self.now - START).total_seconds()

    @property
    def told(self) -> list[str]:
        return [event.reason for event, _ in self.events]

    @property
    def alarms_under_suppression(self) -> list[str]:
        return [event.reason for event, was in self.events if was and event.type is EventType.WARNING]

    def why(self, type_: str) -> str:
        """Give status and reason of a condition, "" when there is none."""
        found = condition(self.written.conditions, type_)
        return f"{found.status.value} {found.reason}" if found else ""

    def decide(self) -> Decision[HealthCheckStatus]:
        track = snapshot(self.track, self.monotonic)
        seen = HealthSeen(CHECK, 1, track, dependencies=self.dependencies, cycle=self.cycle)
        return decide(self.spec, self.written, seen, self.now)

    def look(self) -> None:
        """Decide, and write what is worth it."""
        made = self.decide()
        self.events += [(event, bool(made.status.suppressed_by)) for event in made.events]
        if made.events or significance(self.written, made.status) is Significance.CHANGE:
            self.written = made.status
            self.writes += 1

    def live(self, word: str) -> "Life":
        """Live through a word."""
        for letter in word:
            again = steady_from(self.spec, self.written, self.now)
            self.now += SECOND if letter in RUNS else MOMENT
            if self._happens(letter) or (again is not None and again <= self.now):
                self.look()
            self.states.append(self.track.state)
        return self

    def _happens(self, letter: str) -> bool:
        """Let one letter happen; say whether it asks for a decision."""
        if letter in RUNS:
            run = RESTING if rests_until(self.plan.maintenance, self.now) else RUNS[letter]
            return record(self.track, self.plan, run, self.now, self.monotonic)
        if letter == "x":
            self._restart()
        elif letter == "s":
            self.now += self.plan.stale_after
        else:
            self.dependencies = dict.fromkeys(
                self.dependencies, HealthState.UNHEALTHY if letter == "d" else HealthState.HEALTHY
            )
        return True

    def _restart(self) -> None:
        """Lose the process: all that remains is what the API server holds, as JSON."""
        self.written = HealthCheckStatus.model_validate(self.written.wire())
        self.track = restore(self.written, 1, self.now, self.monotonic)
