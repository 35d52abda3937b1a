"""The real Helm: one of its versions on one cluster, as a user types it."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "homeostat"
PATIENCE = 300
Values = Mapping[str, Any]
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Helm:
    """`helm` or `helm3`, on the cluster of a kubeconfig; it keeps what it keeps in a folder of the test."""

    program: str
    kubeconfig: Path
    folder: Path
    user: str = ""
    """Who types it; "" for the administrator of the kubeconfig."""

    def run(self, *args: str, values: Values | None = None, check: bool = True) -> Done:
        """Run it; `values` are told as a file is. What fails where it should not ends the test with Helm's words."""
        told = ("--values", "-") if values is not None else ()
        who = ("--kube-as-user", self.user) if self.user else ()
        homes = {f"HELM_{kind}_HOME": str(self.folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [self.program, *args, *told, *who],
            input=yaml.safe_dump(values) if values is not None else "",
            env=os.environ | homes | {"KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, f"{self.program} {' '.join(args)}: {done.stderr}{done.stdout}"
        return done

    def refused(self, *args: str, values: Values | None = None) -> str:
        """Run what must fail, and give Helm's words."""
        done = self.run(*args, values=values, check=False)
        assert done.returncode != 0, f"{self.program} {' '.join(args)} should have failed:\n{done.stdout}"
        return done.stderr + done.stdout

    def releases(self, *more: str) -> list[dict[str, str]]:
        """List releases of all namespaces, of whatever state."""
        found: list[dict[str, str]] = json.loads(self.run("list", "-A", "-o", "json", *more).stdout)
        return found

    def rendered(self, values: Values | None = None, *more: str, chart: Path = CHART) -> list[dict[str, Any]]:
        """Render a chart, and give its documents."""
        text = self.run("template", "homeostat", str(chart), *more, values=values or {}).stdout
        return [one for one in yaml.safe_load_all(text) if one]


def merged(first: Values, *others: Values) -> dict[str, Any]:
    """Merge values as Helm does: maps key by key, all else as a whole."""
    result: dict[str, Any] = dict(first)
    for other in others:
        for key, value in other.items():
            held = result.get(key)
            result[key] = merged(held, value) if isinstance(held, dict) and isinstance(value, Mapping) else value
    return result


def nested(dotted: str, value: object) -> dict[str, Any]:
    """Give the values in which a dotted path is set, as `--set` does."""
    result: Any = value
    for word in reversed(dotted.split(".")):
        result = {word: result}
    assert isinstance(result, dict)
    return result
