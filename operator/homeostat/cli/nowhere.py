"""A cluster that is not there, for commands that may do without one."""

from homeostat.ports import Unavailable


class Nowhere:
    """Stands in for every port of a cluster, and tells whoever asks why there is none."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> "Nowhere":
        """Give a port, or a method of one: whatever it is, calling it tells that there is no cluster."""
        return Nowhere(self._why)

    async def __call__(self, *_: object, **__: object) -> object:
        """Tell that there is no cluster."""
        raise Unavailable(self._why)
