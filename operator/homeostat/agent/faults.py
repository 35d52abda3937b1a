"""Which fault of an order is made by which class or function. Only the one that is asked for is imported."""

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

from homeostat.agent.fault import Fault, Refused
from homeostat.core.orders import Order, RefusalReason

FAULTS: Final = {
    "network": ("homeostat.agent.network.fault", "network_fault"),
    "dns": ("homeostat.agent.dns.fault", "DnsFault"),
    "http": ("homeostat.agent.http.fault", "HttpFault"),
    "cpu": ("homeostat.agent.stress.cpu", "CpuStress"),
    "memory": ("homeostat.agent.stress.memory", "MemoryStress"),
    "processPause": ("homeostat.agent.processes.pause", "ProcessPause"),
    "processKill": ("homeostat.agent.processes.kill", "ProcessKill"),
    "containerKill": ("homeostat.agent.processes.kill", "ContainerKill"),
}


def fault_of(order: Order) -> Fault:
    """Make the fault that `order` asks for; raises Refused (Invalid) when it asks for none that there is."""
    if order.fault not in FAULTS:
        raise Refused(RefusalReason.INVALID, f"there is no fault {order.fault!r}")
    module, name = FAULTS[order.fault]
    make = cast("Callable[[Order], Fault]", getattr(import_module(module), name))
    try:
        return make(order)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(RefusalReason.INVALID, f"the settings of {order.fault} cannot be read: {error!r}") from error
