"""Whom we trust over TLS, and what a failed handshake means.

A context costs 20 ms and is shared by all probes of one configuration; never build one per probe.
"""

import ssl
from functools import cache

from homeostat.core.probing import Reason

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_EXPIRED = 10
_WRONG_HOST = frozenset({62, 64})


@cache
def trusting_context() -> ssl.SSLContext:
    """Give the one client context that trusts the system's authorities and checks names (TLS 1.2 and newer)."""
    return ssl.create_default_context()


def of_tls_error(error: ssl.SSLError) -> Reason:
    """Say what a TLS error means for the target."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return Reason.TLS_FAILED
    if error.verify_code == _EXPIRED:
        return Reason.CERTIFICATE_EXPIRED
    if error.verify_code in _WRONG_HOST:
        return Reason.CERTIFICATE_WRONG_HOST
    return Reason.CERTIFICATE_UNTRUSTED
