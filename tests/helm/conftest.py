"""A cluster for Helm alone, and what is in it: see scene.py.

The stories run one after another, as there can be one cluster-wide release.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.conftest import Api, Kubectl, api, kubeconfig, kubectl, kubectl_command
from helm.scene import ACTING, NAME, RESTRICTED, SYSTEM, Estate, House, Release
from helm.tool import ROOT, Helm

__all__ = ["api", "kubeconfig", "kubectl", "kubectl_command"]


@pytest.fixture(scope="session")
def helm_of(kubeconfig: Path) -> Iterator[Callable[[str], Helm]]:
    """Give a version of Helm by the name of its program; being without it is an error, never a silent skip."""
    with tempfile.TemporaryDirectory(prefix="homeostat-helm-") as folder:

        def find(program: str) -> Helm:
            if not shutil.which(program):
                pytest.fail(f"no {program}: ./hack/test helm builds it, and so does hack/tools {program}")
            return Helm(program, kubeconfig, Path(folder) / program)

        yield find


@pytest.fixture(scope="session")
def helm(helm_of: Callable[[str], Helm]) -> Helm:
    """Helm 4."""
    return helm_of("helm")


@pytest.fixture
def estate(api: Api, helm: Helm, kubeconfig: Path, tmp_path: Path) -> Iterator[Estate]:
    """Namespaces and releases of a test."""
    made = Estate(api, helm, kubeconfig, tmp_path)
    yield made
    made.clear()


@pytest.fixture
def nothing(estate: Estate) -> Estate:
    """A cluster without anything of homeostat, not even its CRDs."""
    estate.clean()
    return estate


@pytest.fixture
def release(estate: Estate) -> Release:
    """A cluster-wide release that may do everything, as most stories need it; it stays for the next one."""
    estate.make_way()
    found = estate.release(NAME, SYSTEM)
    estate.namespace(SYSTEM, RESTRICTED)
    estate.made.remove(SYSTEM)
    found.install(ACTING)
    found.until_leads()
    return found


@pytest.fixture
def house(estate: Estate, release: Release) -> House:  # noqa: ARG001 - an operator that serves it
    """A user's namespace, served by the cluster-wide release."""
    return estate.house()


@pytest.fixture(scope="session")
def previous_chart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The chart of the previous commit, and which that is.

    That is the last commit whose chart is another than the one at hand; where there is none, the one at hand itself.
    """
    folder = tmp_path_factory.mktemp("previous")
    chart = ROOT / "charts" / "homeostat"
    for commit in git("rev-list", "HEAD", "--", "charts/homeostat").split():
        if git("diff", "--name-only", commit, "--", "charts/homeostat") and git("ls-tree", commit, "charts/homeostat"):
            archive = subprocess.run(
                ["git", "-C", str(ROOT), "archive", commit, "charts/homeostat"], capture_output=True, check=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
            return folder / "charts" / "homeostat", commit
    shutil.copytree(chart, folder / "homeostat")
    return folder / "homeostat", "the chart at hand: no commit has another one"


def git(*args: str) -> str:
    """Ask Git; in a tree that is no repository it knows of no commit."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *args], capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
    )
    return done.stdout


__all__ += ["Kubectl"]
