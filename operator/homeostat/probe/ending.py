"""How a probe ends: one reason, and what each error of the network means. A reason belongs to one verdict."""

import errno
import ssl
from typing import NamedTuple

from homeostat.core.probing.result import Phases, Reason, Verdict
from homeostat.probe.net.tls import of_tls_error

_VERDICTS = {
    Reason.OK: Verdict.PASS,
    Reason.ADDRESS_NOT_ALLOWED: Verdict.INVALID,
    Reason.UNKNOWN_PORT: Verdict.INVALID,
    Reason.INVALID_REQUEST: Verdict.INVALID,
    Reason.INVALID_EXPRESSION: Verdict.INVALID,
    Reason.INVALID_QUERY: Verdict.INVALID,
    Reason.INVALID_JOB: Verdict.INVALID,
    Reason.NO_PROMETHEUS: Verdict.INVALID,
    Reason.SECRET_NOT_FOUND: Verdict.INVALID,
    Reason.SECRET_UNUSABLE: Verdict.INVALID,
    Reason.INTERNAL: Verdict.ERROR,
    Reason.NOT_PERMITTED: Verdict.ERROR,
    Reason.OUT_OF_RESOURCES: Verdict.ERROR,
    Reason.API_UNAVAILABLE: Verdict.UNKNOWN,
    Reason.NO_CONNECTIVITY: Verdict.UNKNOWN,
    Reason.NO_DATA: Verdict.UNKNOWN,
    Reason.PROMETHEUS_UNAVAILABLE: Verdict.UNKNOWN,
    Reason.SUSPENDED: Verdict.SKIPPED,
    Reason.MAINTENANCE: Verdict.SKIPPED,
}

_ERRNOS = {
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.ECONNRESET: Reason.CONNECTION_RESET,
    errno.ECONNABORTED: Reason.CONNECTION_RESET,
    errno.EPIPE: Reason.CONNECTION_RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.ENONET: Reason.UNREACHABLE,  # this one and the next three are what routers say by ICMP
    errno.ENOPROTOOPT: Reason.UNREACHABLE,
    errno.EOPNOTSUPP: Reason.UNREACHABLE,
    errno.EPROTO: Reason.UNREACHABLE,
    errno.EAFNOSUPPORT: Reason.UNREACHABLE,  # a kernel without IPv6
    errno.EACCES: Reason.UNREACHABLE,  # a local packet filter says no
    errno.EPERM: Reason.UNREACHABLE,
    errno.EMFILE: Reason.OUT_OF_RESOURCES,
    errno.ENFILE: Reason.OUT_OF_RESOURCES,
    errno.EADDRNOTAVAIL: Reason.OUT_OF_RESOURCES,  # no local port is left
    errno.ENOBUFS: Reason.OUT_OF_RESOURCES,
    errno.ENOMEM: Reason.OUT_OF_RESOURCES,
}


class Ending(NamedTuple):
    """Why a run ended, and what else it showed; the fields are those of `core.probing.result.Result`."""

    reason: Reason
    code: int = 0
    phases: Phases | None = None
    not_after: float = 0.0
    share: tuple[int, int] | None = None
    step: str = ""


def verdict_of(reason: Reason) -> Verdict:
    """Give the verdict a reason stands for: what is not named is a failure of the target."""
    return _VERDICTS.get(reason, Verdict.FAIL)


def of_error(error: Exception) -> Reason:
    """Say what an error of a connection means; an error that no network makes is our own (Internal)."""
    if isinstance(error, ssl.SSLError):
        return of_tls_error(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _ERRNOS.get(error.errno, Reason.INTERNAL)
    if isinstance(error, ConnectionError):  # uvloop and asyncio raise some without a number
        return Reason.CONNECTION_RESET
    return Reason.INTERNAL
