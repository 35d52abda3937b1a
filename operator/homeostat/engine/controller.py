"""What the reconciler needs to know of a kind: how to observe it, how to decide, and what is worth writing."""

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from homeostat.api.meta import Model, Status
from homeostat.core.action import Outcomes
from homeostat.core.decision import Decision
from homeostat.core.significance import Significance
from homeostat.engine.objects import Entry, Problem
from homeostat.ports import Clock

P = TypeVar("P", bound=Model)
S = TypeVar("S", bound=Status)


@dataclass(frozen=True, slots=True)
class Subject(Generic[P, S]):
    """One object to be decided on, as it was last read, and how the actions of the last decision ended."""

    entry: Entry
    spec: P
    status: S
    problem: Problem | None
    outcomes: Outcomes


class Controller(Protocol):
    """One kind's part of the loop. Specs and statuses are those of its kind."""

    def changed(self, entry: Entry, spec: Any, problem: Problem | None) -> None:  # noqa: ANN401 - its kind's spec
        """Take note of a new or edited object, before it is evaluated; `spec` is None when it cannot be read."""
        ...

    def removed(self, entry: Entry) -> None:
        """Take note that an object is gone."""
        ...

    def stand_in(self) -> Model | None:
        """Give a spec to decide with when the real one cannot be read; None: then nothing is decided."""
        ...

    async def decide(self, subject: Subject[Any, Any], clock: Clock) -> Decision[Any]:
        """Observe what the object's decision needs, and decide as of the moment when all of it has been seen."""
        ...

    def significance(self, old: Any, new: Any) -> Significance:  # noqa: ANN401 - its kind's status
        """Say whether the difference is worth a write."""
        ...
