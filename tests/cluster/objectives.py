"""What stories about objectives share: manifests, whoever pushes events and reads alerts, and what kubectl prints."""

import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster.installation import apply, token_of
from cluster.manifests import OURS, Manifest
from cluster.operator_process import ROOT
from cluster.stage import Stage
from cluster.waiting import PATIENCE, until

SLO = "ServiceLevelObjective"
CHECKOUT = "checkout"
ANSWERS_WITHIN = PATIENCE  # more than the `kubectl wait --timeout=60s` of a line that is typed
HURRY = {
    "homeostat.core.objective.evaluation:QUIET": 1.0,
    "homeostat.core.objective.evaluation:SURVEYED": 1.0,
    "homeostat.core.objective.watch:TROUBLED": 1.0,
}
"""For hurried.py: objectives are looked at every second, not every half minute."""

Answer = tuple[int, dict[str, Any]]


def slo(name: str = CHECKOUT, indicator: Manifest | None = None, **spec: Any) -> Manifest:
    """99 % of what is pushed is good, within 30 days."""
    defaults = {
        "service": "checkout",
        "objective": "99",
        "window": {"rolling": "30d"},
        "indicator": indicator or {"events": {}},
    }
    return {"apiVersion": OURS, "kind": SLO, "metadata": {"name": name}, "spec": defaults | spec}


def ago(**by: float) -> str:
    """Write a time of the past, such as `ago(minutes=5)`."""
    return f"{datetime.now(UTC) - timedelta(**by):%Y-%m-%dT%H:%M:%SZ}"


def entry(good: int = 0, bad: int = 0, **more: Any) -> Manifest:
    """One entry of a batch."""
    return {"good": good, "bad": bad} | more


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token (or none) who speaks to the API of the operator that serves a stage."""

    stage: Stage
    token: str = ""

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> Answer:
        """Ask `/api/v1` + path; give code and answer. Raises OSError when nobody answers."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.stage.one.api}/api/v1{path}"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own URL on loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWERS_WITHIN) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def push(self, *entries: Manifest, key: str = "", name: str = CHECKOUT) -> Answer:
        """Push a batch."""
        return self.ask("POST", f"/slo/{self.stage.namespace}/{name}/events", {"events": entries}, key)

    def deliver(self, *entries: Manifest, key: str = "", name: str = CHECKOUT) -> None:
        """Push a batch, again with the same key until it is taken: rights and objectives are known a moment later."""

        def taken() -> bool:
            code, answer = self.push(*entries, key=key, name=name)
            assert code in {200, 403, 404, 409, 503}, answer
            return code == 200

        until(taken, f"events are taken for {name}")

    def alerts(self, *filters: str) -> list[dict[str, Any]]:
        """Read the alerts of the stage."""
        asked = "".join(f"&filter={one}" for one in filters)
        code, answer = self.ask("GET", f"/alerts?namespace={self.stage.namespace}{asked}")
        assert code == 200, answer
        found: Any = answer
        return list(found)


def pipeline(stage: Stage, *verbs: str) -> Caller:
    """Make somebody with a right to push events and, by `verbs`, to the objectives themselves (`get`, `list`)."""
    name, group = "pipeline", "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["homeostat.dev"], "resources": ["servicelevelobjectives/events"], "verbs": ["create"]}]
    rules += [{"apiGroups": ["homeostat.dev"], "resources": ["servicelevelobjectives"], "verbs": list(verbs)}]
    who = {"kind": "ServiceAccount", "name": name, "namespace": stage.namespace}
    metadata = {"metadata": {"name": name, "namespace": stage.namespace}}
    role = {"apiGroup": group, "kind": "Role", "name": name}
    apply(stage.api, {"apiVersion": "v1", "kind": "ServiceAccount", **metadata})
    apply(stage.api, {"apiVersion": f"{group}/v1", "kind": "Role", **metadata, "rules": rules[: 1 + bool(verbs)]})
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", **metadata, "roleRef": role, "subjects": [who]}
    apply(stage.api, binding)
    return Caller(stage, token_of(stage.api, stage.namespace, name))


def bystander(stage: Stage) -> Caller:
    """Give somebody whom the cluster knows and who has no right: an account that every namespace has."""
    return Caller(stage, token_of(stage.api, stage.namespace, "default"))


# --- what is shown --------------------------------------------------------------------------------------


def until_counted(stage: Stage, good: int, bad: int, name: str = CHECKOUT) -> dict[str, Any]:
    """Wait until the status shows exactly these counts; more of them end the wait at once."""

    def look(status: dict[str, Any]) -> bool:
        counts = status.get("good") or 0, status.get("bad") or 0
        assert counts[0] <= good, f"{counts}: more than {good} are good"
        assert counts[1] <= bad, f"{counts}: more than {bad} are bad"
        return counts == (good, bad)

    return stage.until_status(SLO, look, f"{good} good and {bad} bad", name)


def until_condition(
    stage: Stage, type_: str, status: str, reason: str, name: str = CHECKOUT, seconds: float = PATIENCE
) -> str:
    """Wait until a condition is so, and give its message."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(stage.condition(SLO, type_, name))
        return (found.get("status"), found.get("reason")) == (status, reason)

    try:
        until(look, f"{name}: {type_} {status} {reason}", seconds)
    except AssertionError as error:
        error.add_note(json.dumps(found))
        raise
    return str(found["message"])


def names_of(status: dict[str, Any]) -> list[str]:
    """Name the alerts of a status."""
    return sorted(f"{one['type']} {one.get('long', '')}".strip() for one in status.get("alerts", ()))


def shell(stage: Stage, command: str, **environment: str) -> str:
    """Run a line for bash, where `kubectl` is the cluster's; give what it prints."""
    told = os.environ.get("KUBECTL") or shutil.which("kubectl")
    assert told, "no kubectl: put it on PATH or set KUBECTL"
    defined = f'kubectl() {{ {told} --kubeconfig={shlex.quote(str(stage.kubeconfig))} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", defined + command],
        env={**os.environ, "NO_PROXY": "*", "no_proxy": "*", **environment},
        capture_output=True, text=True, timeout=ANSWERS_WITHIN, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
    return done.stdout.strip()


def printed(stage: Stage, name: str = CHECKOUT) -> dict[str, str]:
    """Give what `kubectl get slo -o wide` prints of an objective, by column."""
    heading, line = shell(stage, f"kubectl -n {stage.namespace} get slo {name} -o wide").splitlines()
    starts = [match.start() for match in re.finditer(r"\S+( \S+)*", heading)]
    cells = [slice(*pair) for pair in zip(starts, [*starts[1:], None], strict=True)]
    return {heading[cell].strip(): line[cell].strip() for cell in cells}


def shown_commands(document: str, *beginnings: str) -> Sequence[str]:
    """Give the commands of a document that begin so, each whole, with what follows on indented lines."""
    lines = (ROOT / "docs" / document).read_text().replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and line.strip().startswith(beginnings)]
