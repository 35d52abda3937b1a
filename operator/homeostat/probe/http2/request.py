"""One HTTP request over HTTP/2: agreed on by ALPN over TLS, taken for granted without TLS (RFC 9113)."""

from homeostat.core.probing.request import HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.http.request import WITH_BODY, agent, authority, is_sendable
from homeostat.probe.http2.stream import HeaderList, Http2Stream

# What means something on a connection of HTTP/1 only (section 8.2.2), beyond what no request may have.
_OF_A_CONNECTION = frozenset({"keep-alive", "proxy-connection", "upgrade"})


class Http2Exchange(Http2Stream):
    """Ends with OK and the status once the answer is complete; INVALID_REQUEST, unsent, unless `can_send`."""

    __slots__ = ()

    def __init__(self, request: HttpRequest, *, keeps_body: bool) -> None:
        body = request.secret_body or request.body
        headers = _headers(request, body, is_examined=keeps_body)
        super().__init__(headers, body, secret=_without_host(request.secret_headers), keeps_body=keeps_body)
        if not can_send(request):
            self.end(Reason.INVALID_REQUEST)


def can_send(request: HttpRequest) -> bool:
    """Say whether a request can be sent over HTTP/2 as written."""
    given = _given(request)
    return (
        is_sendable(request)
        and request.method != "CONNECT"
        and sum(name == "host" for name, _ in given) <= 1
        and all(_is_of_request(name, value) for name, value in given)
    )


def _is_of_request(name: str, value: str) -> bool:
    return name not in _OF_A_CONNECTION and (name != "te" or value.strip().lower() == "trailers")


def _headers(request: HttpRequest, body: bytes, *, is_examined: bool) -> HeaderList:
    given = dict(_given(request))
    pseudo = (
        (":method", request.method),
        (":scheme", "https" if request.is_tls else "http"),
        (":authority", given.get("host", authority(request)).strip()),
        (":path", request.target),
    )
    ours = [("user-agent", agent()), ("accept", "*/*")]
    if is_examined:
        ours.append(("accept-encoding", "identity"))
    length = (("content-length", str(len(body))),) if body or request.method in WITH_BODY else ()
    return (*pseudo, *(header for header in ours if header[0] not in given), *length, *_without_host(request.headers))


def _given(request: HttpRequest) -> HeaderList:
    return tuple((name.lower(), value) for name, value in (*request.headers, *request.secret_headers))


def _without_host(headers: HeaderList) -> HeaderList:
    """Give headers without the host, which is a pseudo header in HTTP/2."""
    return tuple((name.lower(), value) for name, value in headers if name.lower() != "host")
