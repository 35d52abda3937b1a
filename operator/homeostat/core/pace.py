"""Token buckets: how fast we may write. Pure: the time comes in."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up. Starts full."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> float:
        """Take a token at time `now` (monotonic seconds); give the seconds to wait until it is really there.

        The bucket may run into debt: callers wait out what they owe, so order is kept and none starves.
        """
        self._refill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)

    def take_if_there(self, now: float) -> bool:
        """Take a token only if one is there now."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._tokens = min(self.burst, self._tokens + passed * self.rate)
        self._at = now
