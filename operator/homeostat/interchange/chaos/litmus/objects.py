"""Objects of Litmus: engines, engines again and again, and the definitions that give them defaults."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeostat.interchange.chaos.experiment import Wishes, origin
from homeostat.interchange.chaos.litmus.engine import RUNS_BY, Defaults, Engine, environment
from homeostat.interchange.chaos.litmus.schedule import schedule
from homeostat.interchange.importing import Import
from homeostat.interchange.reading import Foreign, Notes, Source, Unusable

GROUP, ARGO = "litmuschaos.io", "argoproj.io"
ENGINE, SCHEDULE, DEFINITION = "ChaosEngine", "ChaosSchedule", "ChaosExperiment"
_WHY_NOT: Final = {
    "ChaosResult": "it is what came of a run, not an experiment",
    "Workflow": "an Argo workflow: give the ChaosEngines inside it as files, and put them in order as a GameDay",
    "CronWorkflow": "an Argo workflow: give the ChaosEngines inside it as files, with a schedule each",
    "WorkflowTemplate": "an Argo workflow: give the ChaosEngines inside it as files",
    "ClusterWorkflowTemplate": "an Argo workflow: give the ChaosEngines inside it as files",
}


def is_known(body: object) -> bool:
    """Whether it is something of Litmus, or a workflow of Argo, in which Litmus wraps its engines."""
    if not isinstance(body, dict):
        return False
    group = str(body.get("apiVersion", "")).partition("/")[0]
    return group == GROUP or (group == ARGO and str(body.get("kind", "")) in _WHY_NOT)


def convert(objects: Sequence[Foreign], wishes: Wishes) -> list[Import]:
    """Turn the engines of files into drafts of our experiments; definitions among them give defaults."""
    known = [one for one in objects if is_known(one.body)]
    defaults: dict[str, Mapping[str, Any]] = {}
    imports = [_definition(one, defaults) for one in known if one.body.get("kind") == DEFINITION]
    return [*imports, *(_converted(one, defaults, wishes) for one in known if one.body.get("kind") != DEFINITION)]


def _definition(one: Foreign, defaults: dict[str, Mapping[str, Any]]) -> Import:
    """Read what an experiment's environment is when the engine says nothing else."""
    notes = Notes()
    whole = Source(one.body, "", notes)
    name = whole.part("metadata").text("name")
    notes.warn("spec.definition.env", "no run by itself: taken for the defaults of engines in what was given")
    try:
        defaults[name] = environment(whole.part("spec").part("definition"))
    except Unusable as error:
        notes.errors.append((error.path, f"{error.message}: skipped"))
    return Import(one, f"{DEFINITION}/{name}", notes)


def _converted(one: Foreign, defaults: Defaults, wishes: Wishes) -> Import:
    notes = Notes()
    whole = Source(one.body, "", notes)
    kind, _ = whole.text("kind"), whole.text("apiVersion")
    source = origin("Litmus", kind, whole.part("metadata"))
    found = Import(one, f"{kind or 'object'}/{source.name}", notes)
    if kind not in {ENGINE, SCHEDULE}:
        why = _WHY_NOT.get(kind) or f'"{kind}" is no {ENGINE}'
        notes.errors.append(("kind", f"{why}: skipped"))
        return found
    spec = whole.part("spec")
    try:
        engine, more = (spec, {}) if kind == ENGINE else _again(spec)
        found.drafts += Engine(engine, source, defaults, wishes, more).drafts()
    except Unusable as error:
        notes.errors.append((error.path, f"{error.message}: skipped"))
        spec.drop()
    whole.raw("status")
    whole.tell_rest()
    return found


def _again(spec: Source) -> tuple[Source, dict[str, Any]]:
    """Give the engine of a ChaosSchedule, and when it runs."""
    spec.lose(RUNS_BY, "chaosServiceAccount")
    if spec.text("concurrencyPolicy") == "Allow":
        spec.notes.warn(spec.at("concurrencyPolicy"), "runs of an experiment never overlap")
    more = schedule(spec.part("schedule"))
    is_off = spec.text("scheduleState") in {"halt", "stop", "complete"}
    return spec.part("engineTemplateSpec"), more | ({"suspend": True} if is_off else {})
