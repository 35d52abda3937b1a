"""`homeostat import TOOL FILE …`: prints objectives and experiments of other tools as ours, and tells what is lost."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homeostat.cli.arguments import BadArguments
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.files.objects import BadInput, objects
from homeostat.cli.parsers.imports import parser
from homeostat.cli.streams import as_yaml, complain, print_out
from homeostat.interchange import openslo_import, pyrra, sloth
from homeostat.interchange.chaos import units
from homeostat.interchange.chaos.experiment import Wishes
from homeostat.interchange.chaos.litmus import objects as litmus
from homeostat.interchange.chaos.mesh import objects as chaos_mesh
from homeostat.interchange.importing import Import, outcome
from homeostat.interchange.metadata import is_label_name
from homeostat.interchange.reading import Foreign

WHOLE, IN_PART = 0, 1
Convert = Callable[[Sequence[Foreign], Wishes], list[Import]]


@dataclass(frozen=True, slots=True)
class _Format:
    """A tool whose objects can be read."""

    title: str
    is_known: Callable[[object], bool]
    convert: Convert
    is_chaos: bool = False


_FORMATS: dict[str, _Format] = {
    "openslo": _Format("OpenSLO", openslo_import.is_known, lambda found, _: openslo_import.convert(found)),
    "sloth": _Format("Sloth", sloth.is_known, lambda found, _: sloth.convert(found)),
    "pyrra": _Format("Pyrra", pyrra.is_known, lambda found, _: pyrra.convert(found)),
    "chaos-mesh": _Format("Chaos Mesh", chaos_mesh.is_known, chaos_mesh.convert, is_chaos=True),
    "litmus": _Format("Litmus", litmus.is_known, litmus.convert, is_chaos=True),
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run)


def _run(asked: Namespace) -> int:
    if asked.namespace and not is_label_name(asked.namespace):
        raise BadArguments(f"import: no namespace can be called {asked.namespace}")
    tool, wishes = _FORMATS[asked.format], _wishes(asked)
    found = [Foreign(one.path, one.place, one.body) for path in asked.files for one in objects(path)]
    known = [one for one in found if tool.is_known(one.body)]
    if not known:
        raise BadInput(f"{', '.join(asked.files)}: nothing of {tool.title} in it")
    came = outcome(tool.convert(known, wishes), asked.namespace)
    others = (one for one in found if not tool.is_known(one.body))
    complain((f"{one.path}: document {one.place}: not of {tool.title}: left out" for one in others), "")
    complain(came.lines, "")
    if not print_out(as_yaml(came.manifests) if came.manifests else ""):
        return FAILED
    return WHOLE if came.is_whole else IN_PART


def _wishes(asked: Namespace) -> Wishes:
    """Read what is to be added to experiments. Raises BadArguments."""
    if not _FORMATS[asked.format].is_chaos and (asked.health_check or asked.duration):
        raise BadArguments(f"import: --health-check and --duration are of experiments, and {asked.format} has none")
    try:
        return Wishes(tuple(dict.fromkeys(asked.health_check)), units.go(asked.duration) if asked.duration else "")
    except ValueError as error:
        raise BadArguments(f"import: --duration: {error}") from error
