"""What somebody types after an installation: the commands that its notes tell, and `homeostat doctor` from outside."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from cluster.conftest import Kubectl
from cluster.experiments import CHAOS, experiment
from cluster.manifests import SHOP
from helm.broken import FAILS
from helm.scene import House, Release
from helm.tool import PATIENCE, Done

REFUSED = "command terminated with exit code 1\n"
"""What kubectl says of `explain` where nothing is to be done: the question was answered."""


def follow(release: Release, house: House, kubectl: Kubectl, kubectl_command: list[str]) -> set[str]:
    """Type each command, for the objects of a shop, and give their words; each must end well."""
    names = {"NAMESPACE": house.namespace, "EXPERIMENT": SHOP, "POLICY": SHOP}
    lines = [[names.get(word, word) for word in shlex.split(line)[1:]] for line in release.notes()]
    for words in lines:
        if "port-forward" in words:
            forward(kubectl_command, words)
        else:
            done = kubectl(*words, check="explain" not in words)
            assert done.returncode == 0 or done.stderr == REFUSED, done.stderr
    return {word for words in lines for word in words}


def plan_a_fault(house: House) -> None:
    """Have an experiment on the shop draw its plan, and touch nothing."""
    house.put(experiment(SHOP, FAILS, dryRun=True))
    house.until_status(CHAOS, lambda it: it.get("plan"), "a plan")


def forward(kubectl_command: list[str], words: list[str]) -> None:
    """Have ports forwarded, from such as are free here, and wait until each is."""
    told = [f":{word}" if word.isdigit() else word for word in words]
    with subprocess.Popen([*kubectl_command, *told], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(sum(word.isdigit() for word in words)):
            assert "Forwarding from" in process.stdout.readline()
        process.terminate()


def doctor(kubeconfig: Path, release: Release) -> Done:
    """Ask from outside, as the administrator of the kubeconfig."""
    return subprocess.run(
        [sys.executable, "-m", "homeostat", "doctor", "-n", release.namespace],
        env=os.environ | {"KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
