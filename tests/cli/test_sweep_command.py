"""`homeostat chaos sweep --all`: it takes off what an operator holds up, so it begins only where none is known to lead.

What it undoes is tried on a real API server (`tests/cluster/test_sweep.py`).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.routed import GROUP, Answers, items, run
from homeostat.api.chaos import MARKER
from homeostat.api.meta import format_precise_time
from homeostat.cli import desk
from homeostat.cli.chaos import sweep as sweep_command
from homeostat.core.chaos.marker import marker_text
from homeostat.kube.apiserver.client import Patience

OWN = "/namespaces/homeostat-system"
LEASE = f"/apis/coordination.k8s.io/v1{OWN}/leases/homeostat-leader"
DEPLOYMENT = f"PATCH /apis/apps/v1{OWN}/deployments/homeostat"


ORPHAN_THEN = tuple(marker_text(uid, 1, {"replicas": "2"}, {"replicas": "0"}) for uid in ("gone", "e"))


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setattr(sweep_command, "POLL", 0.01)
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def leader(renewed: datetime, holder: str = "homeostat-1") -> dict[str, Any]:
    metadata = {"name": "homeostat-leader", "namespace": "homeostat-system", "uid": "u", "resourceVersion": "1"}
    spec = {
        "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": format_precise_time(renewed),
        "leaseTransitions": 1,
    }  # fmt: skip
    return {"metadata": metadata, "spec": spec}


def held() -> dict[str, Any]:
    """Make an experiment with our finalizer, which a sweep of everything lets go."""
    metadata = {
        "name": "kill", "namespace": "shop", "uid": "e", "resourceVersion": "1", "finalizers": ["homeostat.dev/undo"],
    }  # fmt: skip
    return {"metadata": metadata, "spec": {}, "status": {}}


def cluster(lease: Any) -> Answers:
    shop = "namespaces/shop"
    found = {f"/apis/apps/v1/{shop}/{kind}": items() for kind in ("deployments", "statefulsets", "daemonsets")}
    return found | {
        f"{GROUP}/{shop}/chaosexperiments": items(held()), f"{GROUP}/{shop}/gamedays": items(),
        "/api/v1/nodes": items(),
        f"{GROUP}/{shop}/chaosexperiments/kill": held(), f"/api/v1/{shop}/pods": items(),
        f"/apis/coordination.k8s.io/v1{OWN}/leases": items(), f"/apis/coordination.k8s.io/v1/{shop}/leases": items(),
        f"/api/v1{OWN}/pods": items(), LEASE: lease,
    }  # fmt: skip


async def test_beside_an_operator_nothing_is_taken_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, api = await run(sweep_command.main, tmp_path, cluster(leader(datetime.now(UTC))), "--all", "-n", "shop")
    assert (code, api.writes) == (2, [])
    assert "an operator leads (homeostat-1)" in capsys.readouterr().err


async def test_who_may_not_see_whether_an_operator_leads_may_not_sweep_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, api = await run(sweep_command.main, tmp_path, cluster(403), "--all", "-n", "shop")
    assert (code, api.writes) == (2, [])
    assert "whether an operator leads is not known" in capsys.readouterr().err


async def test_of_a_leader_that_may_not_be_seen_nothing_is_called_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = await run(sweep_command.main, tmp_path, cluster(403), "-n", "shop")
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "nobody leads" not in told.out


async def test_a_clock_that_is_fast_here_makes_no_leader_look_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fast:
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(hours=1)

    monkeypatch.setattr(sweep_command, "SystemClock", Fast)
    code, api = await run(sweep_command.main, tmp_path, cluster(leader(datetime.now(UTC))), "--all", "-n", "shop")
    assert (code, api.writes) == (2, [])
    assert "an operator leads" in capsys.readouterr().err


async def test_an_operator_that_is_told_to_stop_is_waited_for_as_long_as_it_leads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_command, "STOPPED_WITHIN", 0.05)
    table = cluster(leader(datetime.now(UTC))) | {DEPLOYMENT: {}}
    arguments = ("--all", "--stop", "homeostat", "-n", "shop")
    code, api = await run(sweep_command.main, tmp_path, table, *arguments)
    assert code == 2
    assert [(method, body) for method, _, body in api.writes] == [("PATCH", {"spec": {"replicas": 0}})]
    assert "still leads" in capsys.readouterr().err


async def test_a_deployment_that_is_not_there_to_stop_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--all", "--stop", "homestat", "-n", "shop", "--dry-run")
    await run(sweep_command.main, tmp_path, cluster(404), *arguments)
    assert "to stop" not in capsys.readouterr().err, "a dry run stops nothing"
    await run(sweep_command.main, tmp_path, cluster(leader(datetime.now(UTC))), *arguments[:-1])
    assert "there is no Deployment 'homestat' in homeostat-system to stop" in capsys.readouterr().err


async def test_a_fault_that_came_where_an_orphan_was_found_is_left_to_its_experiment(tmp_path: Path) -> None:
    """C3, C12: what nobody answered for a moment ago may be another's by now."""
    shop = "/apis/apps/v1/namespaces/shop/deployments"
    metadata = {"name": "web", "namespace": "shop", "uid": "w", "resourceVersion": "1"}
    reads = iter((*ORPHAN_THEN, *[ORPHAN_THEN[-1]] * 9))

    def web(_body: object) -> dict[str, Any]:
        return {"metadata": metadata | {"annotations": {MARKER: next(reads)}}, "spec": {"replicas": 0}}

    listed = items({"metadata": metadata | {"annotations": {MARKER: ORPHAN_THEN[0]}}})
    code, api = await run(sweep_command.main, tmp_path, cluster(404) | {shop: listed, f"{shop}/web": web}, "-n", "shop")
    assert (code, api.writes) == (1, []), "its experiment, e, bears our finalizer, and nobody leads"
