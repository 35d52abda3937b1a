"""What a pool and its processes say to each other, over one socket.

To a process: frames of a length, the time it was written and a pickle; the first holds the `Guard`, each further one
a list of what to do. From a process: records of one fixed shape and nothing else, for it may be taken over by what a
stranger sent: every field is checked, and no text comes with it but the place of a bug.
"""

import pickle
import re
import struct
from math import isfinite
from typing import Any, Final, NamedTuple

from homeostat.core.probing.request import Request, StepsRequest
from homeostat.core.probing.result import Phases, Reason
from homeostat.probe.ending import Ending

FRAME: Final = struct.Struct("!Id")
"""Length of the pickle that follows (bytes), and when it was written (monotonic seconds)."""
RECORD: Final = struct.Struct("!QBhH?5dd48s")
"""Number of the question (0: ready to be asked), index of the reason, index of the step (-1: none), code, whether
there are phases, the phases (s), when a certificate expires (epoch seconds), and where a bug is."""
READY: Final = 0

_REASONS: Final = tuple(Reason)
_INDICES: Final = {reason: index for index, reason in enumerate(_REASONS)}
_NO_PHASES: Final = Phases()
_NO_STEP: Final = -1
_LONGEST: Final = 86_400.0  # seconds that a phase may last
_LAST_EXPIRY: Final = 1e12  # epoch seconds, long after the year 9999
_WHERE: Final = re.compile(rb"([A-Za-z0-9_.:<>]{0,48})\x00*")


class Ask(NamedTuple):
    """A question: to be answered before `deadline` (monotonic seconds), once, whatever comes of it."""

    number: int
    deadline: float
    request: Request


class GiveUp(NamedTuple):
    """Nobody waits any more for the answer to a question, which is still to be given."""

    number: int


Message = Ask | GiveUp


class Reply(NamedTuple):
    """The answer to a question; `where` names the place of a bug, and is "" without one."""

    ending: Ending
    where: str


def frame(content: Any, now: float) -> bytes:  # noqa: ANN401 - a Guard, or a list of messages
    """Write a frame."""
    pickled = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return FRAME.pack(len(pickled), now) + pickled


def record(number: int, ending: Ending, request: Request, where: str = "") -> bytes:
    """Write the record of how the run of `request` ended."""
    reason, code, phases, not_after, _, step = ending
    timed = (max(0.0, phase) for phase in phases or _NO_PHASES)  # news after the end can make one less than nothing
    return RECORD.pack(
        number, _INDICES[reason], _index(step, request), code, phases is not None, *timed, not_after, where.encode()
    )


def reply_of(fields: tuple[Any, ...], request: Request) -> Reply:
    """Give what a record (its fields as `RECORD` reads them) says of `request`. Raises ValueError when it lies."""
    _, reason, step, code, has_phases, *phases, not_after, where = fields
    place = _WHERE.fullmatch(where)
    if reason >= len(_REASONS) or place is None or not 0 <= not_after <= _LAST_EXPIRY:
        raise ValueError("not a reply")
    if not all(isfinite(phase) and 0 <= phase <= _LONGEST for phase in phases):
        raise ValueError("not a reply")
    timed = Phases(*phases) if has_phases else None
    return Reply(Ending(_REASONS[reason], code, timed, not_after, None, _name(step, request)), place[1].decode())


def _index(step: str, request: Request) -> int:
    if not step or not isinstance(request, StepsRequest):
        return _NO_STEP
    return [one.name for one in request.steps].index(step)


def _name(index: int, request: Request) -> str:
    if index == _NO_STEP:
        return ""
    if not isinstance(request, StepsRequest) or not 0 <= index < len(request.steps):
        raise ValueError("no such step")
    return request.steps[index].name
