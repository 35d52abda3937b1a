"""An HTTP request as bytes, refused when a part of it could smuggle in another line."""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from homeostat.core.probing.request import HttpRequest
from homeostat.probe.net.address import is_dialable

Headers = tuple[tuple[str, str], ...]

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_METHOD = re.compile(r"[A-Z]{1,32}")
_TARGET = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_PLAIN = "Accept-Encoding: identity"
_NEVER_GIVEN = frozenset({"connection", "content-length", "transfer-encoding"})


def write_request(request: HttpRequest, *, is_examined: bool = False, is_kept: bool = False) -> bytes | None:
    """Give the request as it goes over the wire; None when it cannot be sent as written (RFC 9112, section 3).

    `is_examined`: what comes back is looked into, so it must not be encoded: we never decompress. `is_kept`: the
    connection stays open after the answer.
    """
    if not is_sendable(request):
        return None
    given = (*request.headers, *request.secret_headers)
    body = request.secret_body or request.body
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        f"Host: {authority(request)}",
        f"User-Agent: {agent()}",
        "Accept: */*",
    ]
    if is_examined:
        lines.append(_PLAIN)
    if given:
        lines = _without(lines, {name.lower() for name, _ in given})
        lines += [f"{name}: {value}" for name, value in given]
    if body or request.method in WITH_BODY:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("\r\n" if is_kept else "Connection: close\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + body


def is_sendable(request: HttpRequest) -> bool:
    """Say whether a request is one, in any version of HTTP; no header may come from both the spec and a Secret."""
    return (
        is_sound(request)
        and (not request.headers or _may_send_all(request.headers))
        and (not request.secret_headers or (_may_send_all(request.secret_headers) and _are_distinct(request)))
        and not (request.body and request.secret_body)
    )


def is_sound(request: HttpRequest) -> bool:
    """Say whether host, port, target and method are written as such."""
    return (
        is_dialable(request.host, request.port)
        and _TARGET.fullmatch(request.target) is not None
        and _METHOD.fullmatch(request.method) is not None
    )


def may_send(name: str, value: str) -> bool:
    """Say whether a header is one line, and none of those that we set ourselves."""
    return (
        _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None and name.lower() not in _NEVER_GIVEN
    )


def authority(request: HttpRequest) -> str:
    """Give host and port as they stand in the Host header: without the port that goes without saying."""
    host = f"[{request.host}]" if ":" in request.host else request.host
    return host if request.port == (443 if request.is_tls else 80) else f"{host}:{request.port}"


@cache
def agent() -> str:
    """Say who we are."""
    try:
        return f"homeostat/{version('homeostat')}"
    except PackageNotFoundError:  # run from the source tree
        return "homeostat/dev"


def _without(lines: list[str], names: set[str]) -> list[str]:
    """Leave out those of our headers that are given, after the first line, which is no header."""
    return lines[:1] + [line for line in lines[1:] if line.partition(":")[0].lower() not in names]


def _may_send_all(headers: Headers) -> bool:
    return all(may_send(name, value) for name, value in headers)


def _are_distinct(request: HttpRequest) -> bool:
    secret = [name.lower() for name, _ in request.secret_headers]
    return len(set(secret)) == len(secret) and not any(name.lower() in secret for name, _ in request.headers)
