"""How `homeostat explain` writes gates, of policies and of experiments alike: a line each, and when one opens. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from homeostat.api.meta import format_duration, format_time

PASSED, REFUSED, NOT_KNOWN = "passed", "REFUSED", "not known"
_SECOND = timedelta(seconds=1)


class Says(Protocol):
    """What one gate says: `reason`, `message` and `until` of a refusal."""

    @property
    def name(self) -> str:
        """The gate's name."""

    @property
    def passed(self) -> bool:
        """Whether it lets pass."""

    @property
    def reason(self) -> str:
        """Why not, in a word."""

    @property
    def message(self) -> str:
        """Why not, in a sentence."""

    @property
    def until(self) -> datetime | None:
        """When it opens by itself."""


def table(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Write a line for each gate: its name, what it says, and why."""
    width = max(len(name) for name, _, _ in rows)
    yield f"{'GATE':{width}}  SAYS       WHY"
    for name, says, why in rows:
        yield f"{name:{width}}  {says:9}  {why}".rstrip()


def verdict(refusals: Sequence[Says], unknown: str) -> str:
    """Say in a sentence what follows from all gates: those that refuse, in their order, and the names of the others."""
    if refusals:
        others = names(refusals[1:])
        return f"Refused by {refusals[0].name}: {refusals[0].reason}." + (f" After that by {others}." if others else "")
    if unknown:
        return f"Nothing that is known refuses; not known: {unknown}."
    return "All gates let it pass."


def if_it_were(refusals: Sequence[Says]) -> str:
    """Say what would refuse, were there anything to be done; "" where nothing would."""
    return f" If it were, it would be refused by {names(refusals)}." if refusals else ""


def names(gates: Sequence[Says]) -> str:
    """Name gates in a row."""
    return ", ".join(gate.name for gate in gates)


def gate_data(gate: Says, not_known: Mapping[str, str]) -> dict[str, Any]:
    """Give what a gate says for programs; `not_known`: why it could not be asked, by the gate's name."""
    is_known = gate.name not in not_known
    return {
        "name": gate.name,
        "passed": gate.passed if is_known else None,
        "reason": gate.reason if is_known else "",
        "message": gate.message if is_known else not_known[gate.name],
        "until": format_time(gate.until) if gate.until and is_known else None,
    }


def until_then(until: datetime | None, now: datetime) -> str:
    """Say when a gate opens by itself; "" when that is not known, or past."""
    if until is None or until <= now:
        return ""
    return f" (until {format_time(until)}, in {whole(until - now)})"


def whole(time: timedelta) -> str:
    """Write a length of time in whole seconds."""
    return format_duration(time - time % _SECOND)
