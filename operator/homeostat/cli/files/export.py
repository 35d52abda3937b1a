"""`homeostat export openslo FILE …`: prints our objectives as OpenSLO v1, and tells what that has no words for."""

from argparse import Namespace
from collections.abc import Sequence

from homeostat.api.objective import KIND, ServiceLevelObjectiveSpec
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.files.objects import BadInput, Given, objects
from homeostat.cli.parsers.export import parser
from homeostat.cli.streams import as_yaml, complain, print_out
from homeostat.interchange.metadata import is_ours
from homeostat.interchange.openslo_export import Exported
from homeostat.interchange.reading import Notes
from homeostat.interchange.structural import Severity
from homeostat.interchange.validation import check

WHOLE, IN_PART = 0, 1


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run)


def _run(asked: Namespace) -> int:
    given = [one for path in asked.files for one in objects(path) if _is_objective(one.body)]
    if not given:
        raise BadInput(f"{', '.join(asked.files)}: no {KIND.kind} in it")
    exported = Exported()
    are_whole = [_add(one, exported) for one in given]
    if not print_out(as_yaml(exported.documents()) if exported.slos else ""):
        return FAILED
    return WHOLE if all(are_whole) else IN_PART


def _is_objective(body: object) -> bool:
    return is_ours(body) and isinstance(body, dict) and body.get("kind") == KIND.kind


def _add(one: Given, exported: Exported) -> bool:
    """Export one objective, and tell what is lost; False for one that is not valid."""
    checked = check(one.body)
    where = f"{one.path}: {KIND.kind}/{checked.name}"
    errors = [problem for problem in checked.problems if problem.severity is Severity.ERROR]
    if errors or not isinstance(checked.spec, ServiceLevelObjectiveSpec):
        complain((f"{where}: {problem.path}: error: {problem.message}: skipped" for problem in errors), "")
        return False
    notes = Notes()
    exported.add(one.body["metadata"], checked.spec, notes)
    complain((f"{where}: {path}: {message}" for path, message in notes.warnings), "")
    return True
