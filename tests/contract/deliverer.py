"""A process that pushes events into a store until it is killed, and says what was acknowledged: `deliverer.py URL`.

Each delivery is one event of one of three series, under a key that is its number. Beside it minutes are written as the
operator does. `--most-bytes N`: no file grows beyond N until a line comes in.
"""

import asyncio
import resource
import sys
from datetime import UTC, datetime

import numpy as np

from homeostat.core.history.ledger import Closed
from homeostat.ports import Delivery, HistoryUnavailable
from homeostat.store.history import SqlHistory

NOON = 1_795_262_400
NAMES = ("slo/a", "slo/b", "slo/c")
CHECKS = tuple(f"check/{number}" for number in range(600))


def delivery(number: int) -> Delivery:
    """Make the delivery of a number: an event, bad if the number is even, in one of ten minutes."""
    return Delivery("uid-1", str(number), ((NAMES[number % 3], NOON // 60 + number % 10, float(number % 2 == 0), 1.0),))


def minute(number: int) -> Closed:
    """Make a minute of 600 checks."""
    return Closed(NOON + 60 * number, 60, CHECKS, np.ones((3, len(CHECKS))))


async def push(url: str) -> None:
    """Push, and say so; what fails is pushed again."""
    history, number = SqlHistory(url), 0
    while True:
        batch = range(number, number + 1 + number % 7)
        try:
            told = await history.deliver([delivery(one) for one in batch], datetime.fromtimestamp(NOON, UTC))
            if number % 5 == 0:
                await history.add([minute(number // 5)])
        except HistoryUnavailable as error:
            print("failed", str(error).replace("\n", " "), flush=True)  # noqa: T201 - the test reads it
            await asyncio.sleep(0.05)
            continue
        print("told", number, len(batch), *map(int, told), flush=True)  # noqa: T201 - the test reads it
        number += len(batch)


def main() -> None:
    """Push until killed."""
    if "--most-bytes" in sys.argv:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[-1]), hard))
    asyncio.run(_push_until_freed())


async def _push_until_freed() -> None:
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, _free)
    await push(sys.argv[1])


def _free() -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin)
    if sys.stdin.readline():
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


if __name__ == "__main__":
    main()
