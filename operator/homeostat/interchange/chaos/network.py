"""What both tools say of networks: the other ends of a fault, and cutting off."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Final

ALL: Final = "100%"


@dataclass(slots=True)
class Ends:
    """The other ends of a network fault: ranges, names, and labels of pods of the same namespace."""

    cidrs: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Add an address, a range or a name."""
        try:
            self.cidrs.append(str(ipaddress.ip_network(text, strict=False)))
        except ValueError:
            self.hosts.append(text)

    def peers(self) -> dict[str, Any]:
        """Give them as `peers`; {} for everybody."""
        members = {"selector": {"matchLabels": self.labels} if self.labels else {}}
        return {name: value for name, value in (members | {"cidrs": self.cidrs, "hosts": self.hosts}).items() if value}


def cut_off(ends: Ends, direction: str) -> dict[str, Any]:
    """Give the fault that cuts off all traffic with the ends in a direction of ours: Egress, Ingress or Both."""
    peers = ends.peers()
    if peers and direction != "Both":
        return {"network": {"partition": {"to" if direction == "Egress" else "from": peers}}}
    return {"network": {"loss": ALL, "direction": direction} | ({"peers": peers} if peers else {})}
