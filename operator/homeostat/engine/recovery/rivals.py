"""Which policies are for the same target: those of one namespace that name the same object.

That selectors overlap is not looked for. Nothing is held because of rivals: the lock lets one act at a time (R11).
"""

from collections import defaultdict
from collections.abc import Callable

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.engine.objects import Key

Place = tuple[str, str, str]
"""Namespace, kind and name of a target."""


class Rivals:
    """Knows the policies of each target; `wake` has those looked at that got or lost a rival."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._places: dict[Key, Place] = {}
        self._policies: defaultdict[Place, set[Key]] = defaultdict(set)

    def open(self, key: Key, spec: RecoveryPolicySpec) -> None:
        """Take note of a policy, new or edited."""
        target = spec.target
        place = (key.namespace, target.kind.value, target.name) if target.name else None
        if place == self._places.get(key):
            return
        self.close(key)
        if place:
            self._places[key] = place
            self._policies[place].add(key)
            self._wake_others(key, place)

    def close(self, key: Key) -> None:
        """Forget a policy."""
        place = self._places.pop(key, None)
        if place is None:
            return
        self._policies[place].discard(key)
        self._wake_others(key, place)
        if not self._policies[place]:
            del self._policies[place]

    def of(self, key: Key) -> tuple[str, ...]:
        """Name the other policies for the same target."""
        place = self._places.get(key)
        return tuple(sorted(other.name for other in self._policies[place] if other != key)) if place else ()

    def _wake_others(self, key: Key, place: Place) -> None:
        for other in self._policies[place] - {key}:
            self._wake(other)
