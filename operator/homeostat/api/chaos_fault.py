"""What an experiment can break: a tagged union of which a ChaosExperiment sets one member.

Three families. Blows are done once and leave nothing to undo: podKill, podEvict, containerKill, processKill. Held
fields are set to other values and set back: scale, cordon, drain, rolloutBreak, resourceSqueeze. Agent faults are held
by a process in the target pod, and end with it: network, dns, http, cpu, memory, processPause.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import GoDuration, Model, Percent, Rule, between, exactly_one

Delay = Annotated[GoDuration, between("1ms", "5m")]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
ProcessName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
HostName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._*-]+$")]
DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=r"^[A-Za-z0-9./_-]+$")]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$")]


class LabelSelector(Model):
    """Which objects are meant, by their labels."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=16)]
    """Labels that must all be there with these values."""


class PodKill(Model):
    """Delete pods, as a crash of their node or a careless hand would."""

    grace_period: Annotated[GoDuration, between("0s", "10m")] = timedelta(0)
    """How long the pod may take to end; 0s kills it at once."""


class PodEvict(Model):
    """Evict pods through the Eviction API, as a drain would."""

    grace_period: Annotated[GoDuration, between("0s", "10m")] = timedelta(0)
    """How long the pod may take to end."""


class ContainerKill(Model):
    """Kill the processes of one container of a pod."""

    container: DnsLabel
    """Name of the container."""


class ScaleFault(Model):
    """Set the replicas of a workload, and set them back afterwards."""

    to: Annotated[int, Field(ge=0, le=1000)]
    """How many replicas the workload has while the fault lasts."""


class NodeCordon(Model):
    """Make nodes unschedulable."""


class NodeDrain(Model):
    """Make nodes unschedulable and evict their pods."""

    grace_period: Annotated[GoDuration, between("0s", "10m")] = timedelta(seconds=30)
    """How long each pod may take to end."""


class RolloutBreak(Model):
    """Roll out something that cannot work, and roll it back afterwards."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("image", "env", what="fault.rolloutBreak"),)

    image: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    """The image to roll out."""
    env: Annotated[
        dict[
            Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")],
            Annotated[str, Field(max_length=1024)],
        ]
        | None,
        Field(min_length=1, max_length=16),
    ] = None
    """Environment variables to roll out."""


class ResourceSqueeze(Model):
    """Lower the limits of a workload's containers: of a Pod in place, of a workload by its template."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule("has(self.cpu) || has(self.memory)", "fault.resourceSqueeze: set cpu, memory or both"),
    )

    cpu: Quantity | None = None
    """The CPU limit while the fault lasts."""
    memory: Quantity | None = None
    """The memory limit while the fault lasts."""


class Direction(StrEnum):
    """Which packets a network fault meets."""

    EGRESS = "Egress"
    INGRESS = "Ingress"
    BOTH = "Both"


class Peers(Model):
    """The other ends of a network fault."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "has(self.selector) || size(self.cidrs) > 0 || size(self.hosts) > 0",
            "peers: name them by selector, cidrs or hosts",
        ),
    )

    selector: LabelSelector | None = None
    """Pods of the same namespace."""
    cidrs: Annotated[
        tuple[Annotated[str, Field(max_length=49, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")], ...],
        Field(max_length=16),
    ] = ()
    """Address ranges."""
    hosts: Annotated[tuple[HostName, ...], Field(max_length=16)] = ()
    """Host names, resolved when the fault begins."""


class Partition(Model):
    """Which traffic is cut off."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("from", "to", what="fault.network.partition"),)

    from_: Annotated[Peers | None, Field(alias="from")] = None
    """Cut off what comes from these peers."""
    to: Peers | None = None
    """Cut off what goes to these peers."""


class NetworkFault(Model):
    """Make the network of pods worse."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one("loss", "delay", "bandwidth", "partition", "reset", what="fault.network"),
        Rule("!has(self.jitter) || has(self.delay)", "fault.network: jitter needs delay"),
        Rule("!has(self.partition) || !has(self.peers)", "fault.network: a partition names its peers itself"),
    )

    loss: Percent | None = None
    """Share of packets that are lost."""
    delay: Delay | None = None
    """Time by which each packet is late."""
    jitter: Delay | None = None
    """By how much the delay varies."""
    bandwidth: Annotated[str | None, Field(max_length=16, pattern=r"^[0-9]{1,9}(bit|Kbit|Mbit|Gbit)$")] = None
    """Bits a second that pass."""
    partition: Partition | None = None
    """Traffic that is cut off."""
    reset: Percent | None = None
    """Share of TCP connections that are reset."""
    ports: Annotated[tuple[PortNumber, ...], Field(max_length=16)] = ()
    """Only traffic of these ports; empty means all."""
    peers: Peers | None = None
    """Only traffic with these peers."""
    direction: Direction = Direction.EGRESS
    """Which packets are met."""


class DnsFault(Model):
    """Make name resolution of pods fail or slow."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("fail", "delay", what="fault.dns"),)

    fail: Annotated[tuple[HostName, ...] | None, Field(min_length=1, max_length=16)] = None
    """Names that do not resolve."""
    delay: Delay | None = None
    """Time by which each answer is late."""


class HttpFault(Model):
    """Make HTTP requests to pods fail or slow."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("status", "delay", what="fault.http"),)

    port: PortNumber
    """The port of the pod."""
    status: Annotated[int | None, Field(ge=100, le=599)] = None
    """Answer with this status instead."""
    delay: Delay | None = None
    """Time by which each answer is late."""
    percent: Percent | None = None
    """Share of the requests that are met; all when absent."""


class CpuStress(Model):
    """Use up CPU time inside pods."""

    load: Percent
    """Share of each core that is used up."""


class MemoryStress(Model):
    """Use up memory inside pods."""

    bytes: Quantity
    """How much memory is used up."""


class ProcessPause(Model):
    """Stop a process of pods for a while."""

    name: ProcessName
    """Name of the process."""


class Signal(StrEnum):
    """Signals a process can be sent."""

    KILL = "KILL"
    TERM = "TERM"
    INT = "INT"
    HUP = "HUP"


class ProcessKill(Model):
    """Send a signal to a process of pods."""

    name: ProcessName
    """Name of the process."""
    signal: Signal = Signal.KILL
    """The signal."""


_FAULTS = (
    "podKill", "podEvict", "containerKill", "scale", "cordon", "drain", "rolloutBreak", "resourceSqueeze",
    "network", "dns", "http", "cpu", "memory", "processPause", "processKill",
)  # fmt: skip


class Fault(Model):
    """What to break: exactly one member is set."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one(*_FAULTS, what="fault"),)

    pod_kill: PodKill | None = None
    """Delete pods."""
    pod_evict: PodEvict | None = None
    """Evict pods."""
    container_kill: ContainerKill | None = None
    """Kill a container."""
    scale: ScaleFault | None = None
    """Change the replicas of a workload."""
    cordon: NodeCordon | None = None
    """Make nodes unschedulable."""
    drain: NodeDrain | None = None
    """Drain nodes."""
    rollout_break: RolloutBreak | None = None
    """Roll out something broken."""
    resource_squeeze: ResourceSqueeze | None = None
    """Lower resource limits."""
    network: NetworkFault | None = None
    """Make the network worse."""
    dns: DnsFault | None = None
    """Make name resolution fail or slow."""
    http: HttpFault | None = None
    """Make HTTP requests fail or slow."""
    cpu: CpuStress | None = None
    """Use up CPU time."""
    memory: MemoryStress | None = None
    """Use up memory."""
    process_pause: ProcessPause | None = None
    """Stop a process."""
    process_kill: ProcessKill | None = None
    """Send a signal to a process."""
