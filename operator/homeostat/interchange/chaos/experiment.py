"""Our ChaosExperiment in the making: a fault, its targets, and the steady state that others do not know of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.interchange.draft import Draft, dns_name, kept_annotations, kept_labels
from homeostat.interchange.reading import Notes, Source

KIND: Final = "ChaosExperiment"
UNKNOWN: Final = "steady-state"
"""The HealthCheck that an experiment names when nobody said which one tells of the steady state."""
NOT_KNOWN: Final = (
    f'what must hold is not known here: it names the HealthCheck "{UNKNOWN}" and is suspended; name yours, or use '
    "--health-check"
)
AT_ONCE: Final = "10s"
"""How long users are watched after a blow, which is over at once."""
IN_TURN: Final = "experiments on the same targets: they begin on request, one after the other"
MOST_HYPOTHESES: Final = 10
_OF_THE_SERVER: Final = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers", "ownerReferences",
    "selfLink",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wishes:
    """What whoever imports adds: the HealthChecks of the steady state, and the time of faults that have none."""

    health_checks: tuple[str, ...] = ()
    duration: str = ""


@dataclass(slots=True)
class Case:
    """One fault on the targets of one namespace; `hypotheses` are those which the other tool had itself."""

    fault: dict[str, Any]
    target: dict[str, Any]
    duration: str
    namespace: str = ""
    suffix: str = ""
    hypotheses: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """The object that experiments come from."""

    what: str
    name: str
    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]


def origin(tool: str, kind: str, metadata: Source) -> Origin:
    """Read the metadata of an object; what the server put there is no loss."""
    for name in _OF_THE_SERVER:
        metadata.raw(name)
    notes = metadata.notes
    name = metadata.text("name") or metadata.text("generateName").strip("-")
    metadata.raw("generateName")
    annotations = metadata.map("annotations")
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return Origin(
        what=f"{tool} {kind}/{name}",
        name=name,
        namespace=metadata.text("namespace"),
        labels=kept_labels(metadata.map("labels"), metadata.at("labels"), notes),
        annotations=kept_annotations(annotations, metadata.at("annotations"), notes),
    )


def draft(case: Case, source: Origin, wishes: Wishes, notes: Notes) -> Draft:
    """Make the manifest of a case. Without any hypothesis it is suspended, and that is told."""
    spec: dict[str, Any] = {
        "description": f"Imported from {source.what}"[:1024],
        "fault": case.fault,
        "target": case.target,
        "duration": case.duration,
        "hypothesis": _hypothesis(case.hypotheses, wishes, notes),
    } | case.more
    if not case.hypotheses and not wishes.health_checks:
        notes.warn("spec.hypothesis", NOT_KNOWN)
        spec["suspend"] = True
    name = f"{source.name}-{case.suffix}" if case.suffix else source.name
    return Draft(
        name=dns_name(name, "metadata.name", notes),
        spec=spec,
        namespace=case.namespace,
        labels=dict(source.labels),
        annotations=dict(source.annotations),
        kind=KIND,
    )


def on_request(more: dict[str, Any]) -> dict[str, Any]:
    """Let an experiment begin only on request; one with a schedule has its times."""
    return more if "schedule" in more else more | {"start": "OnRequest"}


def _hypothesis(own: Sequence[dict[str, Any]], wishes: Wishes, notes: Notes) -> list[dict[str, Any]]:
    """Give what must hold. A named check may break during the fault: no other tool ends a fault because of that."""
    names = wishes.health_checks or (() if own else (UNKNOWN,))
    checks = [{"healthCheck": {"name": name}, "duringFault": "MayBreak"} for name in names]
    whole = [*checks, *own]
    if len(whole) > MOST_HYPOTHESES:
        notes.warn("spec.hypothesis", f"only {MOST_HYPOTHESES} can be: {len(whole) - MOST_HYPOTHESES} are left out")
    return whole[:MOST_HYPOTHESES]
