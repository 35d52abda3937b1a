"""Alerts posted to a real Alertmanager: what it takes, what it calls them, and when it tells others of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from alertmanager_process import RunningAlertmanager, running_alertmanager
from contract.kube_server import answers, hangs, resets, serving, serving_handler
from fakes import eventually
from homeostat.api.objective_status import Alert, AlertType, ServiceLevelObjectiveStatus, Severity
from homeostat.core.objective.firing import FiringAlert, alerts_of
from homeostat.engine.clock import SystemClock
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.alert_post import AlertPost
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.notify import alertmanager as notify
from homeostat.notify.alertmanager import Alertmanager, Fate, Posting
from homeostat.telemetry.metrics import Metrics
from programs import free_port
from pushed import KIND, objective_body

PATIENCE = 20.0


def now() -> datetime:
    return SystemClock().now()


def firing(name: str = "web", group: str = "", since: datetime | None = None) -> FiringAlert:
    alert = Alert(
        severity=Severity.PAGE,
        long=timedelta(hours=1),
        short=timedelta(minutes=5),
        group=group,
        since=since or now() - timedelta(minutes=1),
    )
    [made] = alerts_of("shop", name, "checkout", ServiceLevelObjectiveStatus(alerts=(alert,)))
    return made


def posting(alert: FiringAlert, ends_in: timedelta = timedelta(minutes=4)) -> Posting:
    return Posting(alert, now() + ends_in)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[RunningAlertmanager]:
    """An Alertmanager that tells nobody."""
    with running_alertmanager(tmp_path / "alertmanager") as running:
        yield running


# --- what is posted -----------------------------------------------------------------------------------------


async def test_an_alert_arrives_as_it_is(alertmanager: RunningAlertmanager) -> None:
    alert = firing(group="region=eu,severity=high")
    async with Alertmanager(alertmanager.url) as sink:
        assert await sink.post([posting(alert)]) is Fate.TAKEN
    [known] = alertmanager.alerts()

    assert known["labels"] == {
        "alertname": "HomeostatErrorBudgetBurn",
        "namespace": "shop",
        "slo": "web",
        "service": "checkout",
        "severity": "page",
        "long_window": "1h",
        "short_window": "5m",
        "region": "eu",
        "exported_severity": "high",
    }
    assert known["annotations"] == dict(alert.annotations)
    assert datetime.fromisoformat(known["startsAt"]) == alert.since.replace(
        microsecond=alert.since.microsecond // 1000 * 1000
    )
    assert known["status"]["state"] == "active"


async def test_both_know_an_alert_by_the_same_fingerprint(alertmanager: RunningAlertmanager) -> None:
    alerts = [firing(), firing(group="route=/käse"), firing("api", group="a=1,b=x y")]
    async with Alertmanager(alertmanager.url) as sink:
        assert await sink.post([posting(alert) for alert in alerts]) is Fate.TAKEN

    assert {known["fingerprint"] for known in alertmanager.alerts()} == {alert.fingerprint for alert in alerts}


async def test_an_alert_that_ended_is_gone(alertmanager: RunningAlertmanager) -> None:
    alert = firing()
    async with Alertmanager(alertmanager.url) as sink:
        await sink.post([posting(alert)])
        assert len(alertmanager.alerts()) == 1
        assert await sink.post([posting(alert, timedelta(0))]) is Fate.TAKEN

    assert alertmanager.alerts() == []


async def test_what_it_cannot_take_is_refused_by_name(alertmanager: RunningAlertmanager) -> None:
    bad = FiringAlert((("alertname", "x"), ("not a label", "y")), (), now())
    async with Alertmanager(alertmanager.url) as sink:
        assert await sink.post([posting(bad)]) is Fate.REFUSED


async def test_one_bad_alert_does_not_keep_the_others(alertmanager: RunningAlertmanager) -> None:
    """56: the batch is halved until only what is wrong is left out."""
    good = [firing(f"web-{number}") for number in range(100)]
    bad = FiringAlert((("alertname", "x"), ("not a label", "y")), (), now())

    class Book(AlertBook):
        async def firing(self, namespace: str = "") -> list[FiringAlert]:
            return [*good[:30], bad, *good[30:]]

    async with Alertmanager(alertmanager.url) as sink:
        post = AlertPost(Book(ObjectStore()), sink, SystemClock(), Metrics())
        await post.post_due()

    assert {known["labels"]["slo"] for known in alertmanager.alerts()} == {f"web-{number}" for number in range(100)}
    assert post.is_reachable


# --- what Alertmanager tells others -----------------------------------------------------------------------------


@dataclass(slots=True)
class Webhook:
    """What was told: (status, alertname, slo), in order."""

    told: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        for alert in (await request.json())["alerts"]:
            labels = alert["labels"]
            self.told.append((alert["status"], labels["alertname"], labels["slo"]))
        return web.Response()


@asynccontextmanager
async def listening() -> AsyncIterator[Webhook]:
    webhook = Webhook()
    async with serving_handler(webhook.handle) as url:
        webhook.url = f"{url}/hook"
        yield webhook


class Objectives:
    """A store of objectives whose alerts a test sets."""

    def __init__(self) -> None:
        self.store = ObjectStore()
        self._version = 0

    def set(self, name: str, *alerts: Alert) -> None:
        self._version += 1
        status = ServiceLevelObjectiveStatus(alerts=alerts).wire()
        self.store.put(entry_from(objective_body(name, version=self._version, status=status), KIND))


@asynccontextmanager
async def posting_to(url: str, objectives: Objectives) -> AsyncIterator[AlertPost]:
    """Run what keeps Alertmanager told: one life of the operator."""
    async with Alertmanager(url) as sink:
        post = AlertPost(AlertBook(objectives.store), sink, SystemClock(), Metrics())
        await post.look()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(post.run())
            yield post
            running.cancel()


def burn(severity: Severity = Severity.PAGE) -> Alert:
    return Alert(severity=severity, long=timedelta(hours=1), short=timedelta(minutes=5), since=now())


@pytest.mark.programs
async def test_alerts_fire_and_resolve_once_through_restarts(tmp_path: Path) -> None:
    """Ours and Alertmanager's; what ends while Alertmanager is away is told to have ended when it is back."""
    objectives, port, folder = Objectives(), free_port(), tmp_path / "alertmanager"
    web_alert, api_alert = burn(), Alert(type=AlertType.NO_DATA, severity=Severity.TICKET, since=now())
    async with listening() as webhook:
        with running_alertmanager(folder, webhook.url, port=port) as alertmanager:
            objectives.set("web", web_alert)
            objectives.set("api", api_alert)
            for _ in range(2):
                async with posting_to(alertmanager.url, objectives) as post:
                    await eventually(lambda: len(webhook.told) >= 2, within=PATIENCE)
            async with posting_to(alertmanager.url, objectives):
                objectives.set("api")
                await eventually(lambda: len(webhook.told) >= 3, within=PATIENCE)
        async with posting_to(alertmanager.url, objectives) as post:
            await eventually(lambda: not post.is_reachable, within=PATIENCE)
            objectives.set("web")
            with running_alertmanager(folder, webhook.url, port=port):
                await eventually(lambda: len(webhook.told) >= 4, within=PATIENCE)

    burning, silent = ("HomeostatErrorBudgetBurn", "web"), ("HomeostatNoData", "api")
    assert sorted(webhook.told[:2]) == sorted([("firing", *burning), ("firing", *silent)])
    assert webhook.told[2:] == [("resolved", *silent), ("resolved", *burning)]


@pytest.mark.programs
async def test_an_objective_that_is_deleted_ends_its_alerts(tmp_path: Path) -> None:
    objectives = Objectives()
    objectives.set("web", burn())
    async with listening() as webhook:
        with running_alertmanager(tmp_path / "alertmanager", webhook.url) as alertmanager:
            async with posting_to(alertmanager.url, objectives):
                await eventually(lambda: len(webhook.told) == 1, within=PATIENCE)
                objectives.store.remove(Key(KIND, "shop", "web"))
                await eventually(lambda: len(webhook.told) == 2, within=PATIENCE)

    assert [status for status, _, _ in webhook.told] == ["firing", "resolved"]


@pytest.mark.programs
async def test_an_expected_alert_goes_to_its_owner_until_nobody_expects_it(tmp_path: Path) -> None:
    """C13: told as expected through a restart of ours; then the owner is told its end, and the pager that it fires."""
    objectives, alert = Objectives(), burn()
    async with listening() as pager, listening() as owner:
        with running_alertmanager(tmp_path / "alertmanager", pager.url, owner=owner.url) as alertmanager:
            objectives.set("api", burn())
            objectives.set("web", alert.model_copy(update={"expected_by": "kill-web"}))
            for _ in range(2):
                async with posting_to(alertmanager.url, objectives):
                    await eventually(lambda: len(owner.told) == len(pager.told) == 1, within=PATIENCE)
            async with posting_to(alertmanager.url, objectives):
                objectives.set("web", alert)
                await eventually(lambda: len(owner.told) == len(pager.told) == 2, within=PATIENCE)
                fire = [one["labels"].get("expected_by", "") for one in alertmanager.alerts()]
                objectives.set("web")
                await eventually(lambda: len(pager.told) == 3, within=PATIENCE)

    burning = "HomeostatErrorBudgetBurn"
    assert owner.told == [("firing", burning, "web"), ("resolved", burning, "web")]
    assert pager.told == [("firing", burning, "api"), ("firing", burning, "web"), ("resolved", burning, "web")]
    assert fire == ["", ""]


# --- an Alertmanager that is away or strange ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 503, 301, 401, 403, 404, 429])
async def test_an_answer_that_says_nothing_of_the_alerts_is_no_answer(code: int) -> None:
    moved = {"Location": "http://127.0.0.1:1/"}
    async with serving(answers(code, headers=moved)) as api, Alertmanager(api.url) as sink:
        assert await sink.post([posting(firing())]) is Fate.UNAVAILABLE

    assert len(api.seen) == 1


async def test_without_an_answer_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PATIENCE", 0.1)
    for behaviour in (resets, hangs):
        async with serving(behaviour) as api, Alertmanager(api.url) as sink:
            assert await sink.post([posting(firing())]) is Fate.UNAVAILABLE
    async with Alertmanager(f"http://127.0.0.1:{free_port()}") as sink:
        assert await sink.post([posting(firing())]) is Fate.UNAVAILABLE


async def test_the_token_is_read_anew_for_each_post(tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with serving(answers(200)) as api, Alertmanager(f"{api.url}/am/", str(file)) as sink:
        assert await sink.post([posting(firing())]) is Fate.UNAVAILABLE  # not there yet
        for token in ("first", "second"):
            file.write_text(f"{token}\n")
            assert await sink.post([posting(firing())]) is Fate.TAKEN

    assert [seen.headers["Authorization"] for seen in api.seen] == ["Bearer first", "Bearer second"]
    assert {seen.path for seen in api.seen} == {"/am/api/v2/alerts"}


async def test_a_token_that_no_header_may_hold_ends_nothing(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\nsecond\n")
    async with serving(answers(200)) as api, Alertmanager(api.url, str(file)) as sink:
        assert await sink.post([posting(firing())]) is Fate.UNAVAILABLE


async def test_an_end_is_never_before_the_beginning() -> None:
    """A clock that was set back: Alertmanager would refuse the alert."""
    ahead = firing(since=now() + timedelta(hours=1))
    async with serving(answers(200)) as api, Alertmanager(api.url) as sink:
        await sink.post([posting(ahead)])

    [sent] = api.seen[0].body
    assert sent["endsAt"] == sent["startsAt"]
