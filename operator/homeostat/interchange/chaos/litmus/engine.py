"""ChaosEngine: each experiment of it, on each of its targets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.chaos.experiment import IN_TURN, Case, Origin, Wishes, draft, on_request
from homeostat.interchange.chaos.litmus import targets
from homeostat.interchange.chaos.litmus.faults import KNOWN, WHY_NOT, Known
from homeostat.interchange.chaos.litmus.probes import hypotheses
from homeostat.interchange.draft import Draft
from homeostat.interchange.reading import Source, Unusable

Defaults = Mapping[str, Mapping[str, Any]]
"""The environment of each experiment that is defined in the files."""
RUNS_BY: Final = "no pods of Litmus run it here"
_HOW: Final = (
    "LIB", "LIB_IMAGE", "TC_IMAGE", "STRESS_IMAGE", "CONTAINER_RUNTIME", "SOCKET_PATH", "PROXY_PORT",
    "NETWORK_INTERFACE", "DEFAULT_HEALTH_CHECK", "CHAOS_KILL_COMMAND", "CHAOS_INJECT_COMMAND", "STATUS_CHECK_DELAY",
    "STATUS_CHECK_TIMEOUT", "CHAOS_SERVICE_ACCOUNT", "LIB_IMAGE_PULL_POLICY", "SIDECAR_IMAGE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine, and all that its experiments share."""

    spec: Source
    source: Origin
    defaults: Defaults
    wishes: Wishes
    more: dict[str, Any]

    def drafts(self) -> Iterator[Draft]:
        """Make the drafts of each experiment; what one of them lacks is an error of that one. Raises Unusable."""
        spec = self.spec
        spec.lose(
            RUNS_BY, "chaosServiceAccount", "components", "jobCleanUpPolicy", "terminationGracePeriodSeconds",
            "defaultHealthCheck", "monitoring", "annotationCheck",
        )  # fmt: skip
        spec.lose("other applications are not watched: name their HealthChecks", "auxiliaryAppInfo")
        more = dict(self.more)
        if spec.text("engineState") == "stop":
            more["suspend"] = True
        chosen = targets.apps(spec, self.source.namespace)
        experiments = spec.parts("experiments")
        if not experiments:
            raise Unusable(spec.at("experiments"), "there are none")
        if len(experiments) > 1:
            spec.notes.warn(spec.at("experiments"), f"{len(experiments)} {IN_TURN}")
            more = on_request(more)
        for experiment in experiments:
            try:
                cases = self._cases(experiment, chosen)
            except Unusable as error:
                experiment.drop()
                spec.notes.errors.append((error.path, f"{error.message}: skipped"))
                continue
            name = experiment.text("name") if len(experiments) > 1 else ""
            for number, case in enumerate(cases, 1):
                case.more |= more
                case.namespace = case.namespace or self.source.namespace
                case.suffix = "-".join(part for part in (name, str(number) if len(cases) > 1 else "") if part)
                yield draft(case, self.source, self.wishes, spec.notes)

    def _cases(self, experiment: Source, chosen: Sequence[targets.App]) -> list[Case]:
        """Give what one experiment breaks, once for each of its targets. Raises Unusable."""
        name = experiment.text("name")
        known = KNOWN.get(name)
        if known is None:
            raise Unusable(
                experiment.at("name"), f'"{name}" has no counterpart: {WHY_NOT.get(name, "it is not known")}'
            )
        spec = experiment.part("spec")
        components = spec.part("components")
        own = {**self.defaults.get(name, {}), **environment(components)}
        env = components.adopt(
            Source({key: value for key, value in own.items() if value != ""}, components.at("env"), spec.notes)
        )
        fault = known.fault(env)
        aims = _aims(known, chosen, env, self.spec)
        lasts, more = _duration(known, env, self.wishes), _ramp(env)
        _tell_rest(env, components)
        held = hypotheses(spec.parts("probe"))
        return [Case(fault, aim, lasts, where, hypotheses=list(held), more=dict(more)) for where, aim in aims]


def environment(owner: Source) -> dict[str, Any]:
    """Give the environment of an experiment or a definition; raises Unusable for a value that stands elsewhere."""
    found: dict[str, Any] = {}
    for entry in owner.parts("env"):
        name = entry.text("name")
        if not name or "valueFrom" in entry:
            raise Unusable(entry.path, "a name and a value are needed: what stands elsewhere is not read")
        found[name] = entry.text("value")
    return found


def _aims(known: Known, chosen: Sequence[targets.App], env: Source, spec: Source) -> list[tuple[str, Any]]:
    """Give the namespace and `spec.target` of each target."""
    if known.kind == "Node":
        return [("", target) for target in targets.nodes(env)]
    if not chosen:
        raise Unusable(spec.at("appinfo.applabel"), "there is none, and targets are chosen by their labels here")
    if known.kind == "Pod":
        return [(app.namespace, targets.pods(app, env)) for app in chosen]
    return [(app.namespace, targets.workload(app)) for app in chosen]


def _duration(known: Known, env: Source, wishes: Wishes) -> str:
    if "TOTAL_CHAOS_DURATION" in env:
        return strict.figure(env, "TOTAL_CHAOS_DURATION", units.seconds)
    lasts = wishes.duration or f"{known.seconds}s"
    env.notes.warn(env.at("TOTAL_CHAOS_DURATION"), f"there is none: {lasts}")
    return lasts


def _ramp(env: Source) -> dict[str, str]:
    if "RAMP_TIME" not in env:
        return {}
    env.notes.warn(env.at("RAMP_TIME"), "how long the hypothesis must hold before the fault; no wait after it")
    return {"steadyFor": strict.figure(env, "RAMP_TIME", units.seconds)}


def _tell_rest(env: Source, components: Source) -> None:
    """Tell what of the environment and beside it is about Litmus itself."""
    how = [name for name in _HOW if name in env]
    for name in how:
        env.raw(name)
    if how:
        env.notes.warn(env.path, f"about how Litmus does it, and not needed here: {', '.join(how)}")
    env.lose("done once, not again and again", "CHAOS_INTERVAL")
    if env.text("SEQUENCE").lower() == "serial":
        env.notes.warn(env.at("SEQUENCE"), "all targets are met at once")
    env.lose("the fault is of the whole pod, not of single containers", "TARGET_CONTAINER")
    components.lose(
        RUNS_BY, "configMaps", "secrets", "experimentAnnotations", "experimentImage", "experimentImagePullSecrets",
        "nodeSelector", "statusCheckTimeouts", "resources", "tolerations",
    )  # fmt: skip
