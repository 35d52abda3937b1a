"""Finds the fault agents that still run in pods: by the names of their containers, page by page."""

from dataclasses import dataclass

from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import POD
from homeostat.kube.workloads.projections import pod_of


@dataclass(frozen=True, slots=True)
class AgentLeft:
    """An agent that has not ended: the pod, and the name of its container."""

    pod: Ref
    container: str


async def agents_left(client: ApiClient, namespace: str) -> tuple[AgentLeft, ...]:
    """List the agents that have not ended, of a namespace or ("") of all. Raises Unavailable or Forbidden."""
    found: list[AgentLeft] = []
    async for page in client.pages(POD.path(namespace)):
        for pod in map(pod_of, page):
            if pod.phase not in {"Succeeded", "Failed"}:
                found += [AgentLeft(pod.ref, one.name) for one in pod.agents if one.state != "Ended"]
    return tuple(found)
