"""What a probe is asked. Compiled once per change of a spec, read on every run.

Secrets are only named here (`SecretKey`); the prober reads them, and puts what it read into fields that are never
shown (`repr=False`).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Where a secret value is: a key of a Secret; `key` is "" where the Secret as a whole is meant."""

    namespace: str
    name: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a TLS connection is verified. `ca`, `certificate` and `private_key` (PEM) are what the prober read."""

    server_name: str = ""  # "" means the host
    is_verified: bool = True
    ca_from: SecretKey | None = None
    certificate_from: SecretKey | None = None  # a Secret of type kubernetes.io/tls
    ca: bytes = field(default=b"", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    private_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """What an HTTP answer must contain; only then are its headers and body looked into.

    `headers`: name and RE2 expression. `matches`: RE2 over the body. `json`: CEL over `json`, `status`, `headers`.
    """

    contains: str = ""
    matches: str = ""
    json: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP probe. `address` pins the connection to a checked IP; "" means resolve `host`, check, then pin."""

    type: ClassVar[str] = "http"

    host: str
    port: int
    address: str = ""
    is_tls: bool = False
    target: str = "/"  # path and query, percent-encoded
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    expect_status: tuple[str, ...] = ("2xx",)  # "2xx", "204" or "200-299"
    max_latency: float | None = None  # seconds
    content: Content | None = None
    follow_redirects: int = 0
    tls: Tls | None = None  # None: the system's authorities
    is_http2: bool = False
    keeps_connection: bool = False
    most_body: int = 64 * 1024  # bytes of an answer's body that may be kept over HTTP/1
    headers_from: tuple[tuple[str, SecretKey], ...] = ()
    body_from: SecretKey | None = None
    secret_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # what the prober read
    secret_body: bytes = field(default=b"", repr=False)  # what the prober read


@dataclass(frozen=True, slots=True)
class TcpRequest:
    """A TCP probe: a connection can be opened, and the answer to `send` matches the RE2 expression `expect`."""

    type: ClassVar[str] = "tcp"

    host: str
    port: int
    address: str = ""
    send: bytes = b""
    expect: str = ""


@dataclass(frozen=True, slots=True)
class DnsRequest:
    """A DNS probe; `server` "" means the cluster's. `expect`: values that must all be among the answers."""

    type: ClassVar[str] = "dns"

    name: str
    record: str = "A"  # the type of record
    server: str = ""
    server_port: int = 53
    expect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GrpcRequest:
    """A call of grpc.health.v1.Health/Check for `service`. `tls` None: plain HTTP/2."""

    type: ClassVar[str] = "grpc"

    host: str
    port: int
    address: str = ""
    service: str = ""
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class TlsRequest:
    """A TLS handshake whose certificate must stay valid for `min_validity` seconds."""

    type: ClassVar[str] = "tls"

    host: str
    port: int
    address: str = ""
    min_validity: float = 0.0
    tls: Tls = field(default_factory=Tls)


@dataclass(frozen=True, slots=True)
class IcmpRequest:
    """An echo request."""

    type: ClassVar[str] = "icmp"

    host: str


@dataclass(frozen=True, slots=True)
class WorkloadRequest:
    """A look at a workload in the API: ready replicas, restarts, lag of its controller, troubles of its pods."""

    type: ClassVar[str] = "workload"

    namespace: str
    kind: str
    name: str
    min_ready: Decimal
    max_restarts: int | None = None
    restart_window: timedelta | None = None
    max_generation_lag: timedelta | None = None
    fail_on: tuple[str, ...] = ()  # values of `api.probe.WorkloadTrouble`, which are reasons too


@dataclass(frozen=True, slots=True)
class PromqlRequest:
    """A query of the operator's Prometheus whose one value must compare so to `bound`: `value < 0.05`."""

    type: ClassVar[str] = "promql"

    query: str
    operator: str  # < <= > >= == !=
    bound: float


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A Job made of `template` (the JSON of a Job's spec.template), owned by the HealthCheck `owner`, `uid`."""

    type: ClassVar[str] = "job"

    namespace: str
    owner: str
    uid: str
    template: str


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One request of several. `captures`: name and CEL expression; `{{name}}` stands for it in later steps."""

    name: str
    request: HttpRequest
    captures: tuple[tuple[str, str], ...] = ()
    always: bool = False


@dataclass(frozen=True, slots=True)
class StepsRequest:
    """Several HTTP requests in order, each of which must pass."""

    type: ClassVar[str] = "steps"

    steps: tuple[StepRequest, ...]


Request = (
    HttpRequest
    | TcpRequest
    | DnsRequest
    | GrpcRequest
    | TlsRequest
    | IcmpRequest
    | WorkloadRequest
    | PromqlRequest
    | JobRequest
    | StepsRequest
)
