"""How `homeostat status` shows how all stands: what is wrong first and in words, what is well in a line. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from homeostat.cli.streams import in_one_line
from homeostat.core.standing import GOOD, Finding, Level, ServiceStanding, worst

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

MOST_WELL = 20
"""Services that are well and get a line each; of the others only their number is told."""
_STYLES = {
    Level.WRONG: "bold red",
    Level.ATTENTION: "yellow",
    Level.UNKNOWN: "magenta",
    Level.NOTE: "cyan",
    Level.WELL: "green",
}
_OF_THE_CLUSTER = frozenset({"freezes"})
"""Kinds that whoever has rights in a namespace alone may not list."""
_MOST_STOPPED = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """How all stood `at` a time; `namespace` is "" for all, `asked_for` the one service that was named, or "".

    `silence` says since when no operator has written any of it, "" where one does or that is not known.
    """

    at: datetime
    namespace: str
    asked_for: str
    services: tuple[ServiceStanding, ...]
    freezes: tuple[Mapping[str, Any], ...]
    not_read: Mapping[str, str]
    silence: str = ""

    @property
    def level(self) -> Level:
        """How the worst of it stands."""
        return worst(service.level for service in self.services)

    @property
    def is_partial(self) -> bool:
        """Whether a kind is missing, so that it cannot be said that all is well."""
        return bool(self.not_read.keys() - _OF_THE_CLUSTER)

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong, as far as it could be read."""
        return self.level in GOOD


# --- data -----------------------------------------------------------------------------------------------


def as_data(standing: Standing) -> dict[str, Any]:
    """Give all of it as data. Nothing in it changes as long as the cluster does not."""
    return {
        "namespace": standing.namespace or None,
        "level": standing.level.value,
        "freezes": [dict(one) for one in standing.freezes],
        "silence": standing.silence or None,
        "notRead": [{"kind": kind, "why": why} for kind, why in sorted(standing.not_read.items())],
        "services": [
            {
                "namespace": service.namespace,
                "name": service.name,
                "level": service.level.value,
                "score": service.score,
                "objects": [_finding_data(one) for one in service.findings],
            }
            for service in standing.services
        ],
    }


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "object": f"{finding.kind}/{finding.name}",
        "level": finding.level.value,
        "state": finding.state,
        "why": finding.why,
        "since": finding.since or None,
        **finding.figures,
    }


# --- text -----------------------------------------------------------------------------------------------


def as_screen(standing: Standing, stale: str = "") -> "RenderableType":
    """Draw all of it; `stale` says why it is old, where it is."""
    from rich.console import Group  # noqa: PLC0415 - only what is drawn needs it
    from rich.text import Text  # noqa: PLC0415

    parts: list[RenderableType] = [Text(stale, style="bold reverse")] if stale else []
    if standing.silence:
        parts.append(Text(f"OLD: {standing.silence}: this is as it was then. `homeostat doctor`", style="bold reverse"))
    parts.append(_headline(standing))
    parts += [_freeze(one) for one in standing.freezes]
    parts += [Text(f"not shown: {kind}: {why}", style="magenta") for kind, why in sorted(standing.not_read.items())]
    bad = [service for service in standing.services if service.level not in GOOD]
    for service in bad:
        parts += [Text(""), *_service(standing, service)]
    well = [service for service in standing.services if service.level in GOOD]
    if standing.asked_for:
        for service in well:
            parts += [Text(""), *_service(standing, service)]
    elif well:
        parts += [Text(""), *(_line(standing, service) for service in well[:MOST_WELL])]
        if len(well) > MOST_WELL:
            parts.append(Text(f"and {len(well) - MOST_WELL} more are well (name one, or -o json, to see them)"))
    return Group(*parts)


def _headline(standing: Standing) -> "Text":
    from rich.text import Text  # noqa: PLC0415 - only what is drawn needs it

    place = f"namespace {in_one_line(standing.namespace)}" if standing.namespace else "cluster"
    line = Text(f"{place} at {standing.at:%Y-%m-%d %H:%M:%S} UTC: ")
    if not standing.services:
        may_see = " that you may list" if standing.is_partial else ""
        elsewhere = "; -A looks everywhere" if standing.namespace else ""
        return line.append(f"there is nothing of homeostat here{may_see}{elsewhere}")
    counts = Counter(_kind_of(service.level) for service in standing.services)
    told = [(level, counts[level]) for level in Level if counts.get(level)]
    for place_in_line, (level, count) in enumerate(told):
        line.append(", " if place_in_line else "")
        line.append(f"{count} {_words(level, count)}", style=_STYLES[level])
    return line


def _kind_of(level: Level) -> Level:
    return Level.WELL if level in GOOD else level


def _words(level: Level, count: int) -> str:
    services = "service" if count == 1 else "services"
    return {
        Level.WRONG: f"{services} wrong",
        Level.ATTENTION: f"{'needs' if count == 1 else 'need'} attention",
        Level.UNKNOWN: "unknown",
    }.get(level, "well")


def _freeze(freeze: Mapping[str, Any]) -> "Text":
    from rich.text import Text  # noqa: PLC0415 - only what is drawn needs it

    where = ", ".join(map(in_one_line, freeze["namespaces"])) or "the whole cluster"
    until = f"until {freeze['until']}" if freeze["until"] else "until it is lifted"
    stopped = freeze["stopped"]
    more = f" and {len(stopped) - _MOST_STOPPED} more" if len(stopped) > _MOST_STOPPED else ""
    holds = f"; stopped {', '.join(map(in_one_line, stopped[:_MOST_STOPPED]))}{more}" if stopped else ""
    is_late = "" if freeze["engaged"] else " (the operator has not engaged it yet)"
    line = Text("FROZEN ", style="bold blue")
    told = f"{freeze['name']}: no {' and no '.join(one.lower() for one in freeze['stops'])} in {where} {until}"
    return line.append(f"{told}{is_late}: {in_one_line(freeze['reason'])}{holds}", style="not bold")


def _service(standing: Standing, service: ServiceStanding) -> "Sequence[RenderableType]":
    """Draw a service with a line for each object that something is to be said of, and one for all the others."""
    from rich.padding import Padding  # noqa: PLC0415 - only what is drawn needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    head = Text(service.level.value.upper(), style=_STYLES[service.level])
    head.append(f"  {_name(standing, service)}", style="bold not reverse")
    head.append(_score(service), style="not bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=40)
    table.add_column(overflow="fold", ratio=1)
    shown = [one for one in service.findings if standing.asked_for or one.level is not Level.WELL]
    for one in shown:
        why = in_one_line(one.why) or _figures(one)
        table.add_row(
            Text(in_one_line(one.state), style=_STYLES[one.level]), in_one_line(f"{one.kind}/{one.name}"),
            why + _age(one, standing.at),
        )  # fmt: skip
    if len(shown) < len(service.findings):
        quiet = [one for one in service.findings if one.level is Level.WELL]
        table.add_row(Text("well", style=_STYLES[Level.WELL]), "", _counted(quiet))
    return head, Padding(table, (0, 0, 0, 2))


def _line(standing: Standing, service: ServiceStanding) -> "Text":
    """Draw a service that is well, and what is worth a word all the same, in one line."""
    from rich.text import Text  # noqa: PLC0415 - only what is drawn needs it

    line = Text("well  ", style=_STYLES[Level.WELL], no_wrap=True, overflow="ellipsis")
    line.append(_name(standing, service), style="bold not reverse")
    line.append(_score(service), style="default")
    objectives = [f"slo/{one.name} {_figures(one)}" for one in service.findings if one.kind == "slo"]
    notes = [f"{one.kind}/{one.name} {one.state}" for one in service.findings if one.level is Level.NOTE]
    drills = [
        f"{one.kind}/{one.name} {one.figures['verdict']}"
        for one in service.findings
        if one.level is Level.WELL and one.figures.get("verdict")
    ]
    told = "; ".join(map(in_one_line, (*notes, *objectives, *drills, _counted(service.findings))))
    return line.append(f"  {told}", style="default")


def _name(standing: Standing, service: ServiceStanding) -> str:
    name = in_one_line(service.name) or "(of no service)"
    return name if standing.namespace else f"{in_one_line(service.namespace)}/{name}"


def _score(service: ServiceStanding) -> str:
    return "" if service.score is None else f"  score {service.score}"


def _figures(finding: Finding) -> str:
    """Say in a few words what is measured of an object that nothing else is to be said of."""
    figures = finding.figures
    if finding.kind == "slo":
        sli = f"{figures['sli']}% of {figures.get('objective')}%" if "sli" in figures else "no data"
        left = f", {figures['budgetRemaining']}% of the budget left" if "budgetRemaining" in figures else ""
        return sli + left
    if finding.kind == "hc":
        return f"score {figures['score']}" if "score" in figures else ""
    if finding.kind == "rp":
        last = figures.get("lastOutcome")
        return f"{figures.get('mode', '')}{f', last {last}' if last else ''}"
    return f"next run {figures['nextRunAt']}" if figures.get("nextRunAt") else ""


_NOUNS = {
    "hc": ("check", "checks"),
    "slo": ("objective", "objectives"),
    "rp": ("policy", "policies"),
    "chaos": ("experiment", "experiments"),
    "gd": ("game day", "game days"),
}


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter(one.kind for one in findings)
    return ", ".join(f"{counts[kind]} {nouns[counts[kind] != 1]}" for kind, nouns in _NOUNS.items() if counts[kind])


def _age(finding: Finding, now: datetime) -> str:
    """Say for how long it has stood so, in the two largest units."""
    if finding.level is Level.WELL or not finding.since:
        return ""
    try:
        seconds = int((now - datetime.fromisoformat(finding.since)).total_seconds())
    except (ValueError, TypeError):
        return ""
    return f" (for {duration(seconds)})" if seconds >= 0 else ""


def duration(seconds: int) -> str:
    """Write a length of time for humans in its two largest units: `3d4h`, `5m10s`."""
    parts = []
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= length:
            parts.append(f"{seconds // length}{unit}")
            seconds %= length
        elif parts:
            break
    return "".join(parts[:2]) or "0s"
