"""Who we are to the API server, and how we know that it is the API server. Kubeconfig files: `kubeconfig.py`."""

import base64
import binascii
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from homeostat.ports import Unavailable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REREAD_AFTER = 60.0


class CredentialsError(Unavailable):
    """No usable credentials; the message names the file or field, never a secret."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """What proves who we are: a bearer token, or a client certificate and its key (PEM)."""

    token: str = ""
    certificate: str = ""
    key: str = ""


class IdentitySource(Protocol):
    """Where the identity comes from; it may change while we run."""

    async def identity(self, *, renew: bool) -> Identity:
        """Give the identity; `renew` when the server refused the last one. The same object while unchanged."""
        ...


class FixedIdentity:
    """An identity that never changes."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def identity(self, *, renew: bool) -> Identity:  # noqa: ARG002 - there is nothing to renew
        """Give the identity."""
        return self._identity


class TokenFile:
    """A token in a file that somebody rotates: read again on renewal, and at most a minute later anyway."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._identity: Identity | None = None
        self._read_at = 0.0

    async def identity(self, *, renew: bool) -> Identity:
        """Give the token. Raises CredentialsError when there never was one; else an unreadable file keeps the last."""
        now = self._monotonic()
        if renew or self._identity is None or now - self._read_at >= _REREAD_AFTER:
            self._identity, self._read_at = self._read(self._identity), now
        return self._identity

    def _read(self, last: Identity | None) -> Identity:
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            if last is None:
                raise CredentialsError(f"cannot read the token file {self._path}") from error
            return last
        return last if last is not None and last.token == token else Identity(token=token)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """One API server and our identity there. `ca` is PEM text ("" means the system's), or else `ca_file` is read."""

    server: str
    source: IdentitySource
    namespace: str = "default"
    ca: str = ""
    ca_file: Path | None = None
    is_insecure: bool = False
    tls_server_name: str | None = None

    def tls_context(self, identity: Identity) -> ssl.SSLContext:
        """Build the TLS context for an identity; files are read now, so that a rotated CA is seen.

        Raises CredentialsError when certificates or keys cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca or None)
            if self.is_insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if identity.certificate:
                _load_client_certificate(context, identity)
        except (OSError, ValueError) as error:
            raise CredentialsError("cannot use the CA or the client certificate") from error
        return context


def _load_client_certificate(context: ssl.SSLContext, identity: Identity) -> None:
    """Load certificate and key, which `ssl` only takes from files: private ones, gone at once."""
    with TemporaryDirectory(prefix="homeostat-") as folder:
        certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        for path, text in ((certificate, identity.certificate), (key, identity.key)):
            path.touch(mode=0o600)
            path.write_text(text, encoding="ascii")
        context.load_cert_chain(certificate, key)


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Credentials | None:
    """Give the credentials that the kubelet mounts into a pod, or None outside of one."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        return None
    bracketed = f"[{host}]" if ":" in host else host
    return Credentials(
        server=f"https://{bracketed}:{port}",
        source=TokenFile(folder / "token"),
        namespace=(folder / "namespace").read_text(encoding="ascii").strip(),
        ca_file=folder / "ca.crt",
    )


def decode_pem(text: str, what: str) -> str:
    """Decode base64 of PEM, as kubeconfig's `…-data` fields hold it. Raises CredentialsError naming `what`."""
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CredentialsError(f"{what} is not base64 of PEM") from error
