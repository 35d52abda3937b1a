"""How `homeostat doctor` reads on when something may not be read: what raises becomes a reading of its own."""

from collections.abc import Awaitable
from typing import TypeVar

from homeostat.core.diagnosis.readings import Unread
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

T = TypeVar("T")
TROUBLES = (Unavailable, Forbidden, Gone, Rejected, Conflict)


async def tried(work: Awaitable[T], right: str, do: str = "") -> T | Unread:
    """Read something; `right` says what one must be allowed for it, `do` how somebody who is sees it."""
    try:
        return await work
    except Forbidden:
        return Unread(f"you may not {right}", do)
    except TROUBLES as error:
        return Unread(" ".join(str(error).split()), do)
