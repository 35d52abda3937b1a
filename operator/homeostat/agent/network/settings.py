"""The settings of a network fault, read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network
from typing import Any, Self

from homeostat.agent.rules import PARTS, Direction
from homeostat.agent.settings import bits_of, seconds_of, share_of


class Harm(StrEnum):
    """What is done to packets."""

    LOSS = "loss"
    PARTITION = "partition"
    RESET = "reset"
    DELAY = "delay"
    BANDWIDTH = "bandwidth"


@dataclass(frozen=True, slots=True)
class Peers:
    """The other ends: addresses and networks, and host names that are to be resolved."""

    networks: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self | None:
        """Read them; None stands for all. Raises ValueError."""
        if not raw.keys() & {"addresses", "cidrs", "hosts"}:
            return None
        written = (*raw.get("addresses", ()), *raw.get("cidrs", ()))
        return cls(tuple(str(ip_network(one, strict=False)) for one in written), tuple(raw.get("hosts", ())))


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """A network fault. `share`: so many of `PARTS`; `seconds`, `jitter`: of delay; `bits`: a second."""

    harm: Harm
    direction: Direction
    ports: tuple[int, ...]
    peers: Peers | None
    share: int = PARTS
    seconds: float = 0.0
    jitter: float = 0.0
    bits: int = 0

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """Read the member `network` of a fault; raises ValueError, KeyError or TypeError."""
        (harm,) = (harm for harm in Harm if raw.get(harm) is not None)
        ports = tuple(int(port) for port in raw.get("ports") or ())
        peers = Peers.read(raw.get("peers") or {})
        direction = Direction(raw.get("direction", Direction.EGRESS))
        if harm is Harm.PARTITION:
            return cls._cut(raw["partition"], ports, peers)
        if harm is Harm.DELAY:
            jitter = seconds_of(raw.get("jitter") or "0s")
            return cls(harm, direction, ports, peers, seconds=seconds_of(raw["delay"]), jitter=jitter)
        if harm is Harm.BANDWIDTH:
            return cls(harm, direction, ports, peers, bits=_some(bits_of(raw["bandwidth"])))
        return cls(harm, direction, ports, peers, share=round(share_of(raw[harm]) * PARTS))

    @classmethod
    def _cut(cls, raw: Mapping[str, Any], ports: tuple[int, ...], peers: Peers | None) -> Self:
        """Read a partition: the side that it names says the direction as well."""
        if peers is not None:
            raise ValueError("a partition names its peers itself")
        ((side, whom),) = ((side, whom) for side, whom in raw.items() if whom is not None)
        direction = {"from": Direction.INGRESS, "to": Direction.EGRESS}[side]
        return cls(Harm.PARTITION, direction, ports, Peers.read(whom))


def _some(bits: int) -> int:
    if not bits:
        raise ValueError("no bandwidth at all is a partition")
    return bits
