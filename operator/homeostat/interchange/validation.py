"""What would be said of an object: by the API server, by its schema and rules, and by the controller of its kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.meta import Kind, Model
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.acceptance import unimplemented
from homeostat.core.chaos.schedule import schedule_problem
from homeostat.core.health.plan import compile  # noqa: A004 - what one does to a plan
from homeostat.core.objective import calendar
from homeostat.core.probing.asking import Invalid
from homeostat.core.prometheus import queries as prometheus_queries
from homeostat.core.ref import Ref
from homeostat.interchange.metadata import KNOWN, kind_of, metadata_problems
from homeostat.interchange.rules import broken_rules
from homeostat.interchange.schema import Schema, root_schema
from homeostat.interchange.structural import Problem, nearest, unknown_fields, violations, with_defaults

_SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)  # what is never due from here on is never due
UNCHECKED: Final = "rules were not evaluated: what is wrong above comes first"


@dataclass(frozen=True, slots=True)
class Checked:
    """An object and what is wrong with it; `spec` is None where it cannot be understood."""

    kind: str
    namespace: str
    name: str
    problems: tuple[Problem, ...]
    spec: Model | None = None


def check(body: Mapping[str, Any]) -> Checked:
    """Check one object of ours, by itself."""
    whole = _text_keys(dict(body))
    metadata = whole.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, namespace = (str(metadata.get(field) or "") for field in ("name", "namespace"))
    kind = kind_of(whole)
    if isinstance(kind, Problem):
        return Checked(str(whole.get("kind") or "object"), namespace, name, (kind,))
    problems = [*metadata_problems(whole, kind), *_by_schema(whole, kind)]
    if any(problem.path.startswith("spec") or problem.blocks for problem in problems):
        return Checked(kind.kind, namespace, name, tuple(problems))
    try:
        spec = kind.spec.model_validate(with_defaults(whole["spec"], _schema(kind.kind)["properties"]["spec"]))
    except ValidationError as error:
        return Checked(kind.kind, namespace, name, (*problems, *_of_models(error)))
    return Checked(kind.kind, namespace, name, (*problems, *_by_controller(kind, spec, namespace, name)), spec)


def _text_keys(value: Any) -> Any:  # noqa: ANN401 - what YAML can hold
    """Give a value with the names of its fields as JSON has them: YAML takes `on` and `5` for no text."""
    if isinstance(value, dict):
        return {_text_key(name): _text_keys(inner) for name, inner in value.items()}
    return [_text_keys(inner) for inner in value] if isinstance(value, list) else value


def _text_key(name: object) -> str:
    return str(name).lower() if isinstance(name, bool) else str(name)


# --- the server -----------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _schema(kind: str) -> Schema:
    return root_schema(KNOWN[kind])


def _by_schema(whole: dict[str, Any], kind: Kind) -> Iterator[Problem]:
    known = ("apiVersion", "kind", "metadata", "spec", "status")
    yield from (Problem(name, f"unknown field{nearest(name, known)}") for name in whole if name not in known)
    spec = whole.get("spec")
    if not isinstance(spec, dict):
        yield Problem("spec", "required")
        return
    schema = _schema(kind.kind)["properties"]["spec"]
    yield from unknown_fields(spec, schema, "spec")
    full = with_defaults(spec, schema)
    found = list(violations(full, schema, "spec"))
    yield from found
    if any(problem.blocks for problem in found):
        yield Problem("spec", UNCHECKED)
    else:
        yield from broken_rules(full, schema, "spec", {problem.path for problem in found})


def _of_models(error: ValidationError) -> Iterator[Problem]:
    """Say what only the models know, such as that a month has no such day: the controllers would say it."""
    for one in error.errors(include_input=False, include_url=False):
        path = "spec" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in one["loc"])
        yield Problem(path, one["msg"].removeprefix("Value error, "))


# --- the controllers ------------------------------------------------------------------------------------


def _by_controller(kind: Kind, spec: Model, namespace: str, name: str) -> Iterator[Problem]:
    yield from (Problem(path, "not implemented in this release") for path in unimplemented(spec))
    yield from _zones(spec, "spec")
    if isinstance(spec, HealthCheckSpec):
        plan = compile(spec, Ref(kind.kind, namespace or "default", name or "check", ""))
        if isinstance(plan, Invalid):
            yield _refusal(plan)
    elif isinstance(spec, ServiceLevelObjectiveSpec):
        yield from _of_objective(spec)
    elif isinstance(spec, ChaosExperimentSpec):
        yield from _of_experiment(spec)


def _refusal(plan: Invalid) -> Problem:
    path, _, message = plan.message.partition(": ")
    return Problem(path, message) if path.startswith("spec") and message else Problem("spec", plan.message)


def _zones(value: object, path: str) -> Iterator[Problem]:
    """Name the time zones that there are not, wherever a spec has one."""
    if isinstance(value, Model):
        for name, field in type(value).model_fields.items():
            inner, inner_path = getattr(value, name), f"{path}.{field.alias or name}"
            if name == "time_zone" and not is_zone(str(inner)):
                yield Problem(inner_path, f'no such time zone: "{inner}"')
            yield from _zones(inner, inner_path)
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _zones(inner, f"{path}[{index}]")


def is_zone(name: str) -> bool:
    """Whether there is such a time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _of_experiment(spec: ChaosExperimentSpec) -> Iterator[Problem]:
    trouble = schedule_problem(spec.schedule, _SOME_DAY)
    if trouble and spec.schedule and is_zone(spec.schedule.time_zone):  # else that was told
        path, _, message = trouble[1].partition(" ")
        yield Problem(path, message)


def _of_objective(spec: ServiceLevelObjectiveSpec) -> Iterator[Problem]:
    yield from (Problem(path, message) for path, message in prometheus_queries.problems(spec.indicator))
    trouble = calendar.problem(spec.window)
    if trouble and trouble[0] != "InvalidTimeZone":  # that was told
        path, _, message = trouble[1].rstrip(".").partition(" ")
        yield Problem(path, message)
