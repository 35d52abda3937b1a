"""Names of objects in the cluster, for a human who pressed TAB: soon, or none."""

import argparse
import asyncio
from collections.abc import Mapping

from homeostat.cli.asked import credentials_of
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.credentials import CredentialsError
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable

MOST = "500"


def names(place: Mapping[str, str], path: str, seconds: float) -> list[str]:
    """List the names of what is at a path of the API server, `{namespace}` filled in. None where it does not answer."""
    try:
        return asyncio.run(_names(place, path, seconds))
    except (CredentialsError, Forbidden, Gone, Rejected, Unavailable, TimeoutError):
        return []


async def _names(place: Mapping[str, str], path: str, seconds: float) -> list[str]:
    credentials = credentials_of(argparse.Namespace(kubeconfig=place["kubeconfig"], context=place["context"]))
    namespace = place["namespace"] or credentials.namespace
    async with asyncio.timeout(seconds), ApiClient(credentials, patience=Patience(seconds, seconds)) as client:
        found = await client.request("GET", path.format(namespace=namespace), query={"limit": MOST})
    return sorted(str(one["metadata"]["name"]) for one in found.get("items") or ())
