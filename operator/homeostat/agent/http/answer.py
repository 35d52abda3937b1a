"""The answer that the relay gives in the program's place."""

from http import HTTPStatus
from typing import Final

from homeostat.agent.http.message import Request

MARK: Final = "X-Homeostat-Fault"
"""A field that says whose answer it is, for whoever looks into it."""
_WITHOUT_BODY: Final = frozenset({204, 304})
_BODY: Final = b"fault injected\n"


def answer_to(request: Request, status: int, *, goes_on: bool) -> bytes:
    """Write a whole answer with that status; `goes_on` says whether the connection does."""
    has_body = status not in _WITHOUT_BODY
    fields = [f"HTTP/1.1 {status} {_phrase(status)}", f"{MARK}: status"]
    if has_body:
        fields += ["Content-Type: text/plain", f"Content-Length: {len(_BODY)}"]
    if not goes_on:
        fields.append("Connection: close")
    head = "\r\n".join([*fields, "", ""]).encode()
    return head + (_BODY if has_body and request.method != b"HEAD" else b"")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
