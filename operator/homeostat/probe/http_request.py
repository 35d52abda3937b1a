"""An HTTP request as bytes, refused when a part of it could smuggle in another line."""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from homeostat.core.probing import HttpRequest
from homeostat.probe.address import is_dialable

_METHOD = re.compile(r"[A-Z]{1,32}")
_TARGET = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OURS = frozenset({"connection", "content-length", "transfer-encoding"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def write_request(request: HttpRequest) -> bytes | None:
    """Give the request as it goes over the wire; None when it cannot be sent as written (RFC 9112, section 3).

    The connection is closed after the answer, and no encoding is asked for: we never decompress.
    """
    if not (_is_sound(request) and all(_may_send(name, value) for name, value in request.headers)):
        return None
    lines = f"{request.method} {request.target} HTTP/1.1\r\n{_headers(request)}Connection: close\r\n\r\n"
    return lines.encode("latin-1") + request.body


def _is_sound(request: HttpRequest) -> bool:
    return (
        is_dialable(request.host, request.port)
        and _TARGET.fullmatch(request.target) is not None
        and _METHOD.fullmatch(request.method) is not None
    )


def _may_send(name: str, value: str) -> bool:
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None and name.lower() not in _OURS


def _headers(request: HttpRequest) -> str:
    given = {name.lower() for name, _ in request.headers}
    text = "" if "host" in given else f"Host: {_authority(request)}\r\n"
    text += "" if "user-agent" in given else f"User-Agent: {_agent()}\r\n"
    text += "" if "accept" in given else "Accept: */*\r\n"
    if request.body or request.method in _WITH_BODY:
        text += f"Content-Length: {len(request.body)}\r\n"
    return text + "".join(f"{name}: {value}\r\n" for name, value in request.headers)


def _authority(request: HttpRequest) -> str:
    host = f"[{request.host}]" if ":" in request.host else request.host
    return host if request.port == (443 if request.is_tls else 80) else f"{host}:{request.port}"


@cache
def _agent() -> str:
    try:
        return f"homeostat/{version('homeostat')}"
    except PackageNotFoundError:  # run from the source tree
        return "homeostat/dev"
