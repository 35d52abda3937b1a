"""What speaks to a real API server as the operator does, with locks and budget in the test's own namespace."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.workloads.cluster import ApiCluster


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[ApiClient]:
    async with ApiClient(find_credentials({}, kubeconfig=str(kubeconfig))) as opened:
        yield opened


@pytest.fixture
def hand(client: ApiClient, namespace: str) -> ApiActuator:
    return ApiActuator(client, Locks(client, namespace), budget_of(client, namespace))


@pytest.fixture
def cluster(client: ApiClient, namespace: str) -> ApiCluster:
    return ApiCluster(client, Locks(client, namespace), budget_of(client, namespace))


def budget_of(client: ApiClient, namespace: str, of: int = 5) -> ActionBudget:
    """Give a budget of so many actions an hour."""
    return ActionBudget(client, namespace, of=of, per=timedelta(hours=1))
