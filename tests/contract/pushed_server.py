"""Our API on a real store as a process of its own, which dies where it is told to.

Run as `python -m contract.pushed_server STORE_URL MOMENT`: prints its port and serves the objective shop/web. MOMENT is
`never`, `before` (killed when it is about to write pushed events) or `after` (killed when they are committed, and
nobody was told).
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime

from homeostat.core.history.records import Retention
from homeostat.engine.clock import SystemClock
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.desk import desk_of
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.ports import Delivery
from homeostat.rest.server import serving_api
from homeostat.store.history import SqlHistory
from pushed import FakeAccess, NotingBooks, ingesting, objective_body, store_of


class Dying(SqlHistory):
    """A store whose process ends at a moment of the first delivery."""

    moment = "never"

    async def deliver(self, deliveries: Sequence[Delivery], now: datetime) -> Sequence[bool]:
        self._die("before")
        found = await super().deliver(deliveries, now)
        self._die("after")
        return found

    def _die(self, moment: str) -> None:
        if self.moment == moment:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, moment: str) -> None:
    store, clock = store_of(objective_body()), SystemClock()
    history = Dying(url, Retention())
    history.moment = moment
    async with ingesting(store, NotingBooks(), history, clock) as ingest:
        desk = desk_of(store, ingest, AlertBook(store), FakeAccess(), clock, AlertInbox(store, clock, lambda _: None))
        async with serving_api("127.0.0.1", 0, lambda: desk) as port:
            print(port, flush=True)  # noqa: T201 - who started us reads it
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
