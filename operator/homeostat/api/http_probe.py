"""The HTTP probe as users write it: where to ask, what to send, what to expect.

Nothing in here may carry a credential in plain sight (H9): those come from Secrets of the same namespace.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from homeostat.api.meta import (
    GoDuration,
    ListMap,
    Model,
    NameRef,
    Rule,
    SecretKeyRef,
    between,
    exactly_one,
)

_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?)"
URL_PATTERN = rf"^https?://{_HOST}(:{_PORT})?([/?#][!-~]*)?$"
ADDRESS_PATTERN = rf"^{_HOST}:{_PORT}$"
HEADER_NAME_PATTERN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"
HEADER_VALUE_PATTERN = r"^[\t -~]*$"


def _port(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdigit() else value


PortNumber = Annotated[int, Field(ge=1, le=65535)]
PortName = Annotated[str, Field(min_length=1, max_length=15, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Port = Annotated[
    PortNumber | PortName,
    BeforeValidator(_port),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "minimum": 1,
            "maximum": 65535,
            "maxLength": 15,
            "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        }
    ),
]
"""A port of a Service: its number or its name."""

Address = Annotated[str, Field(min_length=3, max_length=264, pattern=ADDRESS_PATTERN)]
"""`host:port`, an IPv6 address in brackets."""


class SecretSource(Model):
    """A value that is read from a Secret."""

    secret_ref: SecretKeyRef
    """The key of a Secret of the same namespace."""


class HeaderFrom(Model):
    """A request header whose value is read from a Secret."""

    name: Annotated[str, Field(pattern=HEADER_NAME_PATTERN, max_length=128)]
    """Name of the header."""
    secret_ref: SecretKeyRef
    """The key of a Secret that holds the header's value."""


class TlsClientCert(Model):
    """A client certificate."""

    secret_ref: NameRef
    """A Secret of type kubernetes.io/tls."""


class TlsSettings(Model):
    """How a TLS connection is verified."""

    ca_ref: SecretSource | None = None
    """The certificate authorities to trust instead of the system's, as PEM."""
    client_cert_ref: TlsClientCert | None = None
    """The certificate to present."""
    server_name: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """The name to ask for and to verify, when it is not the host of the address."""
    insecure_skip_verify: bool = False
    """Accept any certificate."""


class HttpMethod(StrEnum):
    """Request methods a probe may use."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


class HttpVersion(StrEnum):
    """Versions of HTTP a probe may speak."""

    HTTP1 = "HTTP1"
    HTTP2 = "HTTP2"


class HttpScheme(StrEnum):
    """How to speak to the endpoints of a Service."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class HttpService(Model):
    """A Service of the same namespace, each endpoint of which is probed by itself."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the Service."""
    port: Port
    """The port: its name in the Service, or its number in the pods (the targetPort)."""
    path: Annotated[str, Field(max_length=2048, pattern=r"^/[!-~]*$")] = "/"
    """Path and query to ask for, percent-encoded."""
    scheme: HttpScheme = HttpScheme.HTTP
    """HTTP or HTTPS."""
    host: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """The Host header and TLS server name; when empty, `<service>.<namespace>.svc`."""


class BodyExpectation(Model):
    """What the body of the response must look like."""

    contains: Annotated[str, Field(max_length=1024)] = ""
    """Text that must appear in the body."""
    matches: Annotated[str, Field(max_length=1024)] = ""
    """An RE2 expression that must match somewhere in the body."""


class HttpExpectation(Model):
    """What a response must be like to pass."""

    status: Annotated[
        tuple[Annotated[str, Field(max_length=7, pattern=r"^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)$")], ...],
        Field(min_length=1, max_length=16),
    ] = ("2xx",)
    """Acceptable status codes: a class (2xx), a code (204) or a range (200-299)."""
    max_latency: Annotated[GoDuration | None, between("1ms", "5m")] = None
    """A slower response fails."""
    body: BodyExpectation | None = None
    """What the body must look like."""
    json_: Annotated[str, Field(alias="json", max_length=1024)] = ""
    """A CEL expression over the parsed body (`json`), `status` and `headers` that must be true."""
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]],
        Field(max_length=16),
    ] = Field(default_factory=dict)
    """Headers the response must carry, and an RE2 expression each value must match."""


_OURS = "['host', 'connection', 'content-length', 'expect', 'te', 'trailer', 'transfer-encoding', 'upgrade']"


class HttpProbe(Model):
    """An HTTP request, to a URL or to each endpoint of a Service."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one("url", "service", what="probe.http"),
        Rule("!(has(self.body) && has(self.bodyFrom))", "probe.http: body and bodyFrom cannot both be set"),
    )

    url: Annotated[str | None, Field(max_length=2048, pattern=URL_PATTERN)] = None
    """An http or https URL, without user and password."""
    service: HttpService | None = None
    """A Service of the same namespace; each of its endpoints is probed."""
    method: HttpMethod = HttpMethod.GET
    """The request method."""
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=2048, pattern=HEADER_VALUE_PATTERN)]],
        Field(max_length=16),
        Rule(
            f"self.all(name, size(name) <= 128 && !(name.lowerAscii() in {_OURS}))",
            "probe.http.headers: names have at most 128 characters, and Host and those about the connection "
            "are set by the prober",
        ),
    ] = Field(default_factory=dict)
    """Request headers that hold no secrets."""
    headers_from: Annotated[tuple[HeaderFrom, ...], Field(max_length=16), ListMap("name")] = ()
    """Request headers from Secrets."""
    body: Annotated[str | None, Field(max_length=8192)] = None
    """Request body, sent as UTF-8."""
    body_from: SecretSource | None = None
    """Request body from a Secret."""
    follow_redirects: Annotated[int, Field(ge=0, le=10)] = 0
    """How many redirects to follow; one to another host, or from HTTPS to HTTP, is never followed."""
    tls: TlsSettings | None = None
    """How the TLS connection is verified; by default against the system's authorities."""
    version: HttpVersion = HttpVersion.HTTP1
    """HTTP1 or HTTP2; HTTP2 is agreed on by ALPN over TLS, and taken for granted without TLS."""
    keep_connection: bool = False
    """Keep the connection for the next run: cheaper, but a server that takes no new connections goes unnoticed."""
    expect: HttpExpectation = HttpExpectation()
    """What a response must be like to pass."""
