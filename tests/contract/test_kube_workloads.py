"""What surrounds workloads, as read from the API server: claims and nodes, few or many."""

from datetime import timedelta
from typing import Any

from contract.kube_server import answers, client_of, refuses, serving
from homeostat.core.cluster import Claim, Node
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.workloads.cluster import ApiCluster


def _cluster(client: ApiClient) -> ApiCluster:
    budget = ActionBudget(client, "system", of=1, per=timedelta(hours=1))
    return ApiCluster(client, Locks(client, "system"), budget)


def _node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


async def test_few_nodes_are_read_by_name_and_one_that_is_gone_is_left_out() -> None:
    async with serving(answers(200, _node("a")), refuses(404, "NotFound")) as api, client_of(api.url) as client:
        found = await _cluster(client).nodes(["a", "gone"])

    assert found == (Node("a", is_ready=True, is_under_pressure=False),)
    assert [seen.path for seen in api.seen] == ["/api/v1/nodes/a", "/api/v1/nodes/gone"]


async def test_many_nodes_are_listed_and_only_those_asked_for_are_kept() -> None:
    names = [f"node-{number}" for number in range(11)]
    pages = [
        answers(200, {"items": [_node(name) for name in names[:6]], "metadata": {"continue": "more"}}),
        answers(200, {"items": [_node("another"), *(_node(name) for name in names[6:10])]}),
    ]
    async with serving(*pages) as api, client_of(api.url) as client:
        found = await _cluster(client).nodes(names)

    assert [node.name for node in found] == names[:10]
    assert [seen.path for seen in api.seen] == ["/api/v1/nodes"] * 2


async def test_the_claims_of_a_namespace_are_listed() -> None:
    items = [{"metadata": {"name": "data"}, "status": {"phase": "Bound"}}, {"metadata": {"name": "new"}}]
    async with serving(answers(200, {"items": items})) as api, client_of(api.url) as client:
        found = await _cluster(client).claims("shop")

    assert found == (Claim("data", is_bound=True), Claim("new", is_bound=False))
    assert api.seen[0].path == "/api/v1/namespaces/shop/persistentvolumeclaims"
