"""When a held packet goes on: late by some time, or as if it went through a narrow link. Pure: `now` is an argument."""

from collections.abc import Callable
from typing import Final

_LANES: Final = 256
_IPV4_ENDS: Final = slice(12, 24)  # addresses and ports, where there are no options
_IPV6_ENDS: Final = slice(8, 44)
_QUEUE_SECONDS: Final = 0.2
_QUEUE_BYTES: Final = 48_000


class Delay:
    """Packets are late by `seconds`, more or less by up to `jitter`.

    The packets of one connection keep their order, as on most real paths; those of different ones need not.
    """

    def __init__(self, seconds: float, jitter: float, chance: Callable[[], float]) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._seconds = seconds
        self._jitter = jitter
        self._chance = chance
        self._last = [0.0] * _LANES

    def due(self, now: float, start: bytes) -> float:
        """Give the time at which a packet that begins with `start` goes on."""
        if not self._jitter:
            return now + self._seconds
        late = self._seconds + (2 * self._chance() - 1) * self._jitter
        ends = start[_IPV4_ENDS] if start[:1] < b"\x50" else start[_IPV6_ENDS]
        lane = hash(ends) % _LANES
        self._last[lane] = max(self._last[lane], now + max(late, 0.0))
        return self._last[lane]


class Bottleneck:
    """A link of `bits` a second, before which packets queue: for 200 ms at most, or 48 kB if that is longer."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._longest = max(_QUEUE_SECONDS, _QUEUE_BYTES * 8 / bits)
        self._free = 0.0

    def due(self, now: float, size: int) -> float | None:
        """Give the time at which a packet of `size` bytes is through; None when it finds no place and is lost."""
        begins = max(self._free, now)
        if begins - now > self._longest:
            return None
        self._free = begins + size * 8 / self._bits
        return self._free
