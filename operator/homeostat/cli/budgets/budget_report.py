"""What `homeostat budget` shows of the error budgets of objectives, least left first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from homeostat.api.meta import format_decimal, format_duration, format_time
from homeostat.api.objective import BudgetRule, ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.cli.status.report import duration
from homeostat.cli.streams import in_one_line
from homeostat.core.condition import condition

if TYPE_CHECKING:
    from rich.console import RenderableType

NOTHING = "-"
PROVISIONAL = "provisional: the window is not covered yet"
_HEADS = ("GOAL", "SLI", "LEFT", "BAD TIME", "EVENTS", "BURN 1H", "GONE IN", "HOLDS")
"""What `_cells` gives; a column of which nothing is known of any objective is not shown."""
_WORDS = frozenset({6, 7})
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """The budget of one objective. What is not known is None, and `why` says why.

    `time_left` is for how long everything could still be bad; `events_left` is how many events still may be, at the
    traffic of the window, known only where the window is covered.
    """

    namespace: str
    name: str
    service: str
    objective: Decimal | None
    status: ServiceLevelObjectiveStatus
    rules: tuple[BudgetRule, ...]
    time_left: timedelta | None
    events_left: int | None
    why: str

    @property
    def remaining(self) -> Decimal | None:
        """Percent of the budget that is left."""
        return self.status.budget.remaining if self.status.budget else None

    @property
    def is_left(self) -> bool:
        """Whether there is something left, for all we know."""
        return self.remaining is not None and self.remaining > 0


def line_of(body: Mapping[str, Any]) -> BudgetLine:
    """Read an objective as the API server gives it; what cannot be read is not known."""
    metadata = body["metadata"]
    namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
    try:
        spec = ServiceLevelObjectiveSpec.model_validate(body.get("spec") or {})
        status = ServiceLevelObjectiveStatus.model_validate(body.get("status") or {})
    except ValidationError:
        why = "it cannot be read: is it of another release?"
        return BudgetLine(namespace, name, "", None, ServiceLevelObjectiveStatus(), (), None, None, why)
    return BudgetLine(
        namespace, name, spec.service or name, spec.objective, status, spec.budget_policy,
        _time_left(status), _events_left(status), _why(status, metadata.get("generation")),
    )  # fmt: skip


def least_left_first(lines: Sequence[BudgetLine]) -> list[BudgetLine]:
    """Order them: what is not known comes last, as nothing can be said of it."""
    return sorted(lines, key=lambda one: (one.remaining is None, one.remaining or 0, one.namespace, one.name))


def _time_left(status: ServiceLevelObjectiveStatus) -> timedelta | None:
    budget, window = status.budget, status.window
    if budget is None or window is None:
        return None
    share = float(budget.total * budget.remaining / 10_000)
    return (window.end - window.start) * share


def _events_left(status: ServiceLevelObjectiveStatus) -> int | None:
    budget, window = status.budget, status.window
    if budget is None or budget.provisional or window is None or not window.coverage:
        return None
    events = Decimal((status.good or 0) + (status.bad or 0)) * 100 / window.coverage
    return int((events * budget.total * budget.remaining / 10_000).to_integral_value(ROUND_FLOOR))


def _why(status: ServiceLevelObjectiveStatus, generation: object) -> str:
    if status.observed_generation < 0:
        return "no operator has looked at it yet"
    if generation is not None and status.observed_generation != generation:
        return "its figures are about an earlier spec"
    if status.budget is None:
        data = condition(status.conditions, "DataPresent") or condition(status.conditions, "Ready")
        return f"{data.reason}: {data.message}" if data else "there is no data"
    return PROVISIONAL if status.budget.provisional else ""


# --- data -----------------------------------------------------------------------------------------------


def as_data(line: BudgetLine) -> dict[str, Any]:
    """Give one of them as data; what is not known is null, percentages are text as on the status."""
    status = line.status
    return {
        "namespace": line.namespace,
        "name": line.name,
        "service": line.service or None,
        "objective": _decimal(line.objective),
        "sli": _decimal(status.sli),
        "state": status.state.value,
        "remainingPercent": _decimal(line.remaining),
        "badMinutesLeft": None if line.time_left is None else round(line.time_left / _MINUTE, 1),
        "badEventsLeft": line.events_left,
        "provisional": bool(status.budget and status.budget.provisional),
        "burnRates": {format_duration(one.window): format_decimal(one.rate) for one in status.burn_rates},
        "exhaustedAt": None if status.exhaustion_at is None else format_time(status.exhaustion_at),
        "holds": [one.value for one in status.holds],
        "groups": [
            {"name": one.name, "state": one.state.value, "remainingPercent": _decimal(one.remaining)}
            for one in sorted(status.groups, key=lambda one: (one.remaining is None, one.remaining or 0, one.name))
        ],
        "why": line.why or None,
    }


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else format_decimal(value)


# --- text -----------------------------------------------------------------------------------------------


def as_table(lines: Sequence[BudgetLine], namespace: str, now: datetime) -> "RenderableType":
    """Draw a line for each, under what each column is."""
    from rich.table import Table  # noqa: PLC0415 - only what is drawn needs it

    if not lines:
        return f"there is no ServiceLevelObjective {f'in namespace {namespace}' if namespace else 'in the cluster'}"
    cells = [_cells(line, now) for line in lines]
    shown = [place for place, head in enumerate(_HEADS) if any(row[place] != NOTHING for row in cells)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("OBJECTIVE", overflow="fold")
    for place in shown:
        table.add_column(_HEADS[place], justify="left" if place in _WORDS else "right", no_wrap=place not in _WORDS)
    for line, row in zip(lines, cells, strict=True):
        name = line.name if namespace else f"{line.namespace}/{line.name}"
        table.add_row(in_one_line(f"{name}{_mark(line)}"), *(row[place] for place in shown), style=_style(line))
    notes = dict.fromkeys(
        f"{in_one_line(one.name)}: {in_one_line(one.why)}" for one in lines if one.why not in {"", PROVISIONAL}
    )
    is_provisional = any(_mark(one) for one in lines)
    return _stacked(table, [*notes, *([f"* {PROVISIONAL}"] if is_provisional else [])])


def as_page(line: BudgetLine, now: datetime) -> "RenderableType":
    """Draw all that is known of one."""
    from rich.table import Table  # noqa: PLC0415 - only what is drawn needs it

    status = line.status
    goal, sli, left, time, events, _, gone, holds = _cells(line, now)
    window = f" over {status.window.length}" if status.window and status.window.length else ""
    rates = ", ".join(f"{format_decimal(one.rate)}x in {format_duration(one.window)}" for one in status.burn_rates)
    rules = "; ".join(
        f"{', '.join(one.value for one in rule.hold)} below {format_decimal(rule.remaining_below * 100)}%"
        for rule in line.rules
    )
    groups = as_data(line)["groups"][:10]
    page = Table.grid(padding=(0, 2))
    page.add_column(style="bold", no_wrap=True)
    page.add_column(overflow="fold")
    for key, value in (
        ("objective", in_one_line(f"{line.namespace}/{line.name}, service {line.service}")),
        ("goal", f"{goal}{window}, SLI {sli}"),
        ("budget", _left(left, time, events)),
        ("burns", rates or NOTHING),
        ("gone in", gone),
        ("holds", holds),
        ("would hold", rules),
        *(("group", in_one_line(f"{one['name']}: {one['remainingPercent']}% left, {one['state']}")) for one in groups),
        ("note", in_one_line(line.why)),
    ):
        if value:
            page.add_row(key, value)
    return page


def _left(left: str, time: str, events: str) -> str:
    """Say what is left, in time and in events as far as they are known."""
    told = [words for known, words in ((time, f"{time} of nothing but bad"), (events, f"{events} bad events"))
            if known != NOTHING]  # fmt: skip
    return f"{left} left: {', '.join(told)}" if told and left != NOTHING else left


def _stacked(table: "RenderableType", notes: Sequence[str]) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 - only what is drawn needs it

    return Group(table, *notes)


def _cells(line: BudgetLine, now: datetime) -> tuple[str, ...]:
    status = line.status
    rates = {one.window: one.rate for one in status.burn_rates}
    burn = rates.get(timedelta(hours=1), next(iter(rates.values()), None))
    return (
        NOTHING if line.objective is None else f"{format_decimal(line.objective)}%",
        NOTHING if status.sli is None else f"{format_decimal(status.sli)}%",
        NOTHING if line.remaining is None else f"{format_decimal(line.remaining)}%",
        NOTHING if line.time_left is None else _length(line.time_left),
        NOTHING if line.events_left is None else str(line.events_left),
        NOTHING if burn is None else f"{format_decimal(burn)}x",
        _gone_in(line, now),
        ", ".join(one.value for one in status.holds) or NOTHING,
    )


def _gone_in(line: BudgetLine, now: datetime) -> str:
    if line.remaining is not None and not line.is_left:
        return "gone"
    ends = line.status.exhaustion_at
    return NOTHING if ends is None else _length(max(ends - now, timedelta(0)))


def _length(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    return f"-{duration(-seconds)}" if seconds < 0 else duration(seconds)


def _mark(line: BudgetLine) -> str:
    return " *" if line.status.budget and line.status.budget.provisional else ""


def _style(line: BudgetLine) -> str:
    if line.remaining is None:
        return "magenta"
    if not line.is_left:
        return "red"
    return "yellow" if line.status.holds or line.status.state == "Burning" else ""
