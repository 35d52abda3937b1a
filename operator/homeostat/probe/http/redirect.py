"""Where a redirect leads, and whether we go there: never to another host, never from HTTPS to HTTP (H9).

What was read from Secrets goes on only to the origin it was sent to, or to the same host's HTTPS. A request that is
pinned to an endpoint of a Service stays on that endpoint, or is not followed at all.
"""

import re
from dataclasses import replace
from typing import NamedTuple

from homeostat.core.probing.request import HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.net.address import is_dialable

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = 303
_REWRITING = frozenset({301, 302})  # they turn a POST into a GET, as browsers always did
_LONGEST = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})

# What a URI is made of (RFC 3986); a backslash is none of it, and browsers take it for a slash.
_LOCATION = re.compile(r"[!-\[\]-~]*")
_REFERENCE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#.*)?")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


def next_hop(request: HttpRequest, status: int, location: str) -> HttpRequest | Reason:
    """Give the request that follows `request`, answered with `status` and `location`; REDIRECTED if none may."""
    here = _Origin("https" if request.is_tls else "http", request.host, request.port)
    found = _resolve(here, request.target, location)
    if status not in _FOLLOWED or found is None:
        return Reason.REDIRECTED
    there, target = found
    if not _may_go(here, there, is_pinned=bool(request.address)):
        return Reason.REDIRECTED
    request = _rewritten(request, status)
    if not _may_tell(here, there):
        if request.secret_body:
            return Reason.REDIRECTED
        request = _without_secrets(request)
    return replace(request, is_tls=there.scheme == "https", port=there.port, target=target)


def _may_go(here: _Origin, there: _Origin, *, is_pinned: bool) -> bool:
    is_same_host = _normal(here.host) == _normal(there.host)
    is_downgrade = here.scheme == "https" and there.scheme == "http"
    return is_same_host and not is_downgrade and (not is_pinned or here.port == there.port)


def _may_tell(here: _Origin, there: _Origin) -> bool:
    is_upgrade = (here.scheme, here.port, there.scheme, there.port) == ("http", 80, "https", 443)
    return is_upgrade or (here.scheme, here.port) == (there.scheme, there.port)


def _rewritten(request: HttpRequest, status: int) -> HttpRequest:
    """Turn the request into a GET without body where the status says so."""
    is_other = status == _SEE_OTHER and request.method not in {"GET", "HEAD"}
    if not is_other and not (status in _REWRITING and request.method == "POST"):
        return request
    return replace(
        request,
        method="GET",
        body=b"",
        body_from=None,
        secret_body=b"",
        headers=tuple(header for header in request.headers if not _is_about_body(header)),
        secret_headers=tuple(header for header in request.secret_headers if not _is_about_body(header)),
    )


def _is_about_body(header: tuple[str, str]) -> bool:
    return header[0].lower().startswith("content-")


def _without_secrets(request: HttpRequest) -> HttpRequest:
    """Leave out what came from Secrets, and what a step before may have captured and put into a header."""
    headers = tuple(header for header in request.headers if header[0].lower() not in _CREDENTIALS)
    return replace(request, headers=headers, headers_from=(), body_from=None, secret_headers=())


def _resolve(here: _Origin, target: str, location: str) -> tuple[_Origin, str] | None:
    """Give origin and target of a location, relative to where we are (RFC 3986, section 5); None if it is neither."""
    if not location or len(location) > _LONGEST or _LOCATION.fullmatch(location) is None:
        return None
    match = _REFERENCE.fullmatch(location)
    if match is None:
        return None
    scheme, authority, query = match.group(1, 2, 4)
    path = str(match.group(3))
    if authority is None:
        return None if scheme else (here, _relative(target, path, query))
    there = _origin((scheme or here.scheme).lower(), authority)
    return None if there is None else (there, (_without_dots(path) or "/") + (query or ""))


def _origin(scheme: str, authority: str) -> _Origin | None:
    match = _AUTHORITY.fullmatch(authority)  # which refuses user and password
    if scheme not in _DEFAULT_PORTS or match is None:
        return None
    host, port = match.group(1).strip("[]"), int(match.group(2) or _DEFAULT_PORTS[scheme])
    return _Origin(scheme, host, port) if is_dialable(host, port) else None


def _relative(base: str, path: str, query: str | None) -> str:
    base_path, _, base_query = base.partition("?")
    if not path:
        kept = f"?{base_query}" if "?" in base else ""
        return base_path + (kept if query is None else query)
    whole = path if path.startswith("/") else base_path[: base_path.rfind("/") + 1] + path
    return _without_dots(whole) + (query or "")


def _without_dots(path: str) -> str:
    """Resolve `.` and `..` in an absolute path (RFC 3986, section 5.2.4)."""
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept) if kept else ""


def _normal(host: str) -> str:
    return host.lower().rstrip(".")
