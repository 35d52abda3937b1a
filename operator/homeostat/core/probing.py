"""What a probe is asked and what it answers. Compiled once per change of a spec, read on every run."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum


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
    # Fail
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_RESET = "ConnectionReset"
    CONNECTION_CLOSED = "ConnectionClosed"
    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    NAME_NOT_RESOLVED = "NameNotResolved"
    TLS_FAILED = "TlsFailed"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_WRONG_HOST = "CertificateWrongHost"
    UNEXPECTED_STATUS = "UnexpectedStatus"
    UNEXPECTED_BODY = "UnexpectedBody"
    UNEXPECTED_HEADER = "UnexpectedHeader"
    REDIRECTED = "Redirected"
    TOO_SLOW = "TooSlow"
    BODY_TOO_LARGE = "BodyTooLarge"
    HEADERS_TOO_LARGE = "HeadersTooLarge"
    PROTOCOL_ERROR = "ProtocolError"
    NO_ENDPOINTS = "NoEndpoints"
    TOO_FEW_PASSING = "TooFewPassing"
    NOT_ENOUGH_READY = "NotEnoughReady"
    TOO_MANY_RESTARTS = "TooManyRestarts"
    ROLLOUT_INCOMPLETE = "RolloutIncomplete"
    TARGET_NOT_FOUND = "TargetNotFound"
    # Invalid
    ADDRESS_NOT_ALLOWED = "AddressNotAllowed"
    UNKNOWN_PORT = "UnknownPort"
    INVALID_REQUEST = "InvalidRequest"  # cannot be sent as written: a line break in a header, a bad host name
    # Error, Skipped, Unknown
    INTERNAL = "Internal"
    NOT_PERMITTED = "NotPermitted"
    API_UNAVAILABLE = "ApiUnavailable"
    OUT_OF_RESOURCES = "OutOfResources"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class Result:
    """One run against one address. `seconds` is the whole run; `code` a protocol status (HTTP), 0 when none."""

    verdict: Verdict
    reason: Reason
    seconds: float
    code: int = 0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP probe. `address` pins the connection to a checked IP; "" means resolve `host`, check, then pin."""

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


@dataclass(frozen=True, slots=True)
class TcpRequest:
    """A TCP probe: a connection can be opened."""

    host: str
    port: int
    address: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadRequest:
    """A look at a workload in the API: the share of ready replicas, restarts, generation lag."""

    namespace: str
    kind: str
    name: str
    min_ready: Decimal
    max_restarts: int | None = None
    restart_window: timedelta | None = None


Request = HttpRequest | TcpRequest | WorkloadRequest
