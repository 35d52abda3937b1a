"""What objects say of each other: names that lead nowhere, circles, and things given twice. Within what was given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.core.health.dependencies import find_cycle
from homeostat.core.objective.burn import is_sampled, pairs
from homeostat.interchange.structural import Problem, Severity
from homeostat.interchange.validation import Checked

Known = dict[tuple[str, str, str], Checked]
Graphs = dict[tuple[str, str], dict[str, tuple[str, ...]]]
"""Of each kind and namespace: whom each object builds on."""
CHECK, OBJECTIVE, POLICY = "HealthCheck", "ServiceLevelObjective", "RecoveryPolicy"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object that another names, and where."""

    path: str
    kind: str
    name: str


def cross_problems(objects: Sequence[Checked]) -> list[list[Problem]]:
    """Give for each object what is wrong with it beside the others."""
    known = {(one.kind, one.namespace, one.name): one for one in objects}
    seen: set[tuple[str, str, str]] = set()
    graphs = _graphs(objects)
    found: list[list[Problem]] = []
    for one in objects:
        identity = (one.kind, one.namespace, one.name)
        problems = [*_twice(one, is_seen=identity in seen), *_absent(one, known), *_circle(one, graphs)]
        found.append([*problems, *_unsampled(one, known)])
        seen.add(identity)
    return found


def _twice(one: Checked, *, is_seen: bool) -> Iterator[Problem]:
    if is_seen and one.name:
        yield Problem("metadata.name", "given before: the later one replaces it", Severity.WARNING)


def _absent(one: Checked, known: Known) -> Iterator[Problem]:
    for reference in references(one):
        if (reference.kind, one.namespace, reference.name) not in known:
            message = f'there is no {reference.kind} "{reference.name}" of this namespace in what was given'
            yield Problem(reference.path, message, Severity.WARNING)


def references(one: Checked) -> Iterator[Reference]:
    """Give all that an object names."""
    match one.spec:
        case HealthCheckSpec():
            for index, ref in enumerate(one.spec.depends_on):
                yield Reference(f"spec.dependsOn[{index}].name", CHECK, ref.name)
        case ServiceLevelObjectiveSpec():
            yield from _of_objective(one.spec)
        case RecoveryPolicySpec():
            yield from _of_policy(one.spec)
        case ChaosExperimentSpec():
            yield from _of_experiment(one.spec)
        case _:
            return


def _of_objective(spec: ServiceLevelObjectiveSpec) -> Iterator[Reference]:
    check, composite = spec.indicator.health_check, spec.indicator.composite
    if check:
        yield Reference("spec.indicator.healthCheck.name", CHECK, check.name)
    for index, member in enumerate(composite.members if composite else ()):
        yield Reference(f"spec.indicator.composite.members[{index}].name", OBJECTIVE, member.name)


def _of_policy(spec: RecoveryPolicySpec) -> Iterator[Reference]:
    for index, trigger in enumerate(spec.triggers):
        if trigger.health_check:
            yield Reference(f"spec.triggers[{index}].healthCheck.name", CHECK, trigger.health_check.name)
        if trigger.slo:
            yield Reference(f"spec.triggers[{index}].slo.name", OBJECTIVE, trigger.slo.name)
    for index, dependency in enumerate(spec.depends_on):
        yield Reference(f"spec.dependsOn[{index}].healthCheck.name", CHECK, dependency.health_check.name)


def _of_experiment(spec: ChaosExperimentSpec) -> Iterator[Reference]:
    for index, part in enumerate(spec.hypothesis):
        if part.health_check:
            yield Reference(f"spec.hypothesis[{index}].healthCheck.name", CHECK, part.health_check.name)
        if part.slo:
            yield Reference(f"spec.hypothesis[{index}].slo.name", OBJECTIVE, part.slo.name)
    for index, stop in enumerate(spec.stop_conditions):
        if stop.slo:
            yield Reference(f"spec.stopConditions[{index}].slo.name", OBJECTIVE, stop.slo.name)
        if stop.budget:
            yield Reference(f"spec.stopConditions[{index}].budget.slo", OBJECTIVE, stop.budget.slo)
    yield from _of_proofs(spec)


def _of_proofs(spec: ChaosExperimentSpec) -> Iterator[Reference]:
    for index, proof in enumerate(spec.proves):
        if proof.recovery_policy:
            yield Reference(f"spec.proves[{index}].recoveryPolicy", POLICY, proof.recovery_policy)
        if proof.slo:
            yield Reference(f"spec.proves[{index}].slo", OBJECTIVE, proof.slo)


# --- circles --------------------------------------------------------------------------------------------

_CIRCULAR = {CHECK: "spec.dependsOn", OBJECTIVE: "spec.indicator.composite.members"}


def _circle(one: Checked, graphs: Graphs) -> Iterator[Problem]:
    way = find_cycle(graphs.get((one.kind, one.namespace), {}), one.name)
    if way:
        yield Problem(_CIRCULAR[one.kind], f"leads back to itself: {' -> '.join(way)}")


def _graphs(objects: Sequence[Checked]) -> Graphs:
    graphs: Graphs = {}
    for one in objects:
        if one.kind in _CIRCULAR:
            names = tuple(reference.name for reference in references(one) if reference.kind == one.kind)
            graphs.setdefault((one.kind, one.namespace), {})[one.name] = names
    return graphs


# --- short windows --------------------------------------------------------------------------------------


def _unsampled(one: Checked, known: Known) -> Iterator[Problem]:
    """Name the alerts whose short window is too short for how often there is news: they never fire (S3)."""
    if not isinstance(one.spec, ServiceLevelObjectiveSpec):
        return
    spec = one.spec
    interval = _interval(one, spec, known)
    listed = pairs(spec.alerting.burn_rates, timedelta(0)) if spec.alerting.burn_rates else ()
    for pair in listed:
        if not is_sampled(pair, interval):
            yield Problem(
                "spec.alerting.burnRates",
                f"{pair.name} never fires: its short window has less than two results",
                Severity.WARNING,
            )


def _interval(one: Checked, spec: ServiceLevelObjectiveSpec, known: Known) -> timedelta:
    indicator = spec.indicator
    if indicator.prometheus:
        return indicator.prometheus.resolution
    check = known.get((CHECK, one.namespace, indicator.health_check.name)) if indicator.health_check else None
    return check.spec.interval if check and isinstance(check.spec, HealthCheckSpec) else timedelta(0)
