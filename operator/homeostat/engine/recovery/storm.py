"""How many policies want to act at once (R5), counted from what is written of them: a restart counts the same.

Of a policy is kept only what the count needs, so that a decision costs as much as there are policies that fire. What
wants to act, and how many may, is decided in core/recovery/limits/storm.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.api.health_check import HealthState
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.recovery.limits import storm
from homeostat.core.recovery.seen import Storm
from homeostat.engine.checks import Checks
from homeostat.engine.objects import Key
from homeostat.engine.observing import read_check
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
        self._told: dict[Key, datetime] = {}
        """Policies that told a human of a storm, and until when it holds."""

    def note(self, key: Key, uid: str, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus) -> None:
        """Take note of what is, or is about to be, written of a policy."""
        self.forget(key)
        wanting = storm.wanting(spec, status)
        if wanting:
            self._noted[key] = _Noted(uid, wanting, frozenset(self._depends_on(key, spec)))
        if until := storm.told_until(status):
            self._told[key] = until

    def forget(self, key: Key) -> None:
        """Count a policy no longer."""
        self._noted.pop(key, None)
        self._told.pop(key, None)

    def seen(self, key: Key, uid: str, clock: Clock) -> Storm:
        """Count for one policy, which counts itself: it is asked because it may want to act."""
        now = clock.now()
        others = [one for other, one in self._noted.items() if other != key and self._is_due(other, one, clock)]
        is_told = any(until > now for other, until in self._told.items() if other != key)
        speaks = not is_told and all(uid < one.uid for one in others if one.wanting.is_free)
        return Storm(wanting=len(others) + 1, limit=self._limit, speaks=speaks, hold=self._hold)

    def _is_due(self, key: Key, one: _Noted, clock: Clock) -> bool:
        """Whether it wants to act now, and what it depends on lets it."""
        if one.wanting.since > clock.now():
            return False
        readings = (read_check(self._checks, key.namespace, name, clock) for name in one.depends_on)
        return all(reading is not None and reading.state in _SOUND for reading in readings)

    def _depends_on(self, key: Key, spec: RecoveryPolicySpec) -> Iterator[str]:
        yield from (one.health_check.name for one in spec.depends_on)
        for trigger in spec.triggers:
            if trigger.health_check:
                yield from self._checks.dependencies.of(Key("HealthCheck", key.namespace, trigger.health_check.name))
