"""How `homeostat report` comes by a run of an experiment or of a game day, and prints its report."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import GameDayStatus
from homeostat.api.meta import Kind
from homeostat.cli.arguments import CommandError
from homeostat.cli.asked import name_of
from homeostat.cli.carrying_out import FAILED
from homeostat.cli.desk import noun
from homeostat.cli.files.objects import BadInput
from homeostat.cli.one_object import read_object
from homeostat.cli.showing import show
from homeostat.engine.objects import explain

Spec = TypeVar("Spec", ChaosExperimentSpec, GameDaySpec)
Status = TypeVar("Status", ChaosExperimentStatus, GameDayStatus)


@dataclass(frozen=True, slots=True)
class Reported(Generic[Spec, Status]):
    """What a report is about: the object, with the run that its status is about."""

    namespace: str
    name: str
    spec: Spec
    status: Status


def read(
    kind: Kind, models: tuple[type[Spec], type[Status]], asked: argparse.Namespace, text: str, run: str
) -> Reported[Spec, Status]:
    """Read the object `text` names, by its models of spec and status; `run` is what a run of it is called.

    Raises CommandError, and what `ports` has for the API server's answers.
    """
    name = name_of(text, kind, "report")
    body = read_object(kind, asked, name)
    try:
        spec, status = (
            models[0].model_validate(body.get("spec") or {}),
            models[1].model_validate(body.get("status") or {}),
        )
    except ValidationError as error:
        raise BadInput(f"the {noun(kind)} cannot be read: {explain(error, noun(kind))}") from error
    if not status.run_number:
        why = status.message or status.reason or "nothing has looked at it"
        raise CommandError(f"{name}: there was no {run} yet: {why}")
    return Reported(str(body["metadata"].get("namespace", asked.namespace)), name, spec, status)


def printed(asked: argparse.Namespace, data: dict[str, Any], markdown: Callable[[], str]) -> int:
    """Print the report as it was asked for; give the exit code."""
    output = "text" if asked.output == "markdown" else asked.output
    return 0 if show(data, output, markdown) else FAILED
