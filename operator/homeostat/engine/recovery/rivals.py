"""Which policies are for the same target: those of one namespace that name the same object.

That selectors overlap is not looked for. Nothing is held because of rivals: the lock lets one act at a time (R11).

Each policy names its rivals in its status, so a policy that comes or goes concerns all others of its target. They are
looked at together and so many a second: one by one, policies that are created together would have each other looked
at with the square of their number, and write their status as often.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.engine.objects import Key
from homeostat.ports import Clock

LOOKS_PER_SECOND = 50
"""Looks at policies of one target that are had because others came or went."""

Place = tuple[str, str, str]
"""Namespace, kind and name of a target."""


@dataclass(slots=True)
class _Crowd:
    """The policies for one target: their names in order, and when (monotonic s) those are all told of news."""

    names: list[str] = field(default_factory=list)
    due: float = 0.0


class Rivals:
    """Knows the policies of each target; `look_at` has those looked at, at a time, that got or lost a rival."""

    def __init__(self, clock: Clock, look_at: Callable[[Key, float], None]) -> None:
        self._clock = clock
        self._look_at = look_at
        self._places: dict[Key, Place] = {}
        self._crowds: dict[Place, _Crowd] = {}

    def open(self, key: Key, spec: RecoveryPolicySpec) -> None:
        """Take note of a policy, new or edited, which is looked at anyway."""
        target = spec.target
        place = (key.namespace, target.kind.value, target.name) if target.name else None
        if place == self._places.get(key):
            return
        self.close(key)
        if place:
            crowd = self._crowds.setdefault(place, _Crowd())
            self._tell(key, crowd)
            self._places[key] = place
            insort(crowd.names, key.name)

    def close(self, key: Key) -> None:
        """Forget a policy."""
        place = self._places.pop(key, None)
        if place is None:
            return
        crowd = self._crowds[place]
        del crowd.names[bisect_left(crowd.names, key.name)]
        if crowd.names:
            self._tell(key, crowd)
        else:
            del self._crowds[place]

    def of(self, key: Key) -> tuple[str, ...]:
        """Name the other policies for the same target, for a look at one, which may come before that at all."""
        place = self._places.get(key)
        if place is None:
            return ()
        crowd = self._crowds[place]
        if crowd.due > self._clock.monotonic():
            self._look_at(key, crowd.due)  # the look under way may have been the one asked for
        at = bisect_left(crowd.names, key.name)
        return (*crowd.names[:at], *crowd.names[at + 1 :])

    def _tell(self, news: Key, crowd: _Crowd) -> None:
        """Have all of a crowd looked at soon, unless they are to be: the larger it is, the later."""
        now = self._clock.monotonic()
        if crowd.due > now:
            return
        crowd.due = now + len(crowd.names) / LOOKS_PER_SECOND
        for name in crowd.names:
            self._look_at(news._replace(name=name), crowd.due)
