"""What has to be typed from nothing to the first row: ours as our pages have it, Sloth's and Pyrra's as theirs have it.

Theirs are kept here, word by word, with the page that they are from. What a page takes for granted (a cluster, a clone,
for Sloth the kinds of the Prometheus operator) is not counted, but for what Pyrra's page itself has one type: the
monitoring stack that it needs. Where a page ends before anything is shown, the one command that shows it is added.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LAST = "kubectl get slo"
PROGRAMS = ("kubectl ", "helm ", "git ", "cd ")


@dataclass(frozen=True, slots=True)
class QuickStart:
    """Commands in their order, and where they are documented."""

    subject: str
    case: str
    source: str
    commands: tuple[str, ...]

    @property
    def keystrokes(self) -> int:
        """Count the characters that are typed, with the key that ends each line."""
        return sum(len(command) + 1 for command in self.commands)

    @property
    def lines(self) -> int:
        """Count the commands, of which a page may show several together."""
        return sum(line.startswith(PROGRAMS) for command in self.commands for line in command.splitlines())


SLOTH = QuickStart(
    "Sloth",
    "shipped examples",
    "README.md of github.com/slok/sloth, Kubernetes Controller",
    (
        "kubectl apply -f ./pkg/kubernetes/gen/crd/sloth.slok.dev_prometheusservicelevels.yaml",
        "kubectl create ns monitoring",
        "kubectl apply -f ./deploy/kubernetes/sloth.yaml",
        "kubectl apply -f ./examples/k8s-getting-started.yml",
        "kubectl -n monitoring get slos",
    ),
)
_PYRRA = (
    "kubectl apply --server-side -f ./examples/kubernetes/manifests/setup",
    "kubectl apply --server-side -f ./examples/kubernetes/manifests",
    "kubectl apply --server-side -f ./examples/kubernetes/manifests/slos",
    "kubectl -n monitoring get slo",  # ours: the page goes on in the browser
)
_PAGE = "examples/kubernetes/README.md of github.com/pyrra-dev/pyrra"
PYRRA = QuickStart("Pyrra", "shipped examples", _PAGE, _PYRRA)
PYRRA_WITH_STACK = QuickStart(
    "Pyrra with the monitoring stack that its page installs",
    "shipped examples",
    _PAGE,
    (
        "git clone git@github.com:prometheus-operator/kube-prometheus.git",
        "cd kube-prometheus",
        "kubectl apply -f ./manifests/setup",
        "kubectl apply -f ./manifests/",
        *_PYRRA,
    ),
)


def tutorial() -> QuickStart:
    """Ours, with every line of every object typed: docs/tutorials/first-slo.md up to the first row."""
    page = "docs/tutorials/first-slo.md"
    commands: list[str] = []
    for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        commands.append(block.strip())
        if LAST in block:
            return QuickStart("homeostat", "everything typed", page, tuple(commands))
    raise ValueError(f"{page} never types {LAST}")


def shipped() -> QuickStart:
    """Ours, with the objects of examples/, as the others apply theirs: what README.md has up to the first row."""
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    commands = next(block.splitlines() for block in blocks if LAST in block.splitlines()[-1])
    return QuickStart("homeostat", "shipped examples", "README.md, Install", tuple(commands))
