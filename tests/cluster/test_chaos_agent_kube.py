"""Fault agents in real pods: started, held, stopped; and what becomes of a fault when its wire or holder is gone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.conftest import Api, Kubectl
from cluster.hands import budget_of, client, cluster
from cluster.manifests import deployment
from cluster.operator_process import kubeconfig_for
from cluster.proxy import FaultProxy
from cluster.waiting import POLL, eventually
from homeostat.core.action import Outcome, StartAgent, Verb
from homeostat.core.cluster import AgentContainer, Pod
from homeostat.core.orders import PREFIX, AgentState, OffReason, Order, Said
from homeostat.core.ref import Ref
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.clock import SystemClock
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import STRATEGIC_PATCH, ApiClient
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.apiserver.resources import POD
from homeostat.kube.faults.attach import ApiAgentWires
from homeostat.kube.faults.ephemeral import EphemeralAgents, container_of
from homeostat.kube.leases.locks import Locks
from homeostat.kube.workloads.cluster import ApiCluster

pytestmark = pytest.mark.cluster
__all__ = ["client", "cluster"]

IMAGE = "homeostat.dev/operator:dev"
NAME = "homeostat-story"
DONE = Outcome(Verb.DONE)
LOSS = {"loss": "20%"}
HOLDER = """
import asyncio, sys
from homeostat.core.decision import Ref
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.faults.attach import ApiAgentWires

async def main(config, namespace, name, uid, container):
    async with ApiClient(find_credentials({}, kubeconfig=config)) as client, asyncio.TaskGroup() as tasks:
        links = AgentLinks(ApiAgentWires(client), SystemClock(), lambda: True, lambda _key: None)
        tasks.create_task(links.run())
        while True:
            await asyncio.sleep(0.1)
            links.hold(Ref("Pod", namespace, name, uid), container, 3.0)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def pod(cluster: ApiCluster, kubectl: Kubectl, namespace: str) -> Pod:
    """A pod of the sample that serves."""
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(deployment(1)))

    async def ready() -> Pod | None:
        return next((one for one in await cluster.pods(namespace, "") if one.is_ready), None)

    return await eventually(ready)


@pytest.fixture
def proxy(kubeconfig: Path) -> Iterator[FaultProxy]:
    """A way to the API server that can be cut."""
    opened = FaultProxy(kubeconfig)
    yield opened
    opened.close()


async def start(client: ApiClient, pod: Ref, image: str = IMAGE, fault: str = "network", **order: Any) -> Outcome:
    """Have an agent started, as the operator does."""
    settings = order.pop("settings", LOSS)
    action = StartAgent("1", pod, NAME, Order("story", 1, fault, settings, 120.0, **order))
    locks, budget = Locks(client, pod.namespace), budget_of(client, pod.namespace)
    actuator = ApiActuator(client, locks, budget, agents=EphemeralAgents(client, image))
    return await actuator.act(action, SystemClock().now())


@asynccontextmanager
async def links_over(client: ApiClient) -> AsyncIterator[AgentLinks]:
    """Keep links as the operator does."""
    links = AgentLinks(ApiAgentWires(client), SystemClock(), lambda: True, lambda _key: None)
    running = asyncio.get_running_loop().create_task(links.run())
    await asyncio.sleep(0)
    try:
        yield links
    finally:
        running.cancel()
        await asyncio.wait([running])


def heard(links: AgentLinks, pod: Ref, *states: AgentState) -> Callable[[], Awaitable[Said | None]]:
    """Look whether an agent is in one of the states, by its own word."""

    async def look() -> Said | None:
        said = links.heard(pod.uid, NAME).said
        return said if said and said.state in states else None

    return look


async def hold_until(links: AgentLinks, pod: Ref, state: AgentState, more: Callable[[Said], bool] = bool) -> Said:
    """Permit beats, as an experiment does each second, until the agent says something."""

    async def look() -> Said | None:
        links.hold(pod, NAME, 3.0)
        said = links.heard(pod.uid, NAME).said
        return said if said and said.state is state and more(said) else None

    return await eventually(look)


@asynccontextmanager
async def held(links: AgentLinks, pod: Ref) -> AsyncIterator[None]:
    """Permit beats all the while, however long something else takes."""

    async def permit() -> None:
        while True:
            links.hold(pod, NAME, 3.0)
            await asyncio.sleep(POLL)

    holding = asyncio.get_running_loop().create_task(permit())
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.wait([holding])


async def in_state(cluster: ApiCluster, pod: Ref, state: str, name: str = NAME) -> AgentContainer:
    """Wait until the agent's container is in a state."""

    async def look() -> AgentContainer | None:
        seen = await cluster.pod(pod.namespace, pod.name)
        found = seen.agents if seen else ()
        return next((one for one in found if (one.name, one.state) == (name, state)), None)

    return await eventually(look)


async def rules_in(client: ApiClient, cluster: ApiCluster, pod: Ref) -> str:
    """What stands in the pod's network, in the words of a container beside it with an agent's own rights."""
    name = f"{PREFIX}look-{os.urandom(3).hex()}"
    look = container_of(name, Order("look", 1, "network", {}, 1.0), IMAGE) | {"args": []}
    body = {"spec": {"ephemeralContainers": [look | {"command": ["nft", "list", "ruleset"], "stdin": False}]}}
    path = POD.path(pod.namespace, pod.name, "ephemeralcontainers")
    await client.request("PATCH", path, body=body, content_type=STRATEGIC_PATCH)
    assert (await in_state(cluster, pod, "Ended", name)).exit_code == 0
    return b"\n".join(await ApiAgentWires(client).last_lines(pod, name)).decode()


async def test_an_agent_holds_its_fault_until_it_is_told_to_stop(
    client: ApiClient, cluster: ApiCluster, pod: Pod
) -> None:
    """C18: ready, on, off, each in its own words; nothing is left but the container in the pod's list."""
    async with links_over(client) as links:
        assert await start(client, pod.ref) == DONE
        assert await start(client, pod.ref) == DONE  # once more is once
        links.attend(pod.ref, NAME)
        await eventually(heard(links, pod.ref, AgentState.READY))
        assert await rules_in(client, cluster, pod.ref) == ""
        async with held(links, pod.ref):
            await hold_until(links, pod.ref, AgentState.ON, lambda said: said.beat > 1)
            assert await rules_in(client, cluster, pod.ref) != ""
        links.stop(pod.ref, NAME)
        said = await eventually(heard(links, pod.ref, AgentState.OFF))

    assert said.reason == OffReason.TOLD
    assert (await in_state(cluster, pod.ref, "Ended")).exit_code == 0
    assert await rules_in(client, cluster, pod.ref) == ""


async def test_a_wire_that_is_cut_is_spliced_before_the_fault_goes(
    proxy: FaultProxy, client: ApiClient, tmp_path: Path, pod: Pod
) -> None:
    """C4: one connection more, and the beats are answered on."""
    config = kubeconfig_for(tmp_path, proxy.url)
    async with ApiClient(find_credentials({}, kubeconfig=str(config))) as through, links_over(through) as links:
        assert await start(client, pod.ref) == DONE
        said = await hold_until(links, pod.ref, AgentState.ON)
        proxy.cut_bridges()
        await hold_until(links, pod.ref, AgentState.ON, lambda later: later.beat > said.beat + 3)

    assert proxy.count("GET", "/attach") == 0  # a switch of protocols is no 2xx
    assert sum(one.code == 101 for one in proxy.seen) >= 2


async def test_a_fault_goes_when_whoever_held_it_is_killed(
    client: ApiClient, cluster: ApiCluster, kubeconfig: Path, pod: Pod
) -> None:
    """C3, C4: nobody tells the agent; and whoever comes next reads what became of it."""
    arguments = [str(kubeconfig), pod.ref.namespace, pod.ref.name, pod.ref.uid, NAME]
    with subprocess.Popen([sys.executable, "-c", HOLDER, *arguments]) as holder:  # noqa: ASYNC220
        try:
            assert await start(client, pod.ref) == DONE
            wires = ApiAgentWires(client)

            async def is_on() -> bool:
                words = [line for line in await wires.last_lines(pod.ref, NAME) if b'"On"' in line]
                return len(words) > 1

            await in_state(cluster, pod.ref, "Running")
            await eventually(is_on)
        finally:
            holder.send_signal(signal.SIGKILL)
    await in_state(cluster, pod.ref, "Ended")
    async with links_over(client) as links:
        links.attend(pod.ref, NAME)
        said = await eventually(heard(links, pod.ref, AgentState.OFF))

    assert said.reason == OffReason.LEASE
    assert await rules_in(client, cluster, pod.ref) == ""


async def test_a_namespace_that_admits_no_such_container_says_why(
    client: ApiClient, api: Api, namespace: str, pod: Pod
) -> None:
    """C6: refused by Pod Security, with its own words; the pod is untouched."""
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    assert api("PATCH", f"/api/v1/namespaces/{namespace}", label, content_type="application/merge-patch+json")[0] == 200
    container = {"name": "loose", "image": "none", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
    loose = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": {"containers": [container]}}

    async def is_in_force() -> bool:
        """Admission sees the label a moment later than we do."""
        return api("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", loose)[0] == 403

    await eventually(is_in_force)
    outcome = await start(client, pod.ref)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Forbidden")
    assert "violates PodSecurity" in outcome.message
    assert "NET_ADMIN" in outcome.message
    body = api("GET", f"/api/v1/namespaces/{namespace}/pods/{pod.ref.name}")[1]
    assert "ephemeralContainers" not in body["spec"]


async def test_an_image_that_cannot_be_pulled_is_told_of(client: ApiClient, cluster: ApiCluster, pod: Pod) -> None:
    """C2: nothing begins; the kubelet's word is there to be shown, and nobody waits for the agent for ever."""
    async with links_over(client) as links:
        assert await start(client, pod.ref, image="127.0.0.1:1/nothing:here") == DONE
        links.attend(pod.ref, NAME)

        async def pulls() -> str:
            found = (await in_state(cluster, pod.ref, "Waiting")).reason
            return found if found in {"ErrImagePull", "ImagePullBackOff"} else ""

        await eventually(pulls)

        assert links.heard(pod.ref.uid, NAME).said is None


async def test_an_agent_that_refuses_is_heard_although_it_is_gone(client: ApiClient, pod: Pod) -> None:
    """C6: its last word is in its log; nothing was touched."""
    async with links_over(client) as links:
        assert await start(client, pod.ref, fault="network", settings={"loss": "no number"}) == DONE
        links.attend(pod.ref, NAME)
        said = await eventually(heard(links, pod.ref, AgentState.REFUSED))

    assert said.reason == "Invalid"


async def test_a_pod_that_was_replaced_gets_no_agent(client: ApiClient, pod: Pod) -> None:
    """C6: the uid says which pod was meant."""
    another = Ref("Pod", pod.ref.namespace, pod.ref.name, "another-uid")

    assert await start(client, another) == Outcome(Verb.REFUSED, "NotFound", "the object is not there")
