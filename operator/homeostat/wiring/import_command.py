"""`homeostat import openslo|sloth|pyrra FILE …`: prints objectives of other tools as ours, and tells what is lost."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from homeostat.interchange import openslo_import, pyrra, sloth
from homeostat.interchange.importing import Import, outcome
from homeostat.interchange.metadata import is_label_name
from homeostat.interchange.reading import Foreign
from homeostat.wiring.arguments import BadArguments, Parser
from homeostat.wiring.check_file import BadInput, objects
from homeostat.wiring.streams import as_yaml, complain, print_out

WHOLE, IN_PART, UNREADABLE = 0, 1, 2
_FORMATS: dict[str, tuple[str, Callable[[object], bool], Callable[[Sequence[Foreign]], list[Import]]]] = {
    "openslo": ("OpenSLO", openslo_import.is_known, openslo_import.convert),
    "sloth": ("Sloth", sloth.is_known, sloth.convert),
    "pyrra": ("Pyrra", pyrra.is_known, pyrra.convert),
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    try:
        asked = _asked(arguments)
        title, is_known, convert = _FORMATS[asked.format]
        found = [Foreign(one.path, one.place, one.body) for path in asked.files for one in objects(path)]
    except (BadArguments, BadInput) as error:
        complain([str(error)])
        return UNREADABLE
    known = [one for one in found if is_known(one.body)]
    if not known:
        complain([f"{', '.join(asked.files)}: nothing of {title} in it"])
        return UNREADABLE
    came = outcome(convert(known), asked.namespace)
    others = (one for one in found if not is_known(one.body))
    complain((f"{one.path}: document {one.place}: not of {title}: left out" for one in others), "")
    complain(came.lines, "")
    if not print_out(as_yaml(came.manifests) if came.manifests else ""):
        return UNREADABLE
    return WHOLE if came.is_whole else IN_PART


def _asked(arguments: Sequence[str]) -> Namespace:
    """Read the command line. Raises BadArguments."""
    asked = _parser().parse_args(arguments)
    if asked.namespace and not is_label_name(asked.namespace):
        raise BadArguments(f"import: no namespace can be called {asked.namespace}")
    return asked


def _parser() -> Parser:
    parser = Parser(
        prog="homeostat import",
        description="Print the objectives of another tool as ServiceLevelObjectives of homeostat. What is lost or "
        "changed is told on standard error, a line each.",
        epilog="Exit code: 0 all objectives were imported, 1 some were not, 2 a file cannot be read.",
    )
    parser.add_argument("format", choices=sorted(_FORMATS), help="whose objectives they are")
    parser.add_argument("files", nargs="+", metavar="FILE", help="YAML or JSON; - for standard input")
    parser.add_argument("-n", "--namespace", default="", help="namespace of objectives that name none")
    parser.add_argument("-o", "--output", choices=("yaml",), default="yaml", help="how to print")
    return parser
