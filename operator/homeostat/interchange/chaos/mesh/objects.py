"""Objects of Chaos Mesh: those that break something, those that do it again, and those that put them in order."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from homeostat.interchange.chaos.experiment import Wishes, origin
from homeostat.interchange.chaos.mesh.single import SCHEDULE, WORKFLOW, drafts, of_schedule, tried
from homeostat.interchange.chaos.mesh.workflow import of_workflow
from homeostat.interchange.importing import Import
from homeostat.interchange.reading import Foreign, Notes, Source

GROUP: Final = "chaos-mesh.org"
_PAUSE: Final = "experiment.chaos-mesh.org/pause"


def is_known(body: object) -> bool:
    """Whether it is something of Chaos Mesh's."""
    return isinstance(body, dict) and str(body.get("apiVersion", "")).partition("/")[0] == GROUP


def convert(objects: Sequence[Foreign], wishes: Wishes) -> list[Import]:
    """Turn the objects of files into drafts of our experiments."""
    return [_converted(one, wishes) for one in objects if is_known(one.body)]


def _converted(one: Foreign, wishes: Wishes) -> Import:
    notes = Notes()
    whole = Source(one.body, "", notes)
    kind, _ = whole.text("kind"), whole.text("apiVersion")
    metadata, spec = whole.part("metadata"), whole.part("spec")
    source = origin("Chaos Mesh", kind, metadata)
    is_paused = source.annotations.pop(_PAUSE, "") == "true"
    found = Import(one, f"{kind or 'object'}/{source.name}", notes)
    if kind == WORKFLOW:
        found.drafts += of_workflow(spec, source, wishes)
    elif kind == SCHEDULE:
        found.drafts += tried(spec, partial(of_schedule, spec, source, wishes))
    else:
        found.drafts += tried(spec, partial(drafts, kind, spec, source, wishes))
    if is_paused:
        for made in found.drafts:
            made.spec["suspend"] = True
    whole.raw("status")
    whole.tell_rest()
    return found
