"""The multi-step probe: HTTP requests in order, of which each must pass; values go from one answer to later requests.

The first step that fails decides (H4). After it only steps that always run are run, to clear away what the steps
before made; they cannot make the result better. A step that always runs is left out when what it needs was never
captured: then there is nothing to clear away. The last quarter of the time is kept for steps that always run.

What was captured came from a server: it is put into requests encoded for its place, never twice, and lives no longer
than the run. It goes to the hosts that the spec names and no others: a host has no placeholders.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol
from urllib.parse import quote, unquote

from homeostat.core.probing.capture import as_json_text, substitute, text_of, used
from homeostat.core.probing.request import HttpRequest, StepRequest, StepsRequest
from homeostat.core.probing.result import Reason, total
from homeostat.probe.ending import Ending
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.probe import is_too_slow
from homeostat.probe.processes.cel import CelProcess

_RESERVE = 0.25  # of the whole time, for steps that always run
_MOST_LINE = 8 * 1024  # characters of a target or a header's value
_MOST_BODY = 64 * 1024  # bytes
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_DOTS: Final = frozenset({".", ".."})
_AS_EXPECTED: Final = frozenset({Reason.OK, Reason.TOO_SLOW})


class Asker(Protocol):
    """What asks a server."""

    async def run(self, request: HttpRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        ...

    async def fetch(self, request: HttpRequest, deadline: float) -> tuple[Ending, Answer | None]:
        """Give the ending before `deadline` (monotonic seconds), and the answer if there is one."""
        ...


class StepsProbe:
    """Runs the steps. `monotonic` gives seconds that never jump."""

    def __init__(self, http: Asker, cel: CelProcess, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._cel = cel
        self._monotonic = monotonic

    async def run(self, request: StepsRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds); `step` names the one that failed."""
        values: dict[str, str] = {}
        endings: list[Ending] = []
        failure: Ending | None = None
        reserved = (deadline - self._monotonic()) * _RESERVE
        for index, step in enumerate(request.steps):
            if not _is_due(step, values, has_failed=failure is not None):
                continue
            ending = await self._take(step, values, self._until(request.steps[index:], deadline, reserved))
            endings.append(ending)
            if failure is None and ending.reason is not Reason.OK:
                failure = ending._replace(step=step.name)
        return _total(failure, endings)

    def _until(self, steps: Sequence[StepRequest], deadline: float, reserved: float) -> float:
        """Give how long the first of the remaining `steps` may take."""
        others = sum(step.always for step in steps[1:])
        if not others:
            return deadline
        if not steps[0].always:
            return deadline - reserved
        now = self._monotonic()
        return now + (deadline - now) / (others + 1)

    async def _take(self, step: StepRequest, values: dict[str, str], deadline: float) -> Ending:
        """Run one step; add what it captures to `values`."""
        request = fill(step.request, values)
        if request is None:
            return Ending(Reason.NOT_CAPTURED if _has_values(step.request, values) else Reason.INVALID_REQUEST)
        ending, answer = await self._ask(request, deadline, has_captures=bool(step.captures))
        # Of an answer that is not as expected nothing is captured: what it names may not be ours to clear away.
        if answer is None or ending.reason not in _AS_EXPECTED:
            return ending
        reason = await self._capture(step, answer, values, deadline)
        return ending._replace(reason=reason) if ending.reason is Reason.OK else ending

    async def _ask(self, request: HttpRequest, deadline: float, *, has_captures: bool) -> tuple[Ending, Answer | None]:
        if has_captures:
            ending, answer = await self._http.fetch(request, deadline)
        else:  # the body may be as large as it likes, and encoded
            ending, answer = await self._http.run(request, deadline), None
        is_late = ending.reason is Reason.OK and is_too_slow(request, sum(ending.phases or ()))
        return ending._replace(reason=Reason.TOO_SLOW) if is_late else ending, answer

    async def _capture(self, step: StepRequest, answer: Answer, values: dict[str, str], deadline: float) -> Reason:
        """Capture each value by itself, so that one that is missing does not keep others from clearing away."""
        first = Reason.OK
        for name, expression in step.captures:
            found = await self._cel.evaluate((expression,), answer, deadline)
            text = None if isinstance(found, Reason) else text_of(found[0])
            if text is not None:
                values[name] = text
            elif first is Reason.OK:
                first = found if isinstance(found, Reason) else Reason.NOT_CAPTURED
        return Reason.NOT_CAPTURED if first is Reason.UNEXPECTED_BODY else first


def fill(request: HttpRequest, values: Mapping[str, str]) -> HttpRequest | None:
    """Put captured values into a request; None when one is missing or cannot be sent there.

    In the target they are percent-encoded, in a body of JSON or of a form as these demand, elsewhere as they are.
    What comes from Secrets is no template.
    """
    if not used(_texts(request)):
        return request
    target = _target(request.target, values)
    headers = [(name, _header(value, values)) for name, value in request.headers]
    body = _body(request, values)
    if target is None or body is None:
        return None
    whole = tuple((name, value) for name, value in headers if value is not None)
    return replace(request, target=target, headers=whole, body=body) if len(whole) == len(headers) else None


def _is_due(step: StepRequest, values: Mapping[str, str], *, has_failed: bool) -> bool:
    if not step.always:
        return not has_failed
    return _has_values(step.request, values)


def _has_values(request: HttpRequest, values: Mapping[str, str]) -> bool:
    return all(name in values for name in used(_texts(request)))


def _texts(request: HttpRequest) -> tuple[str, ...]:
    return (request.target, *(value for _, value in request.headers), _text(request.body))


def _text(body: bytes) -> str:
    return body.decode(errors="surrogateescape")


def _target(target: str, values: Mapping[str, str]) -> str | None:
    """Fill path and query. A value must not be empty or `..` in a path: that would be another path than the spec's."""
    filled = substitute(target, values, _quote, _MOST_LINE)
    if filled is None or _turns(filled) > _turns(target):
        return None
    return filled


def _turns(target: str) -> int:
    """Count the segments that are none, or lead elsewhere for the most generous of servers: decoded, `;` apart."""
    path = target.partition("?")[0]
    decoded = unquote(path).replace("\\", "/")
    return path.split("/").count("") + sum(segment.partition(";")[0] in _DOTS for segment in decoded.split("/"))


def _header(value: str, values: Mapping[str, str]) -> str | None:
    filled = substitute(value, values, str, _MOST_LINE)
    return filled if filled is not None and _HEADER_VALUE.fullmatch(filled) else None


def _body(request: HttpRequest, values: Mapping[str, str]) -> bytes | None:
    filled = substitute(_text(request.body), values, _encoding(request.headers), _MOST_BODY)
    body = None if filled is None else filled.encode(errors="surrogateescape")
    return body if body is not None and len(body) <= _MOST_BODY else None


def _encoding(headers: Iterable[tuple[str, str]]) -> Callable[[str], str]:
    kind = next((value.lower() for name, value in headers if name.lower() == "content-type"), "")
    if "json" in kind:
        return as_json_text
    return _quote if "x-www-form-urlencoded" in kind else str


def _quote(text: str) -> str:
    return quote(text, safe="")


def _total(failure: Ending | None, endings: Sequence[Ending]) -> Ending:
    """Give the failure, else the last ending; with the times of all steps, and the certificate that expires first."""
    deciding = failure or (endings[-1] if endings else Ending(Reason.INVALID_REQUEST))
    phases = [ending.phases for ending in endings if ending.phases is not None]
    expiries = [ending.not_after for ending in endings if ending.not_after]
    return deciding._replace(
        phases=total(phases) if phases else None,
        not_after=min(expiries, default=0.0),
    )
