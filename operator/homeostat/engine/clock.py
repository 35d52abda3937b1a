"""The one clock of the process."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time for records, monotonic time for schedules."""

    def now(self) -> datetime:
        """Give the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds that never jump."""
        return time.monotonic()
