"""Whose runs each series counts: told to history when a series appears or changes, and once a day as long as it is."""

from homeostat.core.history.records import Known
from homeostat.core.history.window import DAY, MINUTE

Who = tuple[str, str, str]
"""Namespace, name, service."""


class Register:
    """The open series by name, and which of them history has not been told of."""

    def __init__(self) -> None:
        self._known: dict[str, Who] = {}
        self._news: dict[str, Who] = {}
        self._day = -1

    def put(self, series: str, who: Who) -> None:
        """Take note of a series."""
        if self._known.get(series) != who:
            self._known[series] = self._news[series] = who

    def remove(self, series: str) -> None:
        """Forget a series; what is not told yet still is."""
        self._known.pop(series, None)

    def news(self, minute: int) -> list[Known]:
        """Give what history is to be told in this minute (since the epoch)."""
        day = minute * MINUTE // DAY
        if day != self._day:
            self._day = day
            self._news |= self._known
        told = [Known(series, *who, minute * MINUTE) for series, who in self._news.items()]
        self._news.clear()
        return told
