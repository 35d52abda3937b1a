"""The operator that stories kill is the one that is installed: its pod's own account, user and confinement."""

from pathlib import Path

import pytest

from cluster.installation import deployment_of
from cluster.operator_pod import OperatorInPod, PodStage
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster


def confined(operator: OperatorInPod) -> dict[str, str]:
    """Read what the kernel knows of its process."""
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    return {name: " ".join(values.split()) for name, _, values in (line.partition(":") for line in lines)}


def test_an_operator_that_stories_kill_is_confined_as_it_is_installed(stage: Stage) -> None:
    """As the Deployment says: no root, no capability, none to be had, system calls filtered, nothing to write to."""
    if not isinstance(stage, PodStage):
        pytest.skip("this cluster's pods do not reach what runs here: the operator is a process")
    operator = stage.start()
    assert isinstance(operator, OperatorInPod)
    wanted = deployment_of(stage)["spec"]["template"]["spec"]["securityContext"]
    told = confined(operator)

    assert told["Uid"].split() == [str(wanted["runAsUser"])] * 4
    assert (told["CapEff"], told["CapPrm"], told["CapBnd"]) == ("0" * 16,) * 3
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    mounts = [line.split() for line in Path(f"/proc/{operator.pid}/mountinfo").read_text().splitlines()]
    assert [fields[5].split(",")[0] for fields in mounts if fields[4] == "/"] == ["ro"]


def test_a_kill_ends_the_operator_at_once_and_not_its_container(stage: Stage) -> None:
    """R2: what stories call a kill is one: no word of farewell; its successor is another process in the same place."""
    if not isinstance(stage, PodStage):
        pytest.skip("this cluster's pods do not reach what runs here: the operator is a process")
    operator = stage.start()
    assert isinstance(operator, OperatorInPod)
    first, lease = operator.pid, stage.read("Lease", "homeostat-leader")["spec"]
    operator.kill()

    assert operator.is_running() is False
    assert not Path(f"/proc/{first}").exists()
    assert not [line for line in operator.lines() if line["event"] == "stopped"]
    assert stage.read("Lease", "homeostat-leader")["spec"]["holderIdentity"] == lease["holderIdentity"]
    operator.start()
    assert operator.pid != first
    until(lambda: operator.get("/readyz")[0] == 200, "it leads again")
    path = f"/api/v1/namespaces/{stage.system}/pods/{stage.pod().name}"
    [container] = stage.api("GET", path)[1]["status"]["containerStatuses"]
    assert container["restartCount"] == 0
