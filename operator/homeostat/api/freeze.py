"""Freeze: what must stop now, cluster-wide, and why."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import Column, Kind, ListSet, Model, Rule, Status, Time

NamespaceName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
MOST_LISTED = 100


class Activity(StrEnum):
    """What of homeostat a Freeze can stop. Measuring is never stopped."""

    CHAOS = "Chaos"
    RECOVERY = "Recovery"


class FreezeSpec(Model):
    """What stops, where, why and until when."""

    stops: Annotated[tuple[Activity, ...], Field(min_length=1, max_length=2), ListSet()]
    """What must stop: Chaos (running experiments are undone, none starts), Recovery (no policy acts)."""
    reason: Annotated[
        str,
        Field(min_length=1, max_length=512),
        Rule("self.trim().size() > 0", "must say why: blank space is no reason"),
    ]
    """Why, for whoever finds something stopped."""
    until: Time | None = None
    """When the freeze ends by itself; without it, when it is deleted."""
    namespaces: Annotated[tuple[NamespaceName, ...], Field(max_length=256), ListSet()] = ()
    """The namespaces it holds in; empty means the whole cluster."""


class StoppedObject(Model):
    """One object that a freeze stopped."""

    kind: Annotated[str, Field(min_length=1, max_length=63)]
    """Kind of the stopped object: ChaosExperiment, GameDay or RecoveryPolicy."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """Namespace of the stopped object."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the stopped object."""


class FreezeStatus(Status):
    """Whether the freeze is in force, and what it stopped."""

    engaged: bool = False
    """Whether the freeze is in force now."""
    since: Time | None = None
    """When it last came into force."""
    stopped: Annotated[tuple[StoppedObject, ...], Field(max_length=MOST_LISTED)] = ()
    """What it has stopped since then, by kind, namespace and name; the first 100 of it."""


KIND = Kind(
    kind="Freeze",
    plural="freezes",
    singular="freeze",
    short_names=(),
    spec=FreezeSpec,
    status=FreezeStatus,
    columns=(
        Column("Stops", ".spec.stops", description="What must stop."),
        Column("Engaged", ".status.engaged", "boolean", description="Whether it is in force now."),
        Column("Until", ".spec.until", description="When it ends by itself."),
        Column("Reason", ".spec.reason", description="Why."),
        Column("Age", ".metadata.creationTimestamp", "date", description="When it was created."),
    ),
    description=(
        "A Freeze stops chaos experiments, recoveries or both, in the whole cluster or in some namespaces, "
        "until it is deleted or its time has come. "
        "What it stopped does not resume by itself: an experiment needs a new run."
    ),
    is_namespaced=False,
)
