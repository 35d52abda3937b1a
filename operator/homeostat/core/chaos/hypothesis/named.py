"""Which checks, objectives and queries an experiment looks at: what the shell must gather for it, by name."""

from collections.abc import Iterator

from homeostat.api.chaos import ChaosExperimentSpec


def watches(spec: ChaosExperimentSpec) -> tuple[str, ...]:
    """Name the HealthChecks of the hypothesis."""
    names = (part.health_check.name for part in spec.hypothesis if part.health_check is not None)
    return tuple(dict.fromkeys(names))


def objective_names(spec: ChaosExperimentSpec) -> tuple[str, ...]:
    """Name the objectives of the hypothesis, of the stop conditions, and of what is to be proved, each once."""
    return tuple(dict.fromkeys(_objectives(spec)))


def queries(spec: ChaosExperimentSpec) -> tuple[tuple[str, str], ...]:
    """Give the queries of the hypothesis, each with the condition that its value must satisfy."""
    parts = (part.promql for part in spec.hypothesis if part.promql is not None)
    return tuple((one.query, one.condition) for one in parts)


def policies(spec: ChaosExperimentSpec) -> tuple[str, ...]:
    """Name the RecoveryPolicies that are to be proved."""
    return tuple(proof.recovery_policy for proof in spec.proves if proof.recovery_policy is not None)


def _objectives(spec: ChaosExperimentSpec) -> Iterator[str]:
    for part in spec.hypothesis:
        if part.slo is not None:
            yield part.slo.name
    for stop in spec.stop_conditions:
        if stop.slo is not None:
            yield stop.slo.name
        if stop.budget is not None:
            yield stop.budget.slo
    for proof in spec.proves:
        if proof.slo is not None:
            yield proof.slo
