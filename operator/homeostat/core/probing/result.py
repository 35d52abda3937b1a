"""Why and how a run of a probe ended. The only words about a target that leave the prober are those of `Reason`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


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
