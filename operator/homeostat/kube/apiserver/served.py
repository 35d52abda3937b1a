"""What definitions of our kinds the API server serves: its OpenAPI document, which everybody may read."""

from collections.abc import Mapping

from homeostat.api.meta import API_VERSION
from homeostat.core.served import Schema, schemas_of
from homeostat.kube.apiserver.client import ApiClient
from homeostat.ports import Gone

PATH = f"/openapi/v3/apis/{API_VERSION}"


async def served_schemas(client: ApiClient) -> Mapping[str, Schema]:
    """Read the schemas of our kinds; none where none is installed. Raises Unavailable, Forbidden or Rejected."""
    try:
        return schemas_of(await client.request("GET", PATH))
    except Gone:
        return {}
