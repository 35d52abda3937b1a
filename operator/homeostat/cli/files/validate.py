"""`homeostat validate -f FILE …`: says of objects what the API server and the controllers would, without either."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeostat.cli.arguments import BadArguments
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.files.objects import BadInput, Given, objects
from homeostat.cli.parsers.validate import parser
from homeostat.cli.showing import show
from homeostat.cli.streams import complain, in_one_line
from homeostat.interchange.metadata import is_ours
from homeostat.interchange.references import cross_problems
from homeostat.interchange.structural import Problem, Severity
from homeostat.interchange.validation import Checked, check

VALID, INVALID = 0, 1
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Finding:
    """One object of a file, and all that is wrong with it."""

    given: Given
    checked: Checked
    problems: tuple[Problem, ...]


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run)


def _run(asked: Namespace) -> int:
    findings = _findings([file for path in _paths(asked) for file in _files(path)])
    if not show(_as_data(findings), asked.output, lambda: "".join(f"{line}\n" for line in _lines(findings))):
        return FAILED
    is_valid = all(problem.severity is Severity.WARNING for one in findings for problem in one.problems)
    if is_valid and asked.output == "text":
        complain([_summary(findings)], "")  # what is printed is problems alone: a script may count on it
    return VALID if is_valid else INVALID


def _paths(asked: Namespace) -> list[str]:
    """Give what is to be read, with or without -f. Raises BadArguments when nothing is named."""
    paths = [*asked.files, *asked.file]
    if not paths:
        raise BadArguments("validate: name a file: homeostat validate -f FILE, or - for standard input")
    return paths


def _files(path: str) -> list[str]:
    """Give the files that a path stands for. Raises BadInput."""
    folder = Path(path)
    if path == "-" or not folder.is_dir():
        return [path]
    found = sorted(str(one) for one in folder.iterdir() if one.suffix in _SUFFIXES)
    if not found:
        raise BadInput(f"{path}: no file in it that ends in {', '.join(_SUFFIXES)}")
    return found


def _findings(paths: Sequence[str]) -> list[Finding]:
    """Check all objects of ours. Raises BadInput when there is none, or a file cannot be read."""
    given = [one for path in paths for one in objects(path) if is_ours(one.body)]
    if not given:
        raise BadInput(f"{', '.join(paths)}: no object of homeostat in it")
    checked = [check(one.body) for one in given]
    return [
        Finding(one, its, (*its.problems, *more))
        for one, its, more in zip(given, checked, cross_problems(checked), strict=True)
    ]


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for one in findings:
        where = f"{one.given.path}:{one.given.place} {one.checked.kind}/{one.checked.name}"
        for problem in one.problems:
            warning = "warning: " if problem.severity is Severity.WARNING else ""
            message = " ".join(problem.message.split())
            yield in_one_line(f"{where}: {problem.path}: {warning}{message}")


def _summary(findings: Sequence[Finding]) -> str:
    """Say what was found valid: without a word one does not know whether anything was looked at."""
    kinds = sorted(Counter(one.checked.kind for one in findings).items())
    what = "1 object is" if len(findings) == 1 else f"{len(findings)} objects are"
    warnings = sum(len(one.problems) for one in findings)
    warned = f", with {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
    return f"{what} valid{warned}: {', '.join(f'{count} {kind}' for kind, count in kinds)}"


def _as_data(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {
            "file": one.given.path,
            "document": one.given.place,
            "kind": one.checked.kind,
            "namespace": one.checked.namespace,
            "name": one.checked.name,
            "problems": [
                {"severity": problem.severity.value, "path": problem.path, "message": problem.message}
                for problem in one.problems
            ],
        }
        for one in findings
    ]
