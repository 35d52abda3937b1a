"""What an answer of the API server means: a value, an exception of `ports`, or another attempt. Nothing here waits.

Answers are judged by code and by the machine-readable `reason` and `causes` of a metav1.Status. The only upstream
text that leaves is the message of a `Rejected` or a `Denied`.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

_MESSAGE_LENGTH = 1024
_LONGEST_VALUE = 128
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)', re.DOTALL)
"""A quoted value. Of what a patch makes wrong the API server quotes the whole object before it says why, with all that
its owner wrote into it, which is no business of whoever reads the reason."""


class Expired(Unavailable):
    """The page asked for belongs to a listing that the API server no longer remembers (410)."""


class ServerError(Unavailable):
    """The API server erred (500), or cannot merge an apply into an object that an older schema let in."""


class BudgetHeld(Rejected):
    """An eviction was refused because a PodDisruptionBudget allows none now."""


class Denied(Forbidden):
    """A policy of the cluster refuses what is asked for, whoever asks; the message, safe to show, says which."""


class Fate(StrEnum):
    """What became of a request."""

    ANSWERED = "Answered"
    NOT_SENT = "NotSent"  # no connection: the server cannot have seen it
    UNKNOWN = "Unknown"  # sent, and no whole answer: the server may have done it


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or the lack of one (`code` 0). `body` is {} when there was none that is JSON."""

    fate: Fate
    code: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def is_good(self) -> bool:
        """Whether the request did what it asked for."""
        return self.fate is Fate.ANSWERED and 200 <= self.code < 300  # noqa: PLR2004 - 2xx

    @property
    def reason(self) -> str:
        """The metav1.Status reason, a CamelCase word, or ""."""
        reason = self.body.get("reason")
        return reason if isinstance(reason, str) else ""

    @property
    def status_class(self) -> str:
        """The class for counters: `2xx` … `5xx`, or `none` when no answer came."""
        return f"{self.code // 100}xx" if self.code else "none"

    def has_cause(self, *, reason: str = "", at: str = "") -> bool:
        """Whether the Status names a cause of this `reason`, or at this `field`."""
        return any(
            (reason and cause.get("reason") == reason) or (at and cause.get("field") == at) for cause in self._causes()
        )

    def cause_message(self, reason: str) -> str:
        """Give the message of the first cause of this `reason`, or ""."""
        found = (cause.get("message") for cause in self._causes() if cause.get("reason") == reason)
        return _shortened(str(next(found, None) or ""))

    def _causes(self) -> list[dict[str, Any]]:
        details = self.body.get("details")
        causes = details.get("causes") if isinstance(details, dict) else None
        return [cause for cause in causes or () if isinstance(cause, dict)]


def error_of(answer: Answer, what: str) -> Exception:
    """Give the exception of `ports` for an answer that is not good. `what` says which request, without its body."""
    if answer.fate is not Fate.ANSWERED:
        return Unavailable(f"{what}: no answer ({answer.fate})")
    told = f"{what}: {answer.code} {answer.reason}".rstrip()
    if answer.has_cause(reason="DisruptionBudget"):
        return BudgetHeld(answer.cause_message("DisruptionBudget") or _message(answer))
    # A patch that names another uid than the object's is answered as an immutable field, not as a conflict.
    if answer.code == 409 or answer.has_cause(at="metadata.uid"):  # noqa: PLR2004
        return Conflict(told)
    if answer.code == 403 and _DENIAL.search(message := _message(answer)):  # noqa: PLR2004
        return Denied(message)
    if answer.code in _REJECTED:
        return Rejected(_message(answer) or told)
    return _BY_CODE.get(answer.code, Unavailable)(told)


_BY_CODE: dict[int, type[Exception]] = {401: Forbidden, 403: Forbidden, 404: Gone, 410: Expired, 500: ServerError}
_DENIAL = re.compile(r'violates PodSecurity "|: ValidatingAdmissionPolicy |admission webhook "')
"""What a refusal by a rule of the cluster says. One for want of a right names ourselves, which is nobody's business."""
_REJECTED = frozenset({400, 405, 406, 413, 415, 422})


def _message(answer: Answer) -> str:
    message = answer.body.get("message")
    return _shortened(message) if isinstance(message, str) else ""


def _shortened(message: str) -> str:
    """Leave out long values, so that the reason, which follows them, is not cut off."""
    whole = _QUOTED.sub(lambda found: found[0] if len(found[0]) <= _LONGEST_VALUE else '"…"', message)
    return whole[:_MESSAGE_LENGTH]


def may_try_again(answer: Answer, *, is_write: bool) -> bool:
    """Whether sending the same request again can help and can do no harm.

    Reads: whenever the server did not answer properly. Writes: only when the server said that it did nothing. A
    write whose fate is unknown (504, a timeout, a connection lost under way, etcd too slow) may have been
    committed: its caller gets Unavailable and reads again.
    """
    if answer.fate is Fate.NOT_SENT:
        return True
    if answer.code == 429:  # noqa: PLR2004
        return not answer.has_cause(reason="DisruptionBudget")
    if not is_write:
        return answer.fate is Fate.UNKNOWN or answer.code >= 500  # noqa: PLR2004
    # A 500 without a reason is what the server cannot name, such as a patch that it cannot read: again is no better.
    return (answer.code, answer.reason) == (500, "InternalError") or answer.code == 503  # noqa: PLR2004
