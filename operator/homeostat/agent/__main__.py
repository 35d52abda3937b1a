"""The fault agent's entry point: `python3 -m homeostat.agent ORDER` (see `homeostat.core.orders`)."""

import sys

from homeostat.agent.keeper import Keeper
from homeostat.agent.mail import say
from homeostat.core.orders import AgentState, Order, RefusalReason, Said


def main(arguments: list[str]) -> int:
    """Keep the order that is the only argument; give the exit code: 0 when nothing is left."""
    try:
        (text,) = arguments
        order = Order.read(text)
        _check(order)
    except (ValueError, TypeError) as error:
        say(Said(AgentState.REFUSED, reason=RefusalReason.INVALID, message=f"not an order: {error}"[:500]))
        return 0
    return Keeper(order).keep()


def _check(order: Order) -> None:
    """Raise ValueError when a number of the order is none that can be kept: no fault lasts for ever."""
    if not 0 < order.seconds <= 86_400 or not 0 < order.beat_seconds <= 60 or not 1 <= order.misses <= 100:  # noqa: PLR2004
        raise ValueError("seconds, beat_seconds or misses are out of bounds")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
