"""How many policies want to act at once (R5), counted from what is written of them: a restart counts the same.

Of a policy is kept only what the count needs, and it is counted when it changes and not at each decision: in a storm
all policies decide, and each would look at all others. Only what depends on checks is looked at again. What wants to
act, and how many may, is decided in core/recovery/limits/storm.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush, nsmallest

from homeostat.api.health_check import HealthState
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.recovery.limits import storm
from homeostat.core.recovery.seen import Storm
from homeostat.core.recovery.signals import NEVER
from homeostat.engine.checks import Checks
from homeostat.engine.objects import Key
from homeostat.engine.observing import state_of
from homeostat.ports import Clock

_SOUND = frozenset({HealthState.HEALTHY, HealthState.DEGRADED})


@dataclass(frozen=True, slots=True)
class _Noted:
    uid: str
    wanting: storm.Wanting
    depends_on: frozenset[str]


class Storms:
    """Counts the policies that want to act."""

    def __init__(self, checks: Checks, limit: int, hold: timedelta) -> None:
        self._checks = checks
        self._limit = limit
        self._hold = hold
        self._noted: dict[Key, _Noted] = {}
        self._coming: list[tuple[datetime, Key]] = []
        """A heap of who wants to act from when on; what does not hold any more is passed over."""
        self._due: dict[Key, _Noted] = {}
        """Who wants to act now, whatever else is so."""
        self._leaning: dict[Key, _Noted] = {}
        """Who wants to act now if what it depends on lets it."""
        self._first: list[tuple[str, Key]] | None = None
        """The two smallest uids of those due that are free; None while that is to be found out."""
        self._looked_at = NEVER
        self._told: dict[Key, datetime] = {}
        """Policies that told a human of a storm, and until when it holds."""

    def note(self, key: Key, uid: str, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus) -> None:
        """Take note of what is, or is about to be, written of a policy."""
        wanting = storm.wanting(spec, status)
        noted = _Noted(uid, wanting, frozenset(self._depends_on(key, spec))) if wanting else None
        if noted != self._noted.get(key):
            self._drop(key)
            if noted:
                self._noted[key] = noted
                heappush(self._coming, (noted.wanting.since, key))
        if until := storm.told_until(status):
            self._told[key] = until
        else:
            self._told.pop(key, None)

    def forget(self, key: Key) -> None:
        """Count a policy no longer."""
        self._drop(key)
        self._told.pop(key, None)

    def seen(self, key: Key, uid: str, clock: Clock) -> Storm:
        """Count for one policy, which counts itself: it is asked because it may want to act."""
        now = clock.now()
        self._ripen(now)
        leaning = self._let_act(key, now)
        is_told = any(until > now for other, until in self._told.items() if other != key)
        return Storm(
            wanting=len(self._due) - (key in self._due) + len(leaning) + 1,
            limit=self._limit,
            speaks=not is_told and all(uid < other for other in self._rivals(key, leaning)),
            hold=self._hold,
        )

    def _rivals(self, key: Key, leaning: list[_Noted]) -> Iterator[str]:
        """Give the uids that count when it is asked who speaks: the smallest of those due, and all that lean."""
        if self._first is None:
            free = ((one.uid, other) for other, one in self._due.items() if one.wanting.is_free)
            self._first = nsmallest(2, free)
        yield from (other for other, its_key in self._first if its_key != key)
        yield from (one.uid for one in leaning if one.wanting.is_free)

    # --- whose time has come ----------------------------------------------------------------------------

    def _drop(self, key: Key) -> None:
        if self._noted.pop(key, None):
            self._leaning.pop(key, None)
            if self._due.pop(key, None):
                self._first = None

    def _ripen(self, now: datetime) -> None:
        """Count whose time has come. A clock that is set back has all of them wait again."""
        if now < self._looked_at:
            self._due, self._leaning, self._first = {}, {}, None
            self._coming = [(one.wanting.since, key) for key, one in self._noted.items()]
            heapify(self._coming)
        self._looked_at = now
        while self._coming and self._coming[0][0] <= now:
            since, key = heappop(self._coming)
            one = self._noted.get(key)
            if one is None or one.wanting.since != since:
                continue
            if one.depends_on:
                self._leaning[key] = one
            else:
                self._due[key], self._first = one, None

    def _let_act(self, key: Key, now: datetime) -> list[_Noted]:
        """Give those that lean, but for one, and are let act by what they depend on."""
        known: dict[tuple[str, str], bool] = {}

        def is_sound(namespace: str, name: str) -> bool:
            if (namespace, name) not in known:
                state = state_of(self._checks, namespace, name, now)
                known[namespace, name] = state in _SOUND
            return known[namespace, name]

        return [
            one
            for other, one in self._leaning.items()
            if other != key and all(is_sound(other.namespace, name) for name in one.depends_on)
        ]

    def _depends_on(self, key: Key, spec: RecoveryPolicySpec) -> Iterator[str]:
        yield from (one.health_check.name for one in spec.depends_on)
        for trigger in spec.triggers:
            if trigger.health_check:
                yield from self._checks.dependencies.of(Key("HealthCheck", key.namespace, trigger.health_check.name))
