"""Changes of what others own that can be taken back: templates, fields, nodes, sizes; each on the version it was meant for."""

from homeostat.core.decision import Outcome, PatchObject, ResizePod, SetUnschedulable, UndoRollout, Verb
from homeostat.kube.client import ApiClient

Change = UndoRollout | PatchObject | SetUnschedulable | ResizePod


class ApiChanges:
    """Carries out changes on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def perform(self, action: Change) -> Outcome:
        """Carry out one change. Raises what `ports` names."""
        return Outcome(Verb.REFUSED, "Unsupported", f"a {type(action).__name__} cannot be done")
