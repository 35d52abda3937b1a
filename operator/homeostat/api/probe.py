"""What can be probed: a tagged union of which a HealthCheck sets one member."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from homeostat.api.http_probe import Address, HttpProbe, Port, SecretSource, TlsClientCert, TlsSettings
from homeostat.api.meta import (
    Duration,
    GoDuration,
    ListMap,
    ListSet,
    Model,
    ObjectName,
    Percent,
    Rule,
    between,
    exactly_one,
)

Share = Annotated[
    Percent,
    Rule(r"!self.matches('^(0+([.]0+)?|100[.]0*[1-9][0-9]*)%$')", "must be above 0% and at most 100%"),
]
"""A percentage in (0 %, 100 %]."""


class PortOfService(Model):
    """A port of a Service of the same namespace, each endpoint of which is probed by itself."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the Service."""
    port: Port
    """The port: its name in the Service, or its number in the pods (the targetPort)."""


class TcpProbe(Model):
    """A TCP connection that must open, to an address or to each endpoint of a Service."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("address", "service", what="probe.tcp"),)

    address: Address | None = None
    """Where to connect: `host:port`."""
    service: PortOfService | None = None
    """A Service of the same namespace; each of its endpoints is probed."""
    send: Annotated[str, Field(max_length=1024)] = ""
    """Text to send once connected."""
    expect: Annotated[str, Field(max_length=1024)] = ""
    """An RE2 expression that the first 4 KiB of the answer must match."""


class DnsType(StrEnum):
    """Record types a DNS probe may ask for."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SRV = "SRV"
    TXT = "TXT"


class DnsProbe(Model):
    """A DNS question that must be answered."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._-]+$")]
    """The name to ask for, in full: search domains are not tried."""
    type: DnsType = DnsType.A
    """The record type to ask for."""
    server: Annotated[str, Field(max_length=264, pattern=r"^[A-Za-z0-9.:_\[\]-]*$")] = ""
    """The server to ask, with an optional port; empty means the cluster's."""
    expect: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(max_length=16)] = ()
    """Values that must all be among the answers: addresses, names (`a.example`), `10 mail.example` (MX),
    `0 5 5060 sip.example` (SRV: priority, weight, port, target), or the text of a TXT."""


class GrpcProbe(Model):
    """A call of the standard gRPC health service, at an address or at each endpoint of a Service."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("address", "service", what="probe.grpc"),)

    address: Address | None = None
    """Where to connect: `host:port`."""
    service: PortOfService | None = None
    """A Service of the same namespace; each of its endpoints is probed."""
    health_service: Annotated[str, Field(max_length=253)] = ""
    """The service name to ask about; empty means the server as a whole."""
    tls: TlsSettings | None = None
    """Speak TLS, and how the connection is verified; `{}` for the system's authorities. Plain when absent."""


class TlsProbe(Model):
    """A TLS handshake whose certificate must be valid, and stay so for a while."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("address", "service", what="probe.tls"),)

    address: Address | None = None
    """Where to connect: `host:port`."""
    service: PortOfService | None = None
    """A Service of the same namespace; each of its endpoints is probed."""
    min_validity: Duration = timedelta(days=14)
    """How long the certificate must remain valid."""
    server_name: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """The name to ask for and to verify, when it is not the host of the address."""
    ca_ref: SecretSource | None = None
    """The certificate authorities to trust instead of the system's, as PEM."""
    client_cert_ref: TlsClientCert | None = None
    """The certificate to present."""


class IcmpProbe(Model):
    """An echo request that must be answered."""

    host: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")]
    """The name or address to ask."""


class WorkloadKind(StrEnum):
    """Kinds of workload whose readiness can be judged."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


class MaxRestarts(Model):
    """How many container restarts are tolerated in a sliding window."""

    count: Annotated[int, Field(ge=0, le=1000)]
    """More restarts than this fail."""
    window: Annotated[GoDuration, between("1m", "24h")]
    """The time over which restarts are counted."""


class WorkloadTrouble(StrEnum):
    """What may be wrong with a workload although enough of it is ready."""

    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    VOLUME_NOT_BOUND = "VolumeNotBound"  # a PersistentVolumeClaim of a pod is not bound
    NODE_NOT_READY = "NodeNotReady"
    NODE_PRESSURE = "NodePressure"  # memory, disk or process ids run out on a node that runs a pod


class WorkloadProbe(Model):
    """The readiness of a workload of the same namespace, as the Kubernetes API tells it."""

    kind: WorkloadKind
    """Deployment, StatefulSet or DaemonSet."""
    name: ObjectName
    """Name of the workload."""
    min_ready: Share = Decimal(1)
    """Share of the wanted replicas that must be ready."""
    max_restarts: MaxRestarts | None = None
    """Tolerated container restarts; when absent, restarts are not judged."""
    max_generation_lag: Annotated[GoDuration | None, between("1s", "24h")] = None
    """How long the latest spec may stay unseen by its controller; when absent, that alone does not fail."""
    fail_on: Annotated[tuple[WorkloadTrouble, ...], Field(max_length=6), ListSet()] = ()
    """Troubles of a pod, its volumes or its node that fail even while enough replicas are ready."""


class PromqlProbe(Model):
    """A Prometheus query whose value must satisfy a condition."""

    query: Annotated[str, Field(min_length=1, max_length=4096)]
    """An instant query that gives one value, asked of the Prometheus that the operator is set up with."""
    condition: Annotated[str, Field(max_length=64, pattern=r"^(<|<=|>|>=|==|!=) ?-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$")]
    """A comparison the value must satisfy, like `< 0.05`."""


class JobProbe(Model):
    """A Job that is run; exit code 0 passes."""

    template: Annotated[
        dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    ]
    """The Job's spec.template."""


_CREDENTIALS = "['authorization', 'proxy-authorization', 'cookie', 'x-api-key']"


class Step(Model):
    """One request of a multi-step probe; captured values are `{{name}}` in later steps."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the step, unique in the probe."""
    http: Annotated[
        HttpProbe,
        Rule(
            f"!has(self.headers) || self.headers.all(name, !(name.lowerAscii() in {_CREDENTIALS}) || "
            "self.headers[name].contains('{{'))",
            "probe.steps.http.headers: credentials come from a Secret, by headersFrom, or are captured",
        ),
    ]
    """The request of this step."""
    capture: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16)] = Field(
        default_factory=dict
    )
    """Values to keep for later steps: a name, and a CEL expression over `status`, `headers` and `json`."""
    always: bool = False
    """Run also after an earlier step failed, to clear away what the steps before it made."""


_KINDS = ("http", "tcp", "dns", "grpc", "tls", "icmp", "workload", "promql", "job", "steps")


class Probe(Model):
    """What to probe: exactly one member is set."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one(*_KINDS, what="probe"),)

    http: Annotated[
        HttpProbe | None,
        Rule(
            f"!has(self.headers) || self.headers.all(name, !(name.lowerAscii() in {_CREDENTIALS}))",
            "probe.http.headers: credentials come from a Secret, by headersFrom",
        ),
    ] = None
    """An HTTP request."""
    tcp: TcpProbe | None = None
    """A TCP connection."""
    dns: DnsProbe | None = None
    """A DNS question."""
    grpc: GrpcProbe | None = None
    """A gRPC health call."""
    tls: TlsProbe | None = None
    """A TLS handshake and its certificate."""
    icmp: IcmpProbe | None = None
    """An echo request."""
    workload: WorkloadProbe | None = None
    """The readiness of a workload."""
    promql: PromqlProbe | None = None
    """A Prometheus query."""
    job: JobProbe | None = None
    """A Job."""
    steps: Annotated[
        tuple[Step, ...] | None,
        Field(min_length=1, max_length=10),
        ListMap("name"),
    ] = None
    """Several HTTP requests in order, of which each must pass."""
