"""How all stands, by service and worst first: what a human wants to know at three in the morning.

A finding is one object with what is to be said of it. A service stands as its worst finding does, and all of them
together as the worst service. How a kind's own words are weighed is read from its status in `cli/status/objects.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Level(StrEnum):
    """How much a human should care, the worst first."""

    WRONG = "Wrong"  # users suffer, or a human is waited for
    ATTENTION = "Attention"  # not as it should be, and on its way to one or the other
    UNKNOWN = "Unknown"  # nobody can say
    NOTE = "Note"  # as somebody wants it, and good to know: an experiment runs, a check is suspended
    WELL = "Well"


KINDS = ("hc", "slo", "rp", "chaos", "gd")
"""How findings call the kinds, in the order in which those of one level are told."""
_ORDER = {level: place for place, level in enumerate(Level)}
GOOD = frozenset({Level.NOTE, Level.WELL})


@dataclass(frozen=True, slots=True)
class Finding:
    """One object: `state` is its own word for how it stands, `why` a sentence, "" where nothing is to be said.

    `service` is "" while nobody says which service it is about; then `about` names objects, as (kind, name) of its
    namespace, whose service is its own too. `figures` are what is measured of it, as on its status.
    """

    kind: str
    namespace: str
    name: str
    level: Level
    state: str
    why: str = ""
    since: str = ""
    service: str = ""
    about: tuple[tuple[str, str], ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceStanding:
    """One service: `findings` are worst first; `score` is None where none of its checks is known."""

    namespace: str
    name: str
    level: Level
    score: int | None
    findings: tuple[Finding, ...]


def worst(levels: Iterable[Level]) -> Level:
    """Give the worst of several levels; of none at all, all is well."""
    return min(levels, key=_ORDER.__getitem__, default=Level.WELL)


def by_service(
    findings: Iterable[Finding], scores: Mapping[tuple[str, str], int | None]
) -> tuple[ServiceStanding, ...]:
    """Put findings together by service, worst first; `scores` are by (namespace, service)."""
    groups: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in _with_services(tuple(findings)):
        groups[finding.namespace, finding.service].append(finding)
    standings = (_standing(*of, group, scores.get(of)) for of, group in groups.items())
    return tuple(sorted(standings, key=_rank))


def _with_services(findings: Sequence[Finding]) -> Iterable[Finding]:
    """Say of what names no service which one it is about: that of the first object it refers to and that has one.

    Twice, as a game day refers to experiments, and these to checks.
    """
    for _ in range(2):
        known = {(one.namespace, one.kind, one.name): one.service for one in findings if one.service}
        findings = [_with_service(one, known) for one in findings]
    return findings


def _with_service(finding: Finding, known: Mapping[tuple[str, str, str], str]) -> Finding:
    services = (known.get((finding.namespace, *what), "") for what in finding.about)
    return finding if finding.service else replace(finding, service=next(filter(None, services), ""))


def _standing(namespace: str, name: str, findings: Sequence[Finding], score: int | None) -> ServiceStanding:
    ordered = sorted(findings, key=lambda one: (_ORDER[one.level], KINDS.index(one.kind), one.name))
    return ServiceStanding(namespace, name, worst(one.level for one in findings), score, tuple(ordered))


def _rank(service: ServiceStanding) -> tuple[int, int, str, str]:
    score = 101 if service.score is None else service.score
    return _ORDER[service.level], score, service.namespace, service.name
