"""What a game day asks of a ChaosExperiment, written on the very version that it was decided on."""

from collections.abc import Mapping

from homeostat.api.chaos import KIND
from homeostat.core.action import AskExperiment, Outcome, Verb
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import resource_of
from homeostat.ports import Conflict

FIELD_MANAGER = "homeostat-gameday"
DONE = Outcome(Verb.DONE)


class ApiExperiments:
    """Writes annotations of ChaosExperiments."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def perform(self, action: AskExperiment) -> Outcome:
        """Write them; an answer that got lost is no reason to write them twice. Raises what `ports` names."""
        target = action.experiment
        path = resource_of(KIND).path(target.namespace, target.name)
        pinned = {"uid": target.uid, "resourceVersion": action.resource_version}
        try:
            await self._client.request(
                "PATCH",
                path,
                query={"fieldManager": FIELD_MANAGER},
                body={"metadata": {**pinned, "annotations": dict(action.annotations)}},
                content_type=MERGE_PATCH,
                urgency=Urgency.ACTION,
            )
        except Conflict:
            raw = await self._client.request("GET", path)
            known = raw["metadata"].get("annotations") or {}
            if raw["metadata"]["uid"] != target.uid or not _stand(action.annotations, known):
                raise
        return DONE


def _stand(wanted: Mapping[str, str | None], known: Mapping[str, str]) -> bool:
    return all(known.get(name) == value for name, value in wanted.items())
