"""Which class is the fault of an order for the network."""

from collections.abc import Callable

from homeostat.agent.fault import Fault
from homeostat.agent.network.dropping import DroppingFault
from homeostat.agent.network.late import LateFault
from homeostat.agent.network.resetting import ResettingFault
from homeostat.agent.network.settings import Harm, NetworkSettings
from homeostat.core.orders import Order

_CLASSES: dict[Harm, Callable[[Order, NetworkSettings], Fault]] = {
    Harm.LOSS: DroppingFault,
    Harm.PARTITION: DroppingFault,
    Harm.RESET: ResettingFault,
    Harm.DELAY: LateFault,
    Harm.BANDWIDTH: LateFault,
}


def network_fault(order: Order) -> Fault:
    """Make the fault; raises ValueError, KeyError or TypeError where the settings are none."""
    settings = NetworkSettings.read(order.settings)
    return _CLASSES[settings.harm](order, settings)
