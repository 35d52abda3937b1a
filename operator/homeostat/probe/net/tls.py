"""Whom we trust over TLS, who we say we are, and what a failed handshake means.

A context is shared by all probes of one configuration; one per probe would be too dear.
"""

import os
import ssl
from collections import OrderedDict
from typing import Final

from homeostat.core.probing.request import Tls
from homeostat.core.probing.result import Reason
from homeostat.probe.net.files import are_used_up

MOST_CONTEXTS: Final = 256  # 20 KB and 0.3 ms each
MOST_SYSTEM_CONTEXTS: Final = 16  # with the system's authorities: 1 MB and 20 ms each
_SYSTEM = Tls()
# Python's own without DHE: a server picks how large its numbers are, and may keep us busy for a second with them.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!AESCCM"

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_EXPIRED = 10
_WRONG_HOST = frozenset({62, 64})

# Alerts by which a server refuses the certificate we showed, or that we showed none (RFC 8446, section 6.2).
_CERTIFICATE_ALERTS = frozenset(
    {
        "CERTIFICATE_REQUIRED",
        "BAD_CERTIFICATE",
        "UNSUPPORTED_CERTIFICATE",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_UNKNOWN",
        "UNKNOWN_CA",
        "ACCESS_DENIED",
    }
)
# What TLS 1.2 says when a certificate is missing, but also when nothing can be agreed on: only the former comes
# after the server's hello.
_AMBIGUOUS_ALERT = "HANDSHAKE_FAILURE"

_Key = tuple[bytes, bytes, bytes, bool, tuple[str, ...]]
_Made = ssl.SSLContext | Reason


class _Recent:
    """Contexts by what they were made of, up to `most`: then the one goes that was not used for the longest time."""

    __slots__ = ("_made", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[_Key, _Made] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    def get(self, key: _Key) -> _Made | None:
        made = self._made.get(key)
        if made is not None:
            self._made.move_to_end(key)
        return made

    def keep(self, key: _Key, made: _Made) -> None:
        if len(self._made) >= self._most:
            self._made.popitem(last=False)
        self._made[key] = made


class Contexts:
    """Makes client contexts (TLS 1.2 and newer), and keeps those used last.

    `authorities` (PEM) stand for the system's; b"" means those of the system.
    """

    __slots__ = ("_authorities", "_others", "_system")

    def __init__(self, authorities: bytes = b"") -> None:
        self._authorities = authorities
        self._system = _Recent(MOST_SYSTEM_CONTEXTS)
        self._others = _Recent(MOST_CONTEXTS)

    def context(self, tls: Tls | None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext | Reason:
        """Give the context for `tls` (None: the system's authorities) that offers the protocols `alpn`.

        SECRET_UNUSABLE when the PEM of an authority, a certificate or a key cannot be read, or when a key is not the
        certificate's. OUT_OF_RESOURCES when no file can be opened.
        """
        asked = tls or _SYSTEM
        if (asked.ca_from and not asked.ca) or (asked.certificate_from and not asked.certificate):
            return Reason.SECRET_UNUSABLE  # it was not read: trusting the system's authorities instead is not meant
        recent = self._others if asked.ca or not asked.is_verified else self._system
        key = (asked.ca, asked.certificate, asked.private_key, asked.is_verified, alpn)
        made = recent.get(key)
        if made is None:
            made = self._make(asked, alpn)
            if made is not Reason.OUT_OF_RESOURCES:
                recent.keep(key, made)
        return made

    def _make(self, tls: Tls, alpn: tuple[str, ...]) -> ssl.SSLContext | Reason:
        try:
            context = _verifying(tls.ca or self._authorities) if tls.is_verified else _believing()
            if tls.certificate or tls.private_key:
                _present(context, tls.certificate + b"\n" + tls.private_key)
        except (ssl.SSLError, ValueError):  # ValueError: bytes that are not even text
            return Reason.SECRET_UNUSABLE
        except OSError:
            return Reason.OUT_OF_RESOURCES
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


def of_tls_error(error: ssl.SSLError, *, is_after_hello: bool = False) -> Reason:
    """Say what a TLS error means for the target; `is_after_hello`: the server had answered our first message."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_verification(error.verify_code)
    alert = (getattr(error, "reason", None) or "").rpartition("ALERT_")[2]  # OpenSSL's own errors have a reason
    is_refusal = alert in _CERTIFICATE_ALERTS or (alert == _AMBIGUOUS_ALERT and is_after_hello)
    return Reason.CLIENT_CERTIFICATE_REFUSED if is_refusal else Reason.TLS_FAILED


def _of_verification(code: int) -> Reason:
    if code == _EXPIRED:
        return Reason.CERTIFICATE_EXPIRED
    return Reason.CERTIFICATE_WRONG_HOST if code in _WRONG_HOST else Reason.CERTIFICATE_UNTRUSTED


def _verifying(authorities: bytes) -> ssl.SSLContext:
    context = _bare()
    if authorities:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate that is named is trusted, as in Go
    else:
        context.load_default_certs()  # which is content with none at all
        if are_used_up():
            raise OSError("no file is left for the system's authorities")
    return context


def _believing() -> ssl.SSLContext:
    """Give a context that accepts any certificate: what the user asked for by `insecureSkipVerify`."""
    context = _bare()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _present(context: ssl.SSLContext, chain: bytes) -> None:
    """Load a certificate and its key. They can only be read from a file: one that exists in memory alone."""
    file = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(file, chain)
        context.load_cert_chain(f"/proc/self/fd/{file}", password=_no_password)
    finally:
        os.close(file)


def _no_password() -> bytes:
    """Stand in for the question at the terminal that OpenSSL would ask about an encrypted key."""
    return b""
