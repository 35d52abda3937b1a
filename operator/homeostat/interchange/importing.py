"""What came of objects of others: manifests that our own rules accept, and what is to be told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from homeostat.interchange.draft import Draft
from homeostat.interchange.reading import Foreign, Notes
from homeostat.interchange.structural import Severity
from homeostat.interchange.validation import check


@dataclass(slots=True)
class Import:
    """One object of another tool, and what came of it."""

    foreign: Foreign
    name: str
    notes: Notes
    drafts: list[Draft] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that came of files: manifests, lines for humans, and whether every object was imported."""

    manifests: tuple[dict[str, Any], ...]
    lines: tuple[str, ...]
    is_whole: bool


def outcome(imports: Sequence[Import], namespace: str) -> Outcome:
    """Check each draft by our rules, and part them: what they refuse is an error, never a manifest."""
    manifests: list[dict[str, Any]] = []
    taken: set[tuple[str, str]] = set()
    for one in imports:
        for draft in one.drafts:
            draft.namespace = draft.namespace or namespace
        _tell_apart(one, taken)
        manifests += _accepted(one)
    lines = tuple(line for one in imports for line in _lines(one))
    return Outcome(tuple(manifests), lines, not any(one.notes.errors for one in imports))


def _tell_apart(one: Import, taken: set[tuple[str, str]]) -> None:
    """Give drafts names of their own where others have them already, and the composites their members' names."""
    renamed: dict[str, str] = {}
    for draft in one.drafts:
        name, number = draft.name, 2
        while (draft.namespace, draft.name) in taken:
            draft.name = f"{name}-{number}"
            number += 1
        if draft.name != name:
            renamed[name] = draft.name
            one.notes.warn("metadata.name", f'"{name}" is taken already: "{draft.name}"')
        taken.add((draft.namespace, draft.name))
    for draft in one.drafts:
        for holder, key in _named(draft):
            holder[key] = renamed.get(holder[key], holder[key])


def _named(draft: Draft) -> list[tuple[dict[str, Any], str]]:
    """Give where a draft names others of the same object: members of a composite, experiments of a GameDay."""
    members = draft.spec.get("indicator", {}).get("composite", {}).get("members", [])
    return [*((member, "name") for member in members), *((step, "experiment") for step in draft.spec.get("steps", []))]


def _accepted(one: Import) -> list[dict[str, Any]]:
    accepted: list[dict[str, Any]] = []
    refused: set[str] = set()
    for draft in one.drafts:
        manifest = draft.manifest()
        problems = [problem for problem in check(manifest).problems if problem.severity is Severity.ERROR]
        one.notes.errors += [(f"{draft.name}: {problem.path}", f"{problem.message}: skipped") for problem in problems]
        lost = refused.intersection(holder[key] for holder, key in _named(draft))
        if lost:
            one.notes.errors.append((draft.name, f"without {', '.join(sorted(lost))} it is not whole: skipped"))
        if problems or lost:
            refused.add(draft.name)
        else:
            accepted.append(manifest)
    return accepted


def _lines(one: Import) -> Iterator[str]:
    where = f"{one.foreign.path}: {one.name}"
    for path, message in one.notes.warnings:
        yield f"{where}: {path}: {' '.join(message.split())}"
    for path, message in one.notes.errors:
        yield f"{where}: {path}: error: {' '.join(message.split())}"
