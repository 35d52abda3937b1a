"""History that is kept, and such as cannot be written: then the operator goes on measuring and acting, and says so."""

import json
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cluster.conftest import Api, Kubectl
from cluster.manifests import SHOP
from cluster.waiting import until
from helm.scene import NAME, RESTRICTED, SYSTEM, Estate, House, Release, opens_with_a_row
from helm.tool import Values
from postgres_process import running

pytestmark = pytest.mark.helm

STRATEGIC = "application/strategic-merge-patch+json"


def claim(name: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A volume that is a folder of the node, and a claim that is bound to it."""
    shared = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
    size = {"storage": "1Gi"}
    place = {"path": str(folder), "type": "DirectoryOrCreate"}
    volume = {"metadata": {"name": name}, "spec": shared | {"capacity": size, "hostPath": place}}
    wish = {"metadata": {"name": name}, "spec": shared | {"volumeName": name, "resources": {"requests": size}}}
    return volume, wish


@pytest.fixture
def read_only_claim(nothing: Estate) -> Iterator[str]:
    """A claim on a folder in which the operator's user may write nothing."""
    name = f"history-{uuid.uuid4().hex[:6]}"
    nothing.namespace(SYSTEM, RESTRICTED)
    nothing.made.remove(SYSTEM)
    with TemporaryDirectory(prefix="homeostat-history-", dir="/var/tmp") as folder:
        volume, wish = claim(name, Path(folder))
        for path, body in (("persistentvolumes", volume), (f"namespaces/{SYSTEM}/persistentvolumeclaims", wish)):
            code, answer = nothing.api("POST", f"/api/v1/{path}", body)
            assert code == 201, answer
        Path(folder).chmod(0o555)
        yield name
    nothing.api("DELETE", f"/api/v1/persistentvolumes/{name}")


@contextmanager
def kept_in_a_claim(api: Api) -> Iterator[Values]:
    """A claim of the chart's, on a folder of the node where the cluster makes no volumes by itself."""
    persistence: dict[str, Any] = {"enabled": True, "size": "1Gi"}
    values = {"history": {"sqlite": {"persistence": persistence}}}
    if api("GET", "/apis/storage.k8s.io/v1/storageclasses")[1]["items"]:
        yield values
        return
    name = f"history-{uuid.uuid4().hex[:6]}"
    persistence["storageClassName"] = name
    with TemporaryDirectory(prefix="homeostat-history-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o777)
        volume, _ = claim(name, Path(folder))
        assert api("POST", "/api/v1/persistentvolumes", volume)[0] == 201
        yield values
    api("DELETE", f"/api/v1/persistentvolumes/{name}")


@contextmanager
def kept_in_postgresql(api: Api) -> Iterator[Values]:
    """A server on this machine, and a Secret of the operator's namespace with the URL of a database."""
    with running(address_towards_nodes(api)) as server:
        secret = {"metadata": {"name": "history"}, "stringData": {"url": server.create()}}
        assert api("POST", f"/api/v1/namespaces/{SYSTEM}/secrets", secret)[0] == 201
        yield {"history": {"store": "PostgreSQL", "postgresql": {"urlSecret": {"name": "history"}}}}


def address_towards_nodes(api: Api) -> str:
    """Give the address of this machine that a node, and so a pod, can reach."""
    (node, *_) = api("GET", "/api/v1/nodes")[1]["items"]
    (address, *_) = [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((address, 9))
        return str(asked.getsockname()[0])


def oldest_run(kubectl: Kubectl, house: House) -> datetime:
    """Give when the oldest run of the shop's check was that history has."""
    command = ("homeostat", "history", f"{house.namespace}/{SHOP}", "--raw", "-o", "json")
    runs = json.loads(kubectl("-n", SYSTEM, "exec", f"deployment/{NAME}", "--", *command).stdout)["runs"]
    return min(datetime.fromisoformat(run["at"]) for run in runs)


@pytest.mark.parametrize("kept", [kept_in_a_claim, kept_in_postgresql])
def test_history_outlives_a_restart_and_an_upgrade(
    nothing: Estate, kubectl: Kubectl, kept: Callable[[Api], Any]
) -> None:
    """With a NetworkPolicy besides, as it is in earnest: what it was told to reach, it reaches."""
    nothing.namespace(SYSTEM, RESTRICTED)
    nothing.made.remove(SYSTEM)
    release = nothing.release(NAME, SYSTEM)
    with kept(nothing.api) as history:
        values = history | {"networkPolicy": {"enabled": True}}
        release.install(values)
        first = release.until_leads()
        house = nothing.house()
        house.open_healthy_shop(replicas=1)

        restarted = datetime.now(UTC)
        kubectl("-n", SYSTEM, "delete", "pod", first)
        until(lambda: release.leader() not in {"", first}, "another process leads")
        second = release.until_leads()
        oldest = oldest_run(kubectl, house)
        assert oldest < restarted

        release.install(values, {"podLabels": {"upgraded": "yes"}})
        assert release.until_leads() != second
        assert oldest_run(kubectl, house) == oldest
        house.until_state("Healthy")
        assert "history unavailable" not in release.words()
        release.uninstall()


def goes_on_and_says_so(release: Release, estate: Estate, kubectl: Kubectl) -> None:
    """It leads, measures, shows figures, has not restarted, and its log names what is lost."""
    assert release.until_leads()
    house = estate.house()
    assert opens_with_a_row(house, kubectl)
    until(lambda: any(line.get("event") == "history unavailable" for line in release.lines()), "the log says so")
    states = [one for pod in release.pods() for one in pod["status"]["containerStatuses"]]
    assert [one["restartCount"] for one in states] == [0]


def test_an_operator_whose_claim_is_read_only_goes_on_and_says_so(
    nothing: Estate, read_only_claim: str, kubectl: Kubectl
) -> None:
    """Nothing of history is needed to measure and to act safely."""
    release = nothing.release(NAME, SYSTEM)
    release.install({"history": {"sqlite": {"persistence": {"enabled": True, "existingClaim": read_only_claim}}}})
    goes_on_and_says_so(release, nothing, kubectl)


def test_an_operator_whose_volume_is_full_goes_on_and_says_so(
    release: Release, estate: Estate, kubectl: Kubectl
) -> None:
    """A volume of a few pages, in the place of the one for history."""
    volume = {"name": "history", "emptyDir": {"medium": "Memory", "sizeLimit": "64Ki"}}
    body = {"spec": {"template": {"spec": {"volumes": [volume]}}}}
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{NAME}"
    before = release.until_leads()
    try:
        assert release.api("PATCH", path, body, content_type=STRATEGIC)[0] == 200
        until(lambda: release.leader() not in {"", before}, "another process leads")
        until(lambda: len(release.pods()) == 1, "the one before is gone")
        goes_on_and_says_so(release, estate, kubectl)
    finally:  # Helm would not take back what somebody else changed
        release.uninstall()
