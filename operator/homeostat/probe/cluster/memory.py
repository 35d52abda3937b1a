"""What a probe remembers from run to run, of a bounded number of targets."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MOST = 4096


class Memory(Generic[K, V]):
    """Something of each of many targets; that of the one not looked at for the longest is forgotten first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: OrderedDict[K, V] = OrderedDict()

    def of(self, key: K, make: Callable[[], V]) -> V:
        """Give what is kept under `key`; what `make` gives when there is nothing yet."""
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = make()
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return found
