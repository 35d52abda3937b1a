"""What the operator and the fault agent say to each other: a JSON object a line, over the container's stdin and stdout.

    operator → agent                       agent → operator
    (the Order stands in the container's arguments)
                                           Said(Ready, mechanism)      it has looked around and could do it;
                                                                       once a second until the go comes
    Beat(1)  the first beat is the go      Said(On, …)                 the fault is on
    Beat(n), one a second                  Said(On, …, counters)       one answer to each
    Beat(n, revert=True)                   Said(Off, reason)           nothing of it is left; the process ends
                                           Said(Refused, reason)       nothing was touched; the process ends

The agent takes the fault off when `misses` beats in a row did not come, when `seconds` are over since the first, or
when it is told to. Only the standard library is imported here: the agent must be there within a moment.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

PREFIX = "homeostat-"
"""How the names of our ephemeral containers begin: the marker by which they are found."""
LONGEST_LINE = 8192


class AgentState(StrEnum):
    """Where an agent is, in its own words."""

    READY = "Ready"
    ON = "On"
    OFF = "Off"
    REFUSED = "Refused"


class OffReason(StrEnum):
    """Why an agent took its fault off."""

    TOLD = "Told"  # the operator said so
    DONE = "Done"  # a fault that is over at once: a process was sent its signal
    DEADLINE = "Deadline"  # the fault's own time was over
    LEASE = "Lease"  # beats did not come
    HOLDER_DIED = "HolderDied"  # what held the fault died, and the fault with it
    ENDED = "Ended"  # the container was told to end


class RefusalReason(StrEnum):
    """Why an agent does nothing at all."""

    NO_MECHANISM = "NoMechanism"  # the kernel of the node lacks what the fault is made of
    NOT_PERMITTED = "NotPermitted"  # a capability is missing
    FOREIGN_RULES = "ForeignRules"  # somebody else's qdisc or packet rules are there (C6)
    NO_PROCESS = "NoProcess"  # no process of that name
    NO_PEER = "NoPeer"  # a host of the peers has no address
    UNBOUNDED = "Unbounded"  # it would take from the node, not only from the pod
    PORT_TAKEN = "PortTaken"
    INVALID = "Invalid"  # the order cannot be read
    LEASE = "Lease"  # the first beat never came
    FAILED = "Failed"  # an error that has no word of its own; the message says which


@dataclass(frozen=True, slots=True)
class Order:
    """What one agent is to do, to the pod it is in.

    `fault`: the member of spec.fault (network, dns, http, cpu, memory, processPause, processKill, containerKill).
    `settings`: that member as in the manifest (camelCase), durations as strings; in `peers`, `partition.from` and
    `partition.to` a selector is replaced by `addresses`, the IPs of those pods. `container`: whose processes it sees,
    "" for none. `seconds`: how long the fault may last at most, from the first beat on, by the agent's own clock.

    Beside the manifest's: `bounds` of cpu and memory, {"cpu": "500m", "memory": "256Mi"}, the sums of the limits of the
    pod's containers, each absent where one of them has none; `containerId` of processPause, processKill and
    containerKill, needed where the pod's containers share one PID namespace: the runtime's id, without its scheme.
    """

    experiment: str
    run: int
    fault: str
    settings: Mapping[str, Any]
    seconds: float
    container: str = ""
    beat_seconds: float = 1.0
    misses: int = 3

    def text(self) -> str:
        """Write it as the container's argument."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read it; raises ValueError for what is none."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"not an order: {error}") from error


@dataclass(frozen=True, slots=True)
class Beat:
    """One renewal of the lease; the first is the go, one with `revert` the end."""

    number: int
    revert: bool = False

    def line(self) -> bytes:
        """Write it as a line."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes | str) -> Self:
        """Read it; raises ValueError for what is none."""
        try:
            raw = json.loads(line)
            return cls(int(raw["number"]), bool(raw.get("revert", False)))
        except (TypeError, KeyError) as error:
            raise ValueError("not a beat") from error


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent says of itself.

    `mechanism`: what it uses or would use, in a few words. `reason`: of OffReason or RefusalReason, else "".
    `beat`: the number of the beat that this answers, 0 for none. `counters`: what the fault met since it is on, such
    as {"packets": 12, "dropped": 4}, {"requests": 7, "hit": 3}, {"processes": 1}, {"cores": 2}.
    """

    state: AgentState
    mechanism: str = ""
    reason: str = ""
    message: str = ""
    beat: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)

    def line(self) -> bytes:
        """Write it as a line."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes | str) -> Self:
        """Read it; raises ValueError for what is none."""
        try:
            raw = json.loads(line)
            counters = {str(key): int(value) for key, value in raw.get("counters", {}).items()}
            return cls(
                AgentState(raw["state"]), str(raw.get("mechanism", "")), str(raw.get("reason", "")),
                str(raw.get("message", "")), int(raw.get("beat", 0)), counters,
            )  # fmt: skip
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("not what an agent says") from error


NEEDS: Mapping[str, tuple[str, ...]] = {
    "network": ("NET_ADMIN",),
    "dns": ("NET_ADMIN",),
    "http": ("NET_ADMIN",),
    "cpu": (),
    "memory": (),
    "processPause": ("SYS_PTRACE", "KILL"),
    "processKill": ("SYS_PTRACE", "KILL"),
    "containerKill": ("SYS_PTRACE", "KILL"),
}
"""The capabilities that an agent's container needs, by the fault of its order; see `needs_of`."""


def needs_of(fault: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the capabilities that an agent's container needs; it has no others.

    What leaves late is sent by the agent itself, past the fault's own rules: that takes raw sockets.
    """
    is_sent_by_agent = fault == "network" and "delay" in settings and settings.get("direction") != "Ingress"
    return (*NEEDS[fault], "NET_RAW") if is_sent_by_agent else NEEDS[fault]
