"""The checks that run: what each is asked (its plan), how it fares (its track), where its results are counted."""

from collections.abc import Iterator
from dataclasses import dataclass

from homeostat.core.decision import Ref
from homeostat.core.plan import Plan
from homeostat.core.track import Track
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


class Checks:
    """The running checks by the key of their HealthCheck."""

    def __init__(self) -> None:
        self._checks: dict[Key, Check] = {}

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
