"""TLS as a client, without a socket: encrypted bytes go in and out, plain bytes out and in (sans I/O).

Over a plain transport this costs less than the event loop's own TLS, holds no buffers beyond what has arrived, tells
the handshake's time from the connection's, and sees the alerts that a server sends after the handshake.
"""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from homeostat.core.probing.result import Reason
from homeostat.probe.net.tls import of_tls_error

_RECORD_BYTES = 16 * 1024
_HEAD_BYTES = 5  # of a record: type, version, length
_HELLO_ONLY = 1
_MOST_BYTES = 4 << 20


class Session:
    """One TLS connection. Methods raise `ssl.SSLError`; `reason_of` says what it means."""

    __slots__ = ("_arrived", "_flights", "_head", "_leaving", "_missing", "_room", "_tls", "is_open")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        """Raise ValueError when `server_name` can be no name of a server."""
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_hostname=server_name)
        self._flights = 0
        self._room = _MOST_BYTES
        self._head = b""  # the beginning of a record's head
        self._missing = 0  # bytes of a record whose head is known
        self.is_open = False

    def feed(self, data: bytes) -> None:
        """Take encrypted bytes (b"" to begin with), and go on with the handshake if it is not over."""
        self._room -= len(data)
        if self._room < 0:  # tickets without end, records of one byte
            raise ssl.SSLError("too many bytes")
        self._frame(data)
        self._arrived.write(data)
        if not self.is_open:
            self._shake_hands()

    def start_over(self) -> None:
        """Begin a new conversation on the same connection: the bytes it may take are counted anew."""
        self._room = _MOST_BYTES

    def is_at_rest(self) -> bool:
        """Say whether nothing has arrived of a record whose end has not: it would be taken for the next answer."""
        return not self._missing and not self._head and not self._arrived.pending and not self._tls.pending()

    def pieces(self) -> Iterator[bytes]:
        """Give what can be decrypted, record by record; b"" once the peer has said that it is done."""
        while self._arrived.pending or self._tls.pending():  # cheaper than to be told that there is nothing
            try:
                piece = self._tls.read(_RECORD_BYTES)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:  # the same goodbye, after ours
                piece = b""
            yield piece
            if not piece:
                return

    def encrypt(self, data: bytes) -> bytes:
        """Give the bytes to send for `data`."""
        self._tls.write(data)
        return self._leaving.read()

    def leaving(self) -> bytes:
        """Give what TLS itself has to send: handshake, alerts, changes of keys."""
        return self._leaving.read() if self._leaving.pending else b""

    def goodbye(self) -> bytes:
        """Give the bytes that say we are done (close_notify)."""
        with suppress(ssl.SSLError):  # it wants to read the peer's goodbye, or there is nobody left to tell
            self._tls.unwrap()
        return self.leaving()

    def not_after(self) -> float:
        """Say when the peer's certificate expires (epoch seconds); 0.0 when it was not verified."""
        try:
            certificate = self._tls.getpeercert()
            expiry = certificate.get("notAfter") if certificate else None
            return _epoch(expiry) if isinstance(expiry, str) else 0.0
        except ValueError:  # a name or a date in it is none, which verification lets pass
            raise ssl.SSLError("malformed certificate") from None

    def agreed_protocol(self) -> str:
        """Give what ALPN agreed on; "" for nothing."""
        return self._tls.selected_alpn_protocol() or ""

    def says_refusal_late(self) -> bool:
        """Say whether the server judges our certificate only after our handshake is over (TLS 1.3)."""
        return self._tls.version() == "TLSv1.3"

    def reason_of(self, error: ssl.SSLError) -> Reason:
        """Say what an error of this session means."""
        return of_tls_error(error, is_after_hello=self._flights > _HELLO_ONLY)

    def _frame(self, data: bytes) -> None:
        """Follow the boundaries of records: OpenSSL does not tell what it keeps of one."""
        data = self._head + data
        end = self._missing
        while end + _HEAD_BYTES <= len(data):
            end += _HEAD_BYTES + int.from_bytes(data[end + 3 : end + _HEAD_BYTES])
        self._head = data[end:]
        self._missing = max(end - len(data), 0)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
            self.is_open = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self._flights += bool(self._leaving.pending)


@lru_cache(maxsize=1024)
def _epoch(expiry: str) -> float:
    return float(ssl.cert_time_to_seconds(expiry))
