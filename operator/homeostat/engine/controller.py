"""What the reconciler needs to know of a kind: how to observe it, how to decide, and what is worth writing."""

from datetime import datetime
from typing import Generic, Protocol, TypeVar

from homeostat.api.meta import Model, Status
from homeostat.core.decision import Decision, Outcomes
from homeostat.core.significance import Significance
from homeostat.engine.objects import Entry

P = TypeVar("P", bound=Model, contravariant=True)
S = TypeVar("S", bound=Status)

Problem = tuple[str, str]
"""Why an object is not evaluated: a reason and a message."""


class Controller(Protocol, Generic[P, S]):
    """One kind's part of the loop: observe → decide."""

    def changed(self, entry: Entry, spec: P | None, problem: Problem | None) -> None:
        """Take note of a new or edited object, before it is evaluated; `spec` is None when it cannot be read."""
        ...

    def removed(self, entry: Entry) -> None:
        """Take note that an object is gone."""
        ...

    async def decide(
        self, entry: Entry, spec: P, status: S, problem: Problem | None, outcomes: Outcomes, now: datetime
    ) -> Decision[S]:
        """Observe what the object's decision needs, and decide."""
        ...

    def significance(self, old: S, new: S) -> Significance:
        """Say whether the difference is worth a write."""
        ...
