"""The definitions that an API server serves, compared with ours over the wire."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from structlog.testing import capture_logs

from contract.kube_server import answers, client_of, refuses, serving
from fakes import FakeClock
from homeostat.api.freeze import KIND as FREEZE
from homeostat.api.kinds import KINDS
from homeostat.core.cluster import Right
from homeostat.core.rights import Scope
from homeostat.interchange.schema import our_schemas
from homeostat.kube.apiserver.served import PATH
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.granting import Definitions, grants_watch, visible_kinds
from homeostat.wiring.settings import Settings


def document(*without: str) -> dict[str, Any]:
    """Give what is served; the kinds named lack a field of their status."""
    schemas = deepcopy(our_schemas(KINDS))
    for kind in without:
        del schemas[kind]["properties"]["status"]["properties"]["conditions"]
    named = {
        f"dev.homeostat.v1alpha1.{kind}": {**schema, "x-kubernetes-group-version-kind": [{"kind": kind}]}
        for kind, schema in schemas.items()
    }
    return {"components": {"schemas": named}}


def shown(metrics: Metrics, kind: str) -> float | None:
    return metrics.registry.get_sample_value("homeostat_crd_outdated", {"kind": kind})


async def test_older_definitions_are_said_once_with_what_lacks_and_the_command_that_helps() -> None:
    metrics = Metrics()
    old, new = answers(200, document("HealthCheck")), answers(200, document())
    async with serving(old, old, new) as api, client_of(api.url) as client:
        definitions = Definitions(client, metrics)
        with capture_logs() as told:
            await definitions.look()
            await definitions.look()
        assert (shown(metrics, "HealthCheck"), shown(metrics, "Freeze")) == (1, 0)
        await definitions.look()

    assert [line["outdated"] for line in told] == [["HealthCheck: without status.conditions"]]
    assert "kubectl apply --server-side -f" in told[0]["remedy"]
    assert shown(metrics, "HealthCheck") == 0
    assert {seen.path for seen in api.seen} == {PATH}


async def test_definitions_that_are_not_installed_are_said() -> None:
    metrics = Metrics()
    async with serving(refuses(404, "NotFound")) as api, client_of(api.url) as client:
        with capture_logs() as told:
            await Definitions(client, metrics).look()

    assert told[0]["outdated"] == [f"{kind.kind}: not served" for kind in KINDS]


class Reviews:
    """Says yes to everything, or to nothing."""

    def __init__(self, *, yes: bool) -> None:
        self.yes = yes

    async def missing(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        return () if self.yes else tuple(wanted)


async def test_freezes_are_seen_in_scope_namespaced_only_where_that_is_granted() -> None:
    namespaced = Settings(scope=Scope.NAMESPACED)

    assert await visible_kinds(Reviews(yes=True), namespaced) == KINDS
    assert FREEZE not in await visible_kinds(Reviews(yes=False), namespaced)
    assert await visible_kinds(Reviews(yes=False), Settings()) == KINDS, (
        "in scope Cluster it is a fault, and waited for"
    )


async def test_the_metric_names_role_resource_and_verb() -> None:
    metrics = Metrics()
    settings = Settings(features=("recovery.steps.resize",))
    port = Reviews(yes=False)
    await grants_watch(port, FakeClock(), metrics, settings).look()

    def sample(role: str, resource: str, verb: str) -> float | None:
        labels = {"role": role, "resource": resource, "verb": verb}
        return metrics.registry.get_sample_value("homeostat_right_missing", labels)

    assert sample("homeostat-recovery", "pods/resize", "patch") == 1
    assert sample("homeostat-core", "deployments.apps", "list") == 1
    assert sample("homeostat-chaos", "pods", "delete") is None, "what is off is not missing"
