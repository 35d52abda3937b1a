"""Who must be evaluated when something else changes: objectives and policies when their check does."""

from collections import defaultdict
from collections.abc import Iterable

from homeostat.engine.objects import Key


class Wakes:
    """For each object, the objects that look at it."""

    def __init__(self) -> None:
        self._looks_at: dict[Key, frozenset[Key]] = {}
        self._looked_at_by: defaultdict[Key, set[Key]] = defaultdict(set)

    def watch(self, who: Key, whom: Iterable[Key]) -> None:
        """Let `who` be woken by each of `whom`, and by nothing it was woken by before."""
        wanted = frozenset(whom)
        if self._looks_at.get(who) == wanted:
            return
        self.forget(who)
        self._looks_at[who] = wanted
        for one in wanted:
            self._looked_at_by[one].add(who)

    def forget(self, who: Key) -> None:
        """Let `who` be woken by nothing."""
        for one in self._looks_at.pop(who, ()):
            self._looked_at_by[one].discard(who)
            if not self._looked_at_by[one]:
                del self._looked_at_by[one]

    def of(self, whom: Key) -> tuple[Key, ...]:
        """Give who looks at `whom`."""
        return tuple(self._looked_at_by.get(whom, ()))
