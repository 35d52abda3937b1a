"""What `homeostat score` prints: services with their scores, the worst first, as a table or as JSON. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from homeostat.api.health_check import Criticality, HealthState, Trend
from homeostat.core.health.score import WEIGHTS, Mark, Score, overall_score, service_of, service_score

Word = TypeVar("Word", bound=StrEnum)

BEST = 100
NOTHING = "-"
_HEADER = ("NAMESPACE", "SERVICE", "SCORE", "TREND", "KNOWN", "WORST CHECK", "CHECKS")


@dataclass(frozen=True, slots=True)
class CheckScore:
    """One HealthCheck: the service it is scored with, and what it brings into the score."""

    namespace: str
    name: str
    service: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One service: its score, how many of its checks are in which state, and the check that costs it most."""

    namespace: str
    name: str
    score: Score
    states: Mapping[HealthState, int]
    worst: CheckScore | None


@dataclass(frozen=True, slots=True)
class Report:
    """All services of a namespace, or of the cluster (`namespace` is ""), the worst first."""

    namespace: str
    score: Score
    states: Mapping[HealthState, int]
    services: tuple[ServiceReport, ...]


# --- reading --------------------------------------------------------------------------------------------


def check_score_of(body: Mapping[str, Any]) -> CheckScore:
    """Read a HealthCheck as the API server gives it. What cannot be read, a newer release's word, is not known."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    name = str(metadata["name"])
    score = status.get("score")
    return CheckScore(
        namespace=str(metadata.get("namespace", "")),
        name=name,
        service=service_of(str(spec.get("service") or ""), name),
        mark=Mark(
            _word(Criticality, spec.get("criticality")) or Criticality.MEDIUM,
            _word(HealthState, status.get("state")) or HealthState.UNKNOWN,
            score if isinstance(score, int) else None,
            _word(Trend, status.get("trend")),
        ),
    )


def _word(words: type[Word], value: object) -> Word | None:
    return next((word for word in words if word == value), None)


def report_on(checks: Iterable[CheckScore], namespace: str) -> Report:
    """Score services, and all of them together."""
    by_service = defaultdict[tuple[str, str], list[CheckScore]](list)
    for check in checks:
        by_service[check.namespace, check.service].append(check)
    services = [_service(*of, group) for of, group in by_service.items()]
    return Report(
        namespace=namespace,
        score=overall_score(service.score for service in services),
        states=sum((Counter(service.states) for service in services), Counter()),
        services=tuple(sorted(services, key=_rank)),
    )


def _service(namespace: str, name: str, checks: Sequence[CheckScore]) -> ServiceReport:
    return ServiceReport(
        namespace=namespace,
        name=name,
        score=service_score(check.mark for check in checks),
        states=Counter(check.mark.state for check in checks),
        worst=max(
            (check for check in checks if _cost(check)), key=lambda check: (_cost(check), check.name), default=None
        ),
    )


def _cost(check: CheckScore) -> int:
    """Give what a check takes from the score of its service, before that is divided by the weight of all."""
    score = check.mark.score
    return 0 if score is None else WEIGHTS[check.mark.criticality] * (BEST - score)


def _rank(service: ServiceReport) -> tuple[object, ...]:
    """Put the worst first, and services of which nothing is known last."""
    value = service.score.value
    return value is None, value, service.namespace, service.name


# --- printing -------------------------------------------------------------------------------------------


def as_table(report: Report) -> str:
    """Write the whole in one line, and a line for each service."""
    if not report.services:
        return f"{_place(report)}: no HealthChecks"
    rows = [_HEADER, *map(_row, report.services)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join((_headline(report), "", *lines))


def _place(report: Report) -> str:
    return f"namespace {_plain(report.namespace)}" if report.namespace else "cluster"


def _headline(report: Report) -> str:
    score = report.score
    known = f"{score.known} of {score.total} checks known"
    return f"{_place(report)}: {_value(score)}, {_trend(score)}; {known}: {_states(report.states)}"


def _row(service: ServiceReport) -> tuple[str, ...]:
    score, worst = service.score, service.worst
    return (
        _plain(service.namespace),
        _plain(service.name),
        _value(score),
        score.trend.value if score.trend else NOTHING,
        f"{score.known}/{score.total}",
        f"{_plain(worst.name)} ({worst.mark.state.value})" if worst else NOTHING,
        _states(service.states),
    )


def _value(score: Score) -> str:
    return NOTHING if score.value is None else str(score.value)


def _trend(score: Score) -> str:
    return score.trend.value.lower() if score.trend else "no trend known"


def _states(states: Mapping[HealthState, int]) -> str:
    return ", ".join(f"{states[state]} {state.value}" for state in HealthState if states.get(state))


def _plain(text: str) -> str:
    """Show what the cluster calls something, and let no character of it command the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def as_json(report: Report) -> dict[str, Any]:
    """Give the same as data; what is not known is null."""
    return {
        "namespace": report.namespace or None,
        **_data(report.score, report.states),
        "services": [
            {
                "namespace": service.namespace,
                "name": service.name,
                **_data(service.score, service.states),
                "worstCheck": None if service.worst is None else _check_data(service.worst),
            }
            for service in report.services
        ],
    }


def _data(score: Score, states: Mapping[HealthState, int]) -> dict[str, Any]:
    return {
        "score": score.value,
        "trend": score.trend.value if score.trend else None,
        "checks": {"known": score.known, "total": score.total},
        "states": {state.value: states.get(state, 0) for state in HealthState},
    }


def _check_data(check: CheckScore) -> dict[str, Any]:
    return {"name": check.name, "state": check.mark.state.value, "score": check.mark.score}
