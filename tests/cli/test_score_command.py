"""`homeostat score`: what it reads from an API server, what it prints, and how it fails: in one line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.kube_server import Behaviour, answers, credentials, refuses, resets, says, serving
from fakes import check_body
from homeostat.cli import desk
from homeostat.cli.checks.score import main, score
from homeostat.cli.checks.score_report import as_json, as_table, check_score_of, report_on
from homeostat.kube.apiserver.client import Patience
from homeostat.ports import Forbidden, Gone, Unavailable

PATH = "/apis/homeostat.dev/v1alpha1"


def check(
    name: str, service: str, criticality: str, state: str, score: int | None = None, **more: Any
) -> dict[str, Any]:
    status = {"state": state, **({} if score is None else {"score": score})}
    status |= {"trend": more.pop("trend")} if "trend" in more else {}
    return check_body(name, {"service": service, "criticality": criticality}, status=status, **more)


CHECKOUT = [
    check("checkout", "checkout", "Critical", "Healthy", 100, trend="Stable"),
    check("cart", "checkout", "High", "Degraded", 33, trend="Stable"),
    check("vouchers", "checkout", "Low", "Unhealthy", 0, trend="Worsening"),
    check("basket", "checkout", "Medium", "Unknown"),
]
PAYMENT = [
    check("card", "payment", "Critical", "Unhealthy", 0, trend="Worsening", namespace="bank"),
    check("bank", "payment", "High", "Healthy", 100, namespace="bank"),
    check("invoice", "payment", "High", "Healthy", 100, namespace="bank"),
    check("ledger", "payment", "Medium", "Healthy", 100, namespace="bank"),
]
NEWSLETTER = [check("newsletter", "", "Low", "Healthy", 100, trend="Stable")]
RESTING = [check("resting", "", "Low", "Suspended")]
ALL = [*CHECKOUT, *PAYMENT, *NEWSLETTER, *RESTING]


def listing(bodies: list[dict[str, Any]], token: str = "") -> Behaviour:
    return answers(200, {"items": bodies, "metadata": {"continue": token} if token else {}})


def printed(bodies: list[dict[str, Any]], namespace: str = "") -> str:
    return as_table(report_on(map(check_score_of, bodies), namespace))


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for nothing, and finds no kubeconfig but the test's."""
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def kubeconfig(folder: Path, server: str, namespace: str = "shop") -> str:
    path = folder / "config"
    context = {"cluster": "here", "user": "me", "namespace": namespace}
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "test",
                "contexts": [{"name": "test", "context": context}],
                "clusters": [{"name": "here", "cluster": {"server": server}}],
                "users": [{"name": "me", "user": {"token": "known"}}],
            }
        )
    )
    return str(path)


async def run(folder: Path, server: str, *arguments: str) -> int:
    """Run the command as a shell would, beside the server."""
    return await asyncio.to_thread(main, ["--kubeconfig", kubeconfig(folder, server), *arguments])


# --- what is read ---------------------------------------------------------------------------------------


async def test_a_namespace_is_read_page_by_page_and_the_cluster_without_one() -> None:
    async with serving(listing(CHECKOUT[:2], "more"), listing(CHECKOUT[2:])) as api:
        report = await score(credentials(api.url), "shop")

        assert [one.path for one in api.seen] == [f"{PATH}/namespaces/shop/healthchecks"] * 2
        assert api.seen[1].query["continue"] == "more"
        assert (report.score.value, report.score.known, report.score.total) == (71, 3, 4)
    async with serving(listing(ALL)) as api:
        report = await score(credentials(api.url), "")

        assert [one.path for one in api.seen] == [f"{PATH}/healthchecks"]
        assert report.score.value == 62


async def test_a_check_that_comes_twice_counts_once() -> None:
    """A listing that expires under way begins again: the later is the newer."""
    later = [check("newsletter", "", "Low", "Unhealthy", 0)]
    async with serving(listing(NEWSLETTER, "more"), refuses(410, "Expired"), listing(later)) as api:
        report = await score(credentials(api.url), "shop")

    assert (report.score.value, report.score.total) == (0, 1)


async def test_nothing_is_written() -> None:
    async with serving(listing(ALL)) as api:
        await score(credentials(api.url), "")

        assert {one.method for one in api.seen} == {"GET"}


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (resets, Unavailable),
        (says("not json"), Unavailable),
        (refuses(403, "Forbidden"), Forbidden),
        (answers(404), Gone),
    ],
    ids=["reset", "text", "forbidden", "no CRDs"],
)
async def test_an_api_server_that_does_not_answer_well_is_an_error(
    behaviour: Behaviour, error: type[Exception]
) -> None:
    async with serving(behaviour) as api:
        with pytest.raises(error):
            await score(credentials(api.url), "")


def test_what_a_newer_release_says_is_not_known_rather_than_an_error() -> None:
    strange = check("web", "", "Paramount", "Glorious", trend="Sideways")
    bare = {"metadata": {"name": "bare", "namespace": "shop"}}
    report = report_on(map(check_score_of, [strange, bare]), "shop")

    assert (report.score.value, report.score.trend, report.score.known, report.score.total) == (None, None, 0, 2)


# --- what is printed ------------------------------------------------------------------------------------


def test_the_table_has_the_worst_service_first_and_what_is_unknown_last() -> None:
    services = [line.split()[1] for line in printed(ALL).splitlines()[3:]]

    assert services == ["payment", "checkout", "newsletter", "resting"]


def test_the_table_of_the_documentation_is_what_is_printed() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "scores.md").read_text()
    shown = "".join(f"    {line}\n" if line else "\n" for line in printed(ALL).splitlines())

    assert f"    $ homeostat score -A\n{shown}" in page


def test_a_namespace_without_checks_says_so() -> None:
    assert printed([], "shop") == "namespace shop: no HealthChecks"


def test_the_worst_check_is_the_one_that_costs_most() -> None:
    report = report_on(
        map(check_score_of, [check("a", "s", "Low", "Unhealthy", 0), check("b", "s", "Critical", "Degraded", 50)]), ""
    )

    assert report.services[0].worst is not None
    assert report.services[0].worst.name == "b"


def test_a_name_cannot_command_the_terminal() -> None:
    """Everywhere: text from the cluster is data; escaping on every output."""
    shown = printed([check("we\x1b[2Jb", "", "Low", "Unhealthy", 0), check("x", "s\nforged", "Low", "Healthy", 100)])

    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 5


def test_json_says_the_same() -> None:
    data = as_json(report_on(map(check_score_of, ALL), ""))

    assert {key: data[key] for key in ("namespace", "score", "trend", "checks", "states")} == {
        "namespace": None,
        "score": 62,
        "trend": "Worsening",
        "checks": {"known": 8, "total": 10},
        "states": {"Healthy": 5, "Degraded": 1, "Unhealthy": 2, "Unknown": 1, "Suspended": 1},
    }
    assert [(one["name"], one["score"]) for one in data["services"]] == [
        ("payment", 49), ("checkout", 71), ("newsletter", 100), ("resting", None),
    ]  # fmt: skip
    assert data["services"][0]["worstCheck"] == {"name": "card", "state": "Unhealthy", "score": 0}


# --- the command ----------------------------------------------------------------------------------------


async def test_the_command_prints_a_table_of_the_namespace_of_the_context(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(listing(CHECKOUT)) as api:
        code = await run(tmp_path, api.url)

        assert api.seen[0].path == f"{PATH}/namespaces/shop/healthchecks"
    told = capsys.readouterr()
    assert code == 0
    assert told.out.startswith("namespace shop: 71, stable; 3 of 4 checks known")
    assert told.err == ""


async def test_the_command_asks_for_the_namespace_or_for_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(listing(PAYMENT)) as api:
        assert await run(tmp_path, api.url, "-n", "bank") == 0
        assert await run(tmp_path, api.url, "-A", "-o", "json") == 0

        assert [one.path for one in api.seen] == [f"{PATH}/namespaces/bank/healthchecks", f"{PATH}/healthchecks"]
    table, _, data = capsys.readouterr().out.partition("{")
    assert table.startswith("namespace bank: 49")
    assert json.loads("{" + data)["score"] == 49


@pytest.mark.parametrize(("least", "code"), [("71", 0), ("72", 1), ("0", 0), ("100", 1)])
async def test_a_score_below_what_is_asked_for_fails_the_command(
    least: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(listing(CHECKOUT)) as api:
        assert await run(tmp_path, api.url, "--fail-under", least) == code
    told = capsys.readouterr()

    assert told.out.startswith("namespace shop: 71")
    assert told.err == (f"homeostat: the score is 71, and should be at least {least}\n" if code else "")


async def test_a_score_that_nobody_knows_does_not_reach_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing data never passes."""
    async with serving(listing([])) as api:
        assert await run(tmp_path, api.url, "--fail-under", "0") == 1
        assert await run(tmp_path, api.url) == 0

    assert capsys.readouterr().err == "homeostat: the score is unknown, and should be at least 0\n"


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (refuses(403, "Forbidden"), "Try -n NAMESPACE"),
        (refuses(401, "Unauthorized"), "401 Unauthorized"),
        (answers(404), "are the CRDs of homeostat installed?"),
        (refuses(500, "InternalError"), "500 InternalError"),
        (resets, "no answer"),
    ],
    ids=["forbidden", "unknown", "no CRDs", "error", "reset"],
)
async def test_what_goes_wrong_is_told_in_one_line(
    behaviour: Behaviour, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(behaviour) as api:
        assert await run(tmp_path, api.url, "-A") == 2
    shown = capsys.readouterr()

    assert shown.out == ""
    assert shown.err.startswith("homeostat: ")
    assert told in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-n", "shop", "-A"], "not allowed with"),
        (["-o", "xml"], "invalid choice"),
        (["--fail-under", "101"], "not a whole number from 0 to 100"),
        (["--fail-under", "-1"], "--fail-under"),
        (["shop"], "unrecognized arguments: shop"),
        (["--kubeconfig", "nowhere/config"], "no kubeconfig at nowhere/config"),
    ],
)
def test_a_bad_command_line_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()

    assert shown.out == ""
    assert told in shown.err
    assert shown.err.count("\n") == 1
