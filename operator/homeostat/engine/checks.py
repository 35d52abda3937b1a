"""The checks that run: what each is asked (its plan), how it fares (its track), where its results are counted."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from homeostat.api.health_check import HealthState
from homeostat.core.health.dependencies import companions, find_cycle
from homeostat.core.health.plan import Plan
from homeostat.core.health.track import Track
from homeostat.core.probing.result import Reason
from homeostat.core.ref import Ref
from homeostat.core.schedule import early_run_in
from homeostat.engine.objects import Key


@dataclass(slots=True, eq=False)
class Check:
    """One running check; `slot` is its series of uptime. Compared by identity: it is itself a key of the timetable."""

    key: Key
    ref: Ref
    plan: Plan
    track: Track
    slot: int
    is_running: bool = False
    is_on: bool = True
    is_silent: bool = False
    due: float = 0.0  # monotonic: when the run under way should have started
    regular_at: float | None = None  # monotonic: the point of time that is its own, when its first run came before

    def early_run(self, now: datetime, at: float) -> float:
        """Give when to run soon, not waiting for the check's own point of time, which is kept for the run after it.

        `at` is `now` in monotonic seconds, which the result is in too.
        """
        early, regular = early_run_in(self.ref.uid, self.plan.interval, now)
        self.regular_at = None if regular is None else at + regular
        return at + early

    @property
    def state(self) -> HealthState:
        """What is known of the target: nothing while it is silent or in maintenance."""
        if self.track.reason is Reason.MAINTENANCE:
            return HealthState.SUSPENDED
        return HealthState.UNKNOWN if self.is_silent else self.track.state


class Checks:
    """The running checks by the key of their HealthCheck, and what all checks depend on."""

    def __init__(self) -> None:
        self._checks: dict[Key, Check] = {}
        self.dependencies = Dependencies()

    def __len__(self) -> int:
        return len(self._checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(list(self._checks.values()))

    def get(self, key: Key) -> Check | None:
        """Give the running check of a HealthCheck."""
        return self._checks.get(key)

    def put(self, check: Check) -> None:
        """Add a check."""
        self._checks[check.key] = check

    def remove(self, key: Key) -> Check | None:
        """Take a check out; it is not started again."""
        check = self._checks.pop(key, None)
        if check is not None:
            check.is_on = False
        return check


class Dependencies:
    """Which HealthChecks each one names in `dependsOn`, by namespace; whether they run does not matter."""

    def __init__(self) -> None:
        self._graphs: defaultdict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)

    def put(self, key: Key, names: tuple[str, ...]) -> frozenset[Key]:
        """Let a check depend on `names`; give those for which a cycle may have begun or ended by that."""
        if self._graphs.get(key.namespace, {}).get(key.name, ()) == names:
            return frozenset()
        graph = self._graphs[key.namespace]
        before = companions(graph, key.name)
        if names:
            graph[key.name] = names
        else:
            del graph[key.name]
        if not graph:
            del self._graphs[key.namespace]
        return frozenset(key._replace(name=name) for name in before | companions(graph, key.name))

    def of(self, key: Key) -> tuple[str, ...]:
        """Name what a check depends on in effect: nothing when that leads back to itself."""
        return () if self.cycle(key) else self._graphs.get(key.namespace, {}).get(key.name, ())

    def cycle(self, key: Key) -> tuple[str, ...]:
        """Give the way from a check over its dependencies back to itself; () when there is none."""
        graph = self._graphs.get(key.namespace, {})
        return find_cycle(graph, key.name) if key.name in graph else ()
