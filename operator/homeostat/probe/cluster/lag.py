"""How long a workload's controller has not followed its spec: the API tells only whether it has, not since when."""

from homeostat.core.cluster import Workload


class Lag:
    """The lag of one workload. Counted from the first look, so a new operator gives a controller its time again."""

    __slots__ = ("_observed", "_since")

    def __init__(self) -> None:
        self._observed: tuple[str, int] | None = None  # uid, and the generation its controller had seen last
        self._since: float | None = None

    def observe(self, seen: Workload, now: float) -> float:
        """Take the workload as it is at `now` (monotonic seconds); give for how long the latest spec is unseen.

        A controller that follows, however far behind, has not stopped: each spec that it sees begins the time anew.
        """
        observed = (seen.ref.uid, seen.observed_generation)
        if seen.observed_generation >= seen.generation:
            self._since = None
        elif self._since is None or observed != self._observed:
            self._since = now
        self._observed = observed
        return 0.0 if self._since is None else now - self._since
