"""The scope of a release is for good: Helm would stop halfway between two, and leave roles that nobody takes away."""

import pytest

from cluster.conftest import Kubectl
from helm.scene import CLUSTER_WIDE, Estate, Release

pytestmark = pytest.mark.helm


def test_an_upgrade_to_the_other_scope_is_refused_before_anything_is_touched(
    estate: Estate, release: Release, kubectl: Kubectl
) -> None:
    release.install({"recovery": {"enabled": True}})
    roles = [estate.ours(path) for path in CLUSTER_WIDE]
    told = release.refused({"scope": "Namespaced"})

    assert "scope: an upgrade cannot change it from Cluster to Namespaced" in told
    assert "the CRDs and all objects stay" in told
    assert [estate.ours(path) for path in CLUSTER_WIDE] == roles
    assert kubectl("-n", release.namespace, "get", "role", "homeostat-core", check=False).returncode != 0
    assert release.until_leads()
