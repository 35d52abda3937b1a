"""Tokens and rights as a real API server judges them, with the very rights of dist/: nobody comes in by default."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from cluster import installation
from cluster.conftest import Api, Kubectl
from cluster.operator_process import kubeconfig_for
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.authorization.access import ApiAccess
from homeostat.ports import Attributes, Refusal

SYSTEM = "homeostat-system"
RESOURCE = "servicelevelobjectives"
TokenOf = Callable[[str, str], str]


@pytest.fixture
def token_of(api: Api) -> TokenOf:
    """Get a token of a ServiceAccount, as `kubectl create token` does: `token_of(namespace, name)`."""
    return partial(installation.token_of, api)


def client_as(token: str, kubeconfig: Path, folder: Path) -> ApiClient:
    """Make a client that speaks to the API server with a token."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    path = kubeconfig_for(folder, cluster["server"], token, cluster["certificate-authority-data"])
    return ApiClient(find_credentials({}, kubeconfig=str(path)), patience=Patience(timeout=5, total=5))


@pytest.fixture
async def access(
    kubectl: Kubectl, crds: None, token_of: TokenOf, kubeconfig: Path, tmp_path: Path  # noqa: ARG001
) -> AsyncIterator[ApiAccess]:  # fmt: skip
    """Judge as the operator does: with its ServiceAccount, which has the rights of dist/ and no others."""
    rights = [document for document in installation.manifests() if document["kind"] != "Deployment"]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(rights))
    async with client_as(token_of(SYSTEM, "homeostat"), kubeconfig, tmp_path) as client:
        yield ApiAccess(client)


def push_to(namespace: str, name: str = "web") -> Attributes:
    return Attributes("create", RESOURCE, "events", namespace, name)


async def until_allowed(access: ApiAccess, token: str, attributes: Attributes) -> None:
    """Wait until somebody may: the API server learns of a new role a moment later, and we believe a no for a while."""
    async with asyncio.timeout(60):
        while await access.check(token, attributes) is not None:  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.5)


@pytest.mark.apiserver
async def test_a_pipeline_with_the_right_to_push_may_push_and_nothing_else(
    access: ApiAccess, kubectl: Kubectl, namespace: str, token_of: TokenOf
) -> None:
    kubectl("create", "role", "push", "-n", namespace, "--verb=create", f"--resource={RESOURCE}.homeostat.dev/events")
    kubectl("create", "rolebinding", "push", "-n", namespace, "--role=push", f"--serviceaccount={namespace}:default")
    token = token_of(namespace, "default")

    await until_allowed(access, token, push_to(namespace))
    assert await access.check(token, push_to("default")) is Refusal.FORBIDDEN
    assert await access.check(token, Attributes("list", RESOURCE, namespace=namespace)) is Refusal.FORBIDDEN
    assert await access.check(token, Attributes("list", RESOURCE)) is Refusal.FORBIDDEN


@pytest.mark.apiserver
async def test_a_right_to_one_objective_is_for_that_one(
    access: ApiAccess, kubectl: Kubectl, namespace: str, token_of: TokenOf
) -> None:
    kubectl(
        "create", "role", "one", "-n", namespace, "--verb=create",
        f"--resource={RESOURCE}.homeostat.dev/events", "--resource-name=web",
    )  # fmt: skip
    kubectl("create", "rolebinding", "one", "-n", namespace, "--role=one", f"--serviceaccount={namespace}:default")
    token = token_of(namespace, "default")

    await until_allowed(access, token, push_to(namespace))
    assert await access.check(token, push_to(namespace, "api")) is Refusal.FORBIDDEN


@pytest.mark.apiserver
async def test_who_is_known_and_has_no_right_is_told_apart_from_who_is_not_known(
    access: ApiAccess, namespace: str, token_of: TokenOf
) -> None:
    token = token_of(namespace, "default")

    assert await access.check(token, push_to(namespace)) is Refusal.FORBIDDEN
    for stranger in ("made-up", token[:-8] + "AAAAAAAA", token + "x", "a.b.c"):
        assert await access.check(stranger, push_to(namespace)) is Refusal.UNKNOWN


@pytest.mark.apiserver
async def test_an_operator_without_the_right_to_ask_lets_nobody_in(
    crds: None, namespace: str, token_of: TokenOf, kubeconfig: Path, tmp_path: Path  # noqa: ARG001
) -> None:  # fmt: skip
    token = token_of(namespace, "default")
    async with client_as(token, kubeconfig, tmp_path) as client:
        assert await ApiAccess(client).check(token, push_to(namespace)) is Refusal.UNABLE
