"""History that cannot be written: the operator goes on measuring and acting, and says so."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cluster.conftest import Kubectl
from cluster.waiting import until
from helm.scene import NAME, RESTRICTED, SYSTEM, Estate, Release, opens_with_a_row

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
