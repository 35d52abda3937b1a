"""The chart as the real Helm renders it, for each file of values/ once; golden/ has what it is known to render.

To make golden/ anew after a change that is meant: PYTHONPATH=operator:tests .venv/bin/python -m chart.rendering
"""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "homeostat"
HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
CASES = sorted(path.stem for path in (HERE / "values").glob("*.yaml"))
PLACE = ("--namespace", "operators", "--kube-version", "1.34.0")

Document = dict[str, Any]


def program(name: str) -> str:
    """Give where a tool is. Raises AssertionError with how to have it."""
    found = shutil.which(name)
    assert found, f"{name} is not on PATH: PATH=$(hack/tools {name}):$PATH, or ./hack/test helm"
    return found


def helm(*args: str, values: str = "") -> "subprocess.CompletedProcess[str]":
    """Run Helm."""
    command = [program("helm"), *args]
    return subprocess.run(command, input=values, capture_output=True, text=True, check=False, timeout=120)


@cache
def rendered(case: str) -> str:
    """Render the chart with the values of a case."""
    done = helm("template", "homeostat", str(CHART), *PLACE, "--values", str(HERE / "values" / f"{case}.yaml"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_values(**values: Any) -> list[Document]:
    """Render the chart with these values."""
    done = helm("template", "homeostat", str(CHART), *PLACE, "--values", "-", values=yaml.safe_dump(values))
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def refused(**values: Any) -> str:
    """Give why these values are refused."""
    done = helm("template", "homeostat", str(CHART), *PLACE, "--values", "-", values=yaml.safe_dump(values))
    assert done.returncode != 0, f"{values} should have been refused"
    return done.stderr


def documents(text: str) -> list[Document]:
    """Read what was rendered, but for the CRDs, which are as long as they are well known."""
    return [one for one in map(yaml.safe_load, _parts(text)) if one]


def golden(case: str) -> str:
    """Give what stands in golden/: all but the CRDs, of which there are the names, and the dashboards."""
    parts = [part for part in _parts(rendered(case)) if yaml.safe_load(part)]
    crds = re.findall(r"^  name: (\S+\.homeostat\.dev)$", rendered(case), re.MULTILINE)
    said = "".join(f"# CRD {name}\n" for name in sorted(set(crds)))
    return said + "".join(f"---\n{_shortened(part)}" for part in parts)


def _parts(text: str) -> list[str]:
    parts = re.split(r"^---\n", text, flags=re.MULTILINE)
    return [part for part in parts if "\nkind: CustomResourceDefinition\n" not in part]


def _shortened(part: str) -> str:
    """Leave out what is in a file of its own: dashboards, and the specs of policies and of alerts."""
    for begin in ("\ndata:\n", "\nspec:\n  groups:\n"):
        part = part.partition(begin)[0] + "\n" if begin in part else part
    if "\nkind: ValidatingAdmissionPolicy\n" in part and "name: homeostat-memory\n" not in part:
        part = part.partition("\nspec:\n")[0] + "\n"
    return part.strip("\n") + "\n"


def main() -> None:
    """Write golden/ anew."""
    for path in GOLDEN.glob("*.yaml"):
        path.unlink()
    for case in CASES:
        (GOLDEN / f"{case}.yaml").write_text(golden(case))


if __name__ == "__main__":
    main()
