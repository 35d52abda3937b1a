"""`homeostat rules -f slo.yaml`: prints the Prometheus rules of objectives, as the operator would install them."""

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from homeostat.api.meta import API_VERSION
from homeostat.api.objective import KIND, ServiceLevelObjectiveSpec
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.files.objects import BadInput, Given, objects
from homeostat.cli.parsers.rules import parser
from homeostat.cli.streams import complain, print_out
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import Emitted, emit
from homeostat.core.rules.holder import Holder, as_file, manifest
from homeostat.core.rules.queries import Inexpressible

WRITTEN, INCOMPLETE = 0, 1
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # what the API server lets an object be called


@dataclass(frozen=True, slots=True)
class Objective:
    """One ServiceLevelObjective of the file."""

    ref: Ref
    spec: ServiceLevelObjectiveSpec

    @property
    def name(self) -> str:
        """What complaints call it."""
        return f"{self.ref.namespace}/{self.ref.name}"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run)


def _run(asked: Namespace) -> int:
    written, faults = _written(list(read(asked.file, asked.namespace)))
    complain(faults)
    complain(f"{one.name}: note: {note}" for one, rules in written for note in rules.left_out)
    if written and not print_out(_text(written, asked.format)):
        return FAILED
    return INCOMPLETE if faults else WRITTEN


def read(path: str, namespace: str) -> Iterator[Objective]:
    """Read the objectives of a file. Raises BadInput, in one line."""
    found = [one for one in objects(path) if isinstance(one.body, dict) and one.body.get("kind") == KIND.kind]
    if not found:
        raise BadInput(f"{path}: no ServiceLevelObjective in it")
    for one in found:
        yield _objective(one, namespace)


def _objective(given: Given, namespace: str) -> Objective:
    metadata = given.body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, space = metadata.get("name"), metadata.get("namespace") or namespace or "default"
    if not all(isinstance(one, str) and _NAME.fullmatch(one) for one in (name, space)):
        raise BadInput(f"{given.path}:{given.place}: an objective needs a name and namespace that an object can have")
    where = f"{given.path}:{given.place} {KIND.kind}/{name}"
    if given.body.get("apiVersion") != API_VERSION:
        raise BadInput(f"{where}: apiVersion is not {API_VERSION}")
    try:
        spec = ServiceLevelObjectiveSpec.model_validate(given.body.get("spec"), extra="forbid")
    except ValidationError as error:
        raise BadInput(f"{where}: {_first(error)}") from error
    return Objective(Ref(KIND.kind, space, str(name), ""), spec)


def _first(error: ValidationError) -> str:
    """Say in one line what is wrong with a spec."""
    problems = error.errors(include_input=False, include_url=False)
    first, more = problems[0], len(problems) - 1
    place = ".".join(["spec", *map(str, first["loc"])])
    told = f"{place}: {'unknown field' if first['type'] == 'extra_forbidden' else first['msg']}"
    return " ".join(f"{told} (and {more} more)".split()) if more else " ".join(told.split())


def _written(given: Sequence[Objective]) -> tuple[list[tuple[Objective, Emitted]], list[str]]:
    """Write the rules of all that can have some; say of the others why they cannot."""
    written, faults = [], []
    for one in given:
        try:
            written.append((one, emit(one.spec, one.ref.namespace, one.ref.name)))
        except Inexpressible as error:
            faults.append(f"{one.name}: {error}")
    return written, faults


def _text(written: Sequence[tuple[Objective, Emitted]], form: str) -> str:
    if form == "prometheus":
        return as_file([group for _, rules in written for group in rules.groups])
    return "".join(f"---\n{yaml.safe_dump(_manifest(*one), sort_keys=False, width=10_000)}" for one in written)


def _manifest(one: Objective, rules: Emitted) -> dict[str, Any]:
    """Write the object without its owner: whoever applies it by hand owns it."""
    asked = one.spec.rules_.labels if one.spec.rules_ else {}
    body = manifest(Holder.PROMETHEUS_RULE, one.ref, rules.groups, asked)
    kept = {key: value for key, value in body["metadata"].items() if key in {"name", "namespace", "labels"}}
    kept["labels"] = dict(asked)  # it is not managed by the operator
    return body | {"metadata": kept}
