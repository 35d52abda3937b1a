"""How `homeostat doctor` shows what it found. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from homeostat.cli.streams import in_one_line
from homeostat.core.diagnosis.readings import Diagnosis, Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {Verdict.OK: "green", Verdict.UNKNOWN: "magenta", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def as_data(found: Sequence[Diagnosis]) -> dict[str, Any]:
    """Give it as data."""
    counts = Counter(one.verdict for one in found)
    return {
        "counts": {verdict.value: counts[verdict] for verdict in Verdict},
        "checks": [
            {"check": one.check, "verdict": one.verdict.value, "says": one.says, "do": one.do or None} for one in found
        ],
    }


def as_lines(found: Sequence[Diagnosis]) -> "RenderableType":
    """Draw a line for each check, below it what to do, and at the end what it comes to."""
    from rich.console import Group  # noqa: PLC0415 - only what is drawn needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2, 0, 0))
    for is_told in (False, False, True):
        table.add_column(no_wrap=not is_told, overflow="fold")
    for one in found:
        table.add_row(Text(one.verdict.value, style=_STYLES[one.verdict]), one.check, in_one_line(one.says))
        if one.do:
            table.add_row("", "", Text(f"do: {in_one_line(one.do)}", style="cyan"))
    counts = Counter(one.verdict for one in found)
    told = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in reversed(Verdict) if counts[verdict])
    return Group(table, Text(""), Text(told))
