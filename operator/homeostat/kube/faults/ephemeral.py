"""Fault agents, put into pods as ephemeral containers, with the capabilities of one fault and no others.

Capabilities take root inside the container; an agent that needs none is nobody, as the strictest Pod Security asks.
Such a container stays listed in its pod for as long as the pod lives, and is never changed: one of the same name that
is there is the very same order, given before.
"""

from collections.abc import Mapping
from typing import Any, Final

from homeostat.core.action import Outcome, StartAgent, Verb
from homeostat.core.orders import NEEDS, Order, needs_of
from homeostat.kube.apiserver.client import STRATEGIC_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import POD
from homeostat.ports import Conflict, Gone, Rejected

Raw = Mapping[str, Any]

COMMAND: Final = ("python3", "-m", "homeostat.agent")
NOBODY: Final = 65532
_ROOT: Final = 0
_MANAGER: Final = "homeostat-actions"
DONE: Final = Outcome(Verb.DONE)
NO_IMAGE: Final = Outcome(Verb.REFUSED, "NoAgentImage", "no image for agents is set: HOMEOSTAT_AGENT_IMAGE")
NO_SUCH_FAULT: Final = Outcome(Verb.REFUSED, "Unsupported", "no agent can do this")
NO_EPHEMERAL: Final = Outcome(Verb.REFUSED, "Unsupported", "this cluster has no ephemeral containers")


class EphemeralAgents:
    """Starts agents; `image` is the operator's own, "" for none."""

    def __init__(self, client: ApiClient, image: str) -> None:
        self._client = client
        self._image = image

    async def start(self, action: StartAgent) -> Outcome:
        """Put an agent into its pod, once. Raises what `ports` names, Gone for a pod that was replaced too."""
        if not self._image:
            return NO_IMAGE
        if action.order.fault not in NEEDS:
            return NO_SUCH_FAULT
        try:
            await self._patch(action)
        except Gone:
            await self._read(action)
            return NO_EPHEMERAL
        except (Conflict, Rejected):
            if not _has(await self._read(action), action.name):
                raise
        return DONE

    async def _patch(self, action: StartAgent) -> None:
        """Add the container: containers are merged by name, so what else is written meanwhile is kept."""
        pod = action.pod
        body = {
            "metadata": {"uid": pod.uid},
            "spec": {"ephemeralContainers": [container_of(action.name, action.order, self._image)]},
        }
        await self._client.request(
            "PATCH",
            POD.path(pod.namespace, pod.name, "ephemeralcontainers"),
            query={"fieldManager": _MANAGER},
            body=body,
            content_type=STRATEGIC_PATCH,
            urgency=Urgency.ACTION,
        )

    async def _read(self, action: StartAgent) -> Raw:
        """Read the very pod; raises Gone when it is another one by now."""
        raw = await self._client.request("GET", POD.path(action.pod.namespace, action.pod.name))
        if raw["metadata"]["uid"] != action.pod.uid:
            raise Gone("the pod was replaced")
        return raw


def container_of(name: str, order: Order, image: str) -> dict[str, Any]:
    """Write the container of an agent."""
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(COMMAND),
        "args": [_unexpanded(order.text())],
        "stdin": True,
        "stdinOnce": False,  # whoever speaks to it comes and goes
        "tty": False,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _security_of(needs_of(order.fault, order.settings)),
    }
    return container | ({"targetContainerName": order.container} if order.container else {})


def _unexpanded(text: str) -> str:
    """Write JSON without `$`, which the kubelet would take for the beginning of a variable: `$(NAME)`."""
    return text.replace("$", "\\u0024")


def _security_of(capabilities: tuple[str, ...]) -> dict[str, Any]:
    added = {"add": list(capabilities)} if capabilities else {}
    user = _ROOT if capabilities else NOBODY
    return {
        "runAsUser": user,
        "runAsGroup": user,
        "runAsNonRoot": user != _ROOT,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], **added},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _has(raw: Raw, name: str) -> bool:
    return any(one["name"] == name for one in raw["spec"].get("ephemeralContainers") or ())
