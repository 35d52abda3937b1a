"""What one is told to do next works: the commands of NOTES.txt as they stand there, and `homeostat doctor`."""

from pathlib import Path

import pytest

from cluster.conftest import Kubectl
from cluster.manifests import policy
from helm.scene import House, Release
from helm.tool import Values
from helm.typed import doctor, follow, plan_a_fault

pytestmark = pytest.mark.helm

EACH = {
    "measure": {},
    "recover": {"recovery": {"enabled": True}},
    "break": {"recovery": {"enabled": True}, "chaos": {"enabled": True}},
}
"""What is switched on decides what one is told."""


@pytest.mark.parametrize("values", EACH.values(), ids=EACH)
def test_all_that_the_notes_tell_can_be_typed_and_nothing_is_missing(
    release: Release, house: House, kubectl: Kubectl, kubectl_command: list[str], kubeconfig: Path, values: Values
) -> None:
    """The doctor is among it, who asks with the operator's own rights; the administrator hears the same."""
    release.install(values)
    release.until_leads()
    house.open_healthy_shop(policy(mode="Suggest"), replicas=2)
    if "chaos" in values:
        plan_a_fault(house)
    typed = follow(release, house, kubectl, kubectl_command)

    assert {"rollout", "doctor", "homeostat"} < typed
    assert typed & {"port-forward", "explain", "plan"}
    told = doctor(kubeconfig, release)
    assert told.returncode == 0, told.stdout + told.stderr
