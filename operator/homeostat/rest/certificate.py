"""The certificate of our API, read again when its files change: they are rotated while we run."""

import asyncio
import ssl
from pathlib import Path

import structlog

log = structlog.get_logger("homeostat.rest")

REFRESH_EVERY = 60.0  # seconds


class ServerCertificate:
    """A certificate chain and its key. New connections get what the files held at the last `refresh`."""

    def __init__(self, cert_file: str, key_file: str) -> None:
        """Read the files; raises OSError (ssl.SSLError is one) when that cannot be done."""
        self._files = cert_file, key_file
        self._read_at = self._changed_at()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(cert_file, key_file)
        self._next: asyncio.TimerHandle | None = None

    def keep_fresh(self) -> None:
        """Look for new files every minute, until `close`."""
        self.refresh()
        self._next = asyncio.get_running_loop().call_later(REFRESH_EVERY, self.keep_fresh)

    def close(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()

    def refresh(self) -> None:
        """Read the files again if they changed; a pair that cannot be used yet leaves the old one in use."""
        try:
            changed_at = self._changed_at()
            if changed_at == self._read_at:
                return
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except OSError as error:
            log.warning("certificate of the API not read", error=type(error).__name__)
        else:
            self._read_at = changed_at

    def _changed_at(self) -> tuple[int, ...]:
        return tuple(Path(file).stat().st_mtime_ns for file in self._files)
