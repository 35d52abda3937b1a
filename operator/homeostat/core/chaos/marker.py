"""The marker on a target: an annotation by which a fault is found and undone without any record of ours."""

from typing import Annotated

from pydantic import Field, ValidationError

from homeostat.api.chaos import MARKER
from homeostat.api.meta import Model
from homeostat.core.cluster import Workload

Replicas = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]


class Marker(Model):
    """Which experiment and run holds the fault, what the replicas were, and what it set them to."""

    experiment: Annotated[str, Field(min_length=1, max_length=64)]
    """Uid of the ChaosExperiment."""
    run: Annotated[int, Field(strict=True, ge=1)]
    """Number of its run."""
    original: Replicas
    """Replicas before the fault."""
    to: Replicas
    """Replicas that the fault set."""

    def text(self) -> str:
        """Write it as the annotation's value."""
        return self.model_dump_json()


def marker_on(workload: Workload) -> Marker | None:
    """Read the marker; None when there is none or it is not one of ours: what we cannot read we do not undo."""
    text = dict(workload.annotations).get(MARKER)
    if text is None:
        return None
    try:
        return Marker.model_validate_json(text)
    except ValidationError:
        return None


def is_marked(workload: Workload) -> bool:
    """Whether any marker stands on it, readable or not."""
    return MARKER in dict(workload.annotations)
