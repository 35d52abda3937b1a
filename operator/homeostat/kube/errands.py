"""What is asked of others on behalf of a policy: a Job to run, a URL to call."""

from homeostat.core.decision import CallWebhook, Outcome, RunJob, Verb
from homeostat.kube.client import ApiClient


class Errands:
    """Runs Jobs and calls webhooks."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def perform(self, action: RunJob | CallWebhook) -> Outcome:
        """Do one errand. Raises what `ports` names."""
        return Outcome(Verb.REFUSED, "Unsupported", f"a {type(action).__name__} cannot be done")
