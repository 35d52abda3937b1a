"""Secrets on the API server (`ports.Secrets`): each by its name. Never a list, never a watch."""

from homeostat.core.cluster import Secret
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import SECRET
from homeostat.kube.workloads.projections import secret_of
from homeostat.ports import Gone


class ApiSecrets:
    """`ports.Secrets` on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def read(self, namespace: str, name: str) -> Secret | None:
        """Read one; None when it is not there. Raises Unavailable or Forbidden."""
        try:
            return secret_of(await self._client.request("GET", SECRET.path(namespace, name)))
        except Gone:
            return None
