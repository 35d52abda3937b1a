"""What a probe is asked and what it answers. Compiled once per change of a spec, read on every run.

Secrets are only named here (`SecretKey`); the prober reads them, and puts what it read into fields that are never
shown (`repr=False`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Verdict(StrEnum):
    """The six results of a run (H1). Only PASS and FAIL enter uptime and SLIs."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    INVALID = "Invalid"  # bad configuration: the probe can never run as written
    ERROR = "Error"  # our own fault
    SKIPPED = "Skipped"  # freeze, maintenance, dependency, no connectivity
    UNKNOWN = "Unknown"  # nothing was learnt about the target


class Reason(StrEnum):
    """Why a run ended as it did. The only words about a target that leave the prober (no response text does)."""

    OK = "Ok"
    # Fail: the connection
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_RESET = "ConnectionReset"
    CONNECTION_CLOSED = "ConnectionClosed"
    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    NAME_NOT_RESOLVED = "NameNotResolved"
    TLS_FAILED = "TlsFailed"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_EXPIRES_SOON = "CertificateExpiresSoon"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_WRONG_HOST = "CertificateWrongHost"
    CLIENT_CERTIFICATE_REFUSED = "ClientCertificateRefused"
    # Fail: the answer
    UNEXPECTED_STATUS = "UnexpectedStatus"
    UNEXPECTED_BODY = "UnexpectedBody"
    UNEXPECTED_HEADER = "UnexpectedHeader"
    UNEXPECTED_ENCODING = "UnexpectedEncoding"  # compressed, although we asked for identity
    UNEXPECTED_ANSWER = "UnexpectedAnswer"  # DNS records, what a TCP server says
    NOT_CAPTURED = "NotCaptured"  # a value that later steps need was not in the answer
    REDIRECTED = "Redirected"
    TOO_MANY_REDIRECTS = "TooManyRedirects"
    TOO_SLOW = "TooSlow"
    BODY_TOO_LARGE = "BodyTooLarge"
    HEADERS_TOO_LARGE = "HeadersTooLarge"
    PROTOCOL_ERROR = "ProtocolError"
    NO_SUCH_NAME = "NoSuchName"  # NXDOMAIN
    NO_SUCH_RECORD = "NoSuchRecord"
    NAME_SERVER_FAILED = "NameServerFailed"  # SERVFAIL, REFUSED and the like
    NOT_SERVING = "NotServing"
    UNKNOWN_SERVICE = "UnknownService"
    NO_HEALTH_SERVICE = "NoHealthService"  # gRPC: UNIMPLEMENTED
    CONDITION_NOT_MET = "ConditionNotMet"
    JOB_FAILED = "JobFailed"
    # Fail: what is behind a Service, and workloads
    NO_ENDPOINTS = "NoEndpoints"
    TOO_FEW_PASSING = "TooFewPassing"
    NOT_ENOUGH_READY = "NotEnoughReady"
    TOO_MANY_RESTARTS = "TooManyRestarts"
    ROLLOUT_INCOMPLETE = "RolloutIncomplete"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    VOLUME_NOT_BOUND = "VolumeNotBound"
    NODE_NOT_READY = "NodeNotReady"
    NODE_PRESSURE = "NodePressure"
    TARGET_NOT_FOUND = "TargetNotFound"
    # Invalid
    ADDRESS_NOT_ALLOWED = "AddressNotAllowed"
    UNKNOWN_PORT = "UnknownPort"
    INVALID_REQUEST = "InvalidRequest"  # cannot be sent as written: a line break in a header, a bad host name
    INVALID_EXPRESSION = "InvalidExpression"  # a CEL or RE2 expression that does not compile, or costs too much
    INVALID_QUERY = "InvalidQuery"  # PromQL that Prometheus refuses, or that gives several values
    INVALID_JOB = "InvalidJob"  # a Job that the API server refuses
    NO_PROMETHEUS = "NoPrometheus"  # the operator has no Prometheus set
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    SECRET_UNUSABLE = "SecretUnusable"  # noqa: S105 - the key is missing, or the value or type is of no use
    # Error, Skipped, Unknown
    INTERNAL = "Internal"
    NOT_PERMITTED = "NotPermitted"
    OUT_OF_RESOURCES = "OutOfResources"
    SUSPENDED = "Suspended"
    MAINTENANCE = "Maintenance"
    API_UNAVAILABLE = "ApiUnavailable"
    NO_CONNECTIVITY = "NoConnectivity"  # we ourselves have no network (H8)
    NO_DATA = "NoData"  # Prometheus knows no such series
    PROMETHEUS_UNAVAILABLE = "PrometheusUnavailable"


class Phases(NamedTuple):
    """Seconds that a run spent in each phase; 0.0 for a phase it did not have. Sums of all hops of a redirect."""

    resolve: float = 0.0
    connect: float = 0.0
    tls: float = 0.0
    first_byte: float = 0.0  # from the request's being sent to the first byte of the answer
    transfer: float = 0.0  # from the first byte to the end


def total(phases: Iterable[Phases]) -> Phases:
    """Add up the phases of several requests, one by one."""
    return Phases(*map(sum, zip(Phases(), *phases, strict=True)))


@dataclass(frozen=True, slots=True)
class Result:
    """One run against one address. `seconds` is how long the target took: the phases of an answer, else the whole run.

    `code`: a protocol's status (HTTP, gRPC, a Job's exit code), 0 when none. `phases`: None when nothing was
    connected. `not_after`: when the peer's certificate expires (epoch seconds), 0.0 without a verified one.
    `share`: ready and wanted replicas of a workload. `step`: the step of a multi-step probe that decided.
    """

    verdict: Verdict
    reason: Reason
    seconds: float
    code: int = 0
    phases: Phases | None = None
    not_after: float = 0.0
    share: tuple[int, int] | None = None
    step: str = ""


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
