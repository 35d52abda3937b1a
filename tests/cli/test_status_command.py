"""`homeostat status`: what it reads, what it shows, and what it says when it cannot read."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from cli.routed import GROUP, Answers, items, routed, run
from contract.kube_server import client_of
from homeostat.api.meta import format_precise_time
from homeostat.cli import desk
from homeostat.cli.showing import as_text
from homeostat.cli.silence import silence
from homeostat.cli.status import look as status_look
from homeostat.cli.status.command import main
from homeostat.cli.status.look import Blocks, Watching
from homeostat.cli.status.report import Standing, as_screen
from homeostat.kube.apiserver.client import Patience
from homeostat.ports import Clock, Unavailable

SHOP = f"{GROUP}/namespaces/shop"
KINDS = ("servicelevelobjectives", "healthchecks", "recoverypolicies", "chaosexperiments", "gamedays")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def check(name: str, state: str, **more: Any) -> dict[str, Any]:
    status = {"observedGeneration": 1, "state": state, **more}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"service": more.pop("of", name)},
        "status": status,
    }


def cluster(*checks: dict[str, Any], where: str = SHOP, freezes: Any = None) -> Answers:
    return {
        **{f"{where}/{kind}": items() for kind in KINDS},
        f"{where}/healthchecks": items(*checks),
        f"{GROUP}/freezes": items() if freezes is None else freezes,
    }


WELL = check("search", "Healthy", score=100)
DOWN = check("checkout", "Unhealthy", score=0, message="2 of 3 endpoints fail", since="2026-01-02T02:00:00Z")
FREEZE: dict[str, Any] = {
    "metadata": {"name": "outage"},
    "spec": {"stops": ["Chaos", "Recovery"], "reason": "hands off", "namespaces": ["shop"]},
    "status": {"engaged": True, "stopped": [{"kind": "RecoveryPolicy", "namespace": "shop", "name": "restart"}]},
}


async def test_what_is_wrong_comes_first_with_its_reason_and_what_is_well_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, api = await run(main, tmp_path, cluster(WELL, DOWN))
    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert lines[0].endswith("1 service wrong, 1 well")
    assert lines[2] == "WRONG  checkout  score 0"
    assert lines[3].startswith("  Unhealthy  hc/checkout  2 of 3 endpoints fail (for ")
    assert lines[5] == "well  search  score 100  1 check"
    assert not api.writes


async def test_when_all_is_well_the_exit_code_is_0(tmp_path: Path) -> None:
    assert (await run(main, tmp_path, cluster(WELL)))[0] == 0


async def test_freezes_stand_at_the_top_with_what_they_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = await run(main, tmp_path, cluster(WELL, freezes=items(FREEZE)))
    told = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "FROZEN outage: no chaos and no recovery in shop until it is lifted: hands off" in told
    assert "stopped RecoveryPolicy shop/restart" in told
    assert told.index("FROZEN") < told.index("search")


async def test_a_freeze_of_another_namespace_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = FREEZE | {"spec": {**FREEZE["spec"], "namespaces": ["bank"]}}
    await run(main, tmp_path, cluster(WELL, freezes=items(elsewhere)))
    assert "FROZEN" not in capsys.readouterr().out


async def test_a_kind_that_may_not_be_listed_is_said_and_the_rest_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = cluster(WELL) | {f"{SHOP}/recoverypolicies": 403}
    code, _ = await run(main, tmp_path, table)
    told = capsys.readouterr().out
    assert "not shown: recoverypolicies: you may not list them" in told
    assert "well  search" in told
    assert code == 2, "it cannot be said that all is well"


async def test_freezes_that_a_user_of_a_namespace_may_not_list_do_not_spoil_the_answer(tmp_path: Path) -> None:
    assert (await run(main, tmp_path, cluster(WELL, freezes=403)))[0] == 0


async def test_something_wrong_outweighs_something_that_could_not_be_read(tmp_path: Path) -> None:
    assert (await run(main, tmp_path, cluster(DOWN) | {f"{SHOP}/recoverypolicies": 403}))[0] == 1


async def test_who_may_list_nothing_is_told_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table: Answers = {f"{SHOP}/{kind}": 403 for kind in KINDS} | {f"{GROUP}/freezes": 403}
    code, _ = await run(main, tmp_path, table)
    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert told.err == "homeostat: status: nothing can be read here: you may not list them (try -n NAMESPACE)\n"


async def test_without_the_crds_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (await run(main, tmp_path, {}))[0] == 2
    assert "are the CRDs of homeostat installed?" in capsys.readouterr().err


async def test_a_service_that_is_named_is_shown_in_full_and_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = await run(main, tmp_path, cluster(WELL, DOWN), "search")
    told = capsys.readouterr().out
    assert code == 0
    assert "Healthy  hc/search  score 100" in told
    assert "checkout" not in told


async def test_a_service_that_there_is_not_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (await run(main, tmp_path, cluster(WELL), "serach"))[0] == 2
    assert "there is no service 'serach' in namespace shop" in capsys.readouterr().err


async def test_all_namespaces_are_named_with_their_services(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await run(main, tmp_path, cluster(WELL, where=GROUP), "-A")
    assert "well  shop/search" in capsys.readouterr().out


async def test_json_has_every_object_with_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await run(main, tmp_path, cluster(DOWN), "-o", "json")
    told = json.loads(capsys.readouterr().out)
    assert told["level"] == "Wrong"
    assert told["services"][0]["objects"] == [
        {
            "object": "hc/checkout", "level": "Wrong", "state": "Unhealthy", "why": "2 of 3 endpoints fail",
            "since": "2026-01-02T02:00:00Z", "score": 0,
        }
    ]  # fmt: skip


async def test_a_name_from_the_cluster_does_not_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = check("checkout", "Unhealthy", message="\x1b[2J[red]gone\nnext")
    await run(main, tmp_path, cluster(evil))
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "[red]gone next" in told


LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/homeostat-leader"


def lease(namespace: str, renewed: datetime) -> dict[str, Any]:
    metadata = {"name": "homeostat-leader", "namespace": namespace, "uid": "u", "resourceVersion": "1"}
    spec = {"holderIdentity": "homeostat-1", "leaseDurationSeconds": 15, "renewTime": format_precise_time(renewed)}
    return {"metadata": metadata, "spec": spec}


async def test_that_all_is_well_is_not_said_when_no_operator_has_looked_for_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = lease("homeostat-system", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    code, _ = await run(main, tmp_path, cluster(WELL) | {LEASE.format("homeostat-system"): dead})
    told = capsys.readouterr().out
    assert code == 2
    assert told.startswith("OLD: no operator has led since 2026-01-02T03:04:05Z")
    assert "1 well" in told


@pytest.mark.parametrize("own", [403, 404, "lives"])
async def test_an_operator_of_the_namespace_counts_and_one_that_may_not_be_seen_is_no_alarm(
    own: Any, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    old = LEASE.format("homeostat-system"), lease("homeostat-system", now - timedelta(days=1))
    leases = dict([old]) | {LEASE.format("shop"): lease("shop", now)} if own == "lives" else {old[0]: own}
    assert (await run(main, tmp_path, cluster(WELL) | leases))[0] == 0


async def test_an_operator_anywhere_counts_for_who_may_see_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    leases = items(lease("homeostat-system", now - timedelta(days=1)), lease("elsewhere", now))
    assert (await run(main, tmp_path, cluster(WELL) | {"/apis/coordination.k8s.io/v1/leases": leases}))[0] == 0


async def test_a_clock_that_is_fast_here_makes_nothing_old() -> None:
    class Fast:
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(hours=1)

    table = {LEASE.format("homeostat-system"): lease("homeostat-system", datetime.now(UTC))}
    async with routed(table) as api, client_of(api.url) as client:
        assert await silence(client, "shop", cast("Clock", Fast())) == ""


async def test_a_spec_that_no_operator_has_looked_at_yet_is_not_called_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = WELL | {"metadata": WELL["metadata"] | {"generation": 2}}
    code, _ = await run(main, tmp_path, cluster(edited))
    assert code == 1
    assert "its status is about an earlier spec" in capsys.readouterr().out


async def test_that_there_is_nothing_is_not_said_of_what_may_not_be_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = await run(main, tmp_path, cluster() | {f"{SHOP}/gamedays": 403})
    assert code == 2
    assert "there is nothing of homeostat here that you may list" in capsys.readouterr().out


async def test_where_there_is_nothing_one_is_told_how_to_look_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(main, tmp_path, cluster())
    assert "there is nothing of homeostat here; -A looks everywhere" in capsys.readouterr().out


def test_a_watch_rests_for_longer_the_longer_a_look_takes() -> None:
    assert [status_look.rest_after(took, every=2.0) for took in (0.0, 0.1, 3.0)] == [2.0, 2.0, 12.0]


def test_many_services_that_are_well_fit_on_a_screen() -> None:
    from homeostat.cli.status.objects import finding_of  # noqa: PLC0415
    from homeostat.core.standing import by_service  # noqa: PLC0415

    services = by_service((finding_of("hc", check(f"s{number}", "Healthy")) for number in range(50)), {})
    told = as_text(as_screen(Standing(datetime(2026, 11, 22, tzinfo=UTC), "shop", "", services, (), {})))
    assert len(told.splitlines()) <= 24
    assert "and 30 more are well" in told


class Kept:
    """A screen that keeps what it is shown, and is looked at so many times."""

    def __init__(self, times: int) -> None:
        self.shown: list[tuple[Standing, str]] = []
        self._times = times

    def show(self, standing: Standing, stale: str) -> bool:
        self.shown.append((standing, stale))
        return len(self.shown) < self._times


async def test_a_watch_outlives_the_api_server_and_says_meanwhile_that_it_is_old() -> None:
    table, screen = cluster(WELL), Kept(1)
    async with routed(table) as api, client_of(api.url, patience=Patience(timeout=5.0, total=0.0)) as client:
        watching = Watching(client, "shop", "", screen)
        assert (await watching.look())[1] == ""
        table |= dict.fromkeys(table, 503)
        standing, stale = await watching.look()
        again = (await watching.look())[1]
        table |= cluster(DOWN)
        fresh, is_old = await watching.look()
    assert stale.startswith("OLD: since ")
    assert "the API server does not answer" in stale
    assert stale == again, "what does not change is not printed again"
    assert [one.name for one in standing.services] == ["search"]
    assert ([one.name for one in fresh.services], is_old) == (["checkout"], "")


async def test_a_watch_that_never_had_an_answer_fails() -> None:
    impatient = Patience(timeout=5.0, total=0.0)
    async with routed(dict.fromkeys(cluster(), 503)) as api, client_of(api.url, patience=impatient) as client:
        with pytest.raises(Unavailable):
            await Watching(client, "shop", "", Kept(1)).keep_looking()


async def test_a_watch_ends_when_nobody_looks_any_more() -> None:
    async with routed(cluster(WELL)) as api, client_of(api.url) as client:
        screen = Kept(3)
        await Watching(client, "shop", "", screen).keep_looking(every=0.0)
    assert len(screen.shown) == 3


async def test_without_a_terminal_only_a_change_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    table = cluster(WELL)
    async with routed(table) as api, client_of(api.url) as client:
        watching, blocks = Watching(client, "shop", "", Kept(1)), Blocks("text")
        for change in ({}, {}, cluster(DOWN)):
            table |= change
            assert blocks.show(*await watching.look())
    assert capsys.readouterr().out.count("namespace shop at") == 2
