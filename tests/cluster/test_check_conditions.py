"""What surrounds a probe, on a real cluster: dependencies, flapping, rest, Secrets that change, edits, ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.manifests import SHOP, Manifest, deployment, health_check, policy, secret, service
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

MISSING = {"workload": {"kind": "Deployment", "name": "nobody"}}
"""A probe that needs no pods: it fails."""
QUICK = {"failureThreshold": 1, "successThreshold": 1}
CALM: dict[str, Any] = {"interval": "2s", "timeout": "2s"}
"""For whom events are counted: a machine that stops for a few seconds is no silence, which would be told, too."""


def http(path: str = "/", **fields: Any) -> dict[str, Any]:
    return {"http": {"service": {"name": SHOP, "port": "http", "path": path}, **fields}}


def events_of(shop: Stage, name: str, *reasons: str) -> list[str]:
    """Give what was told of a HealthCheck, oldest first, each as often as it was told."""
    found = [one for one in shop.all_events() if one["regarding"]["name"] == name]
    found = [one for one in found if one["regarding"]["kind"] == "HealthCheck" and one["reason"] in reasons]
    found.sort(key=lambda one: one["eventTime"])
    return [one["reason"] for one in found for _ in range((one.get("series") or {}).get("count", 1))]


def let_runs_pass(shop: Stage, name: str, runs: int = 4) -> None:
    """Wait until a check was asked so many times more."""
    before = sum(shop.results(name).values())
    until(lambda: sum(shop.results(name).values()) >= before + runs, f"{runs} runs of {name}")


# --- dependencies ---------------------------------------------------------------------------------------


def test_while_the_database_is_down_nobody_is_told_of_the_shop_and_no_policy_acts_on_it(shop: Stage) -> None:
    """H5, R14: held back with a reason that names it, and told once the database is up and the shop is not."""
    database = health_check("database", probe={"http": {"service": {"name": "database", "port": "http"}}}, **CALM)
    child = health_check(dependsOn=[{"name": "database"}], **CALM)
    pods = shop.open_shop(deployment(1, "database"), service("database"), database, policy(), check=child, replicas=2)
    shop.until_told({SHOP: ("Healthy", ""), "database": ("Healthy", "")})
    assert shop.condition("HealthCheck", "DependenciesHealthy")["status"] == "True"

    down = next(one["metadata"]["name"] for one in shop.all_of("Pod") if one["metadata"]["name"] not in pods)
    shop.break_pod(down)
    shop.until_state("Unhealthy", "database")
    shop.break_pod(min(pods))
    assert shop.until_state("Unhealthy")["suppressedBy"] == ["database"]
    held = shop.condition("HealthCheck", "DependenciesHealthy")
    assert (held["status"], held["reason"]) == ("False", "Suppressing")
    blocked = shop.until_blocked("DependencyUnhealthy")["blocked"]
    assert "HealthCheck database" in blocked["message"]
    let_runs_pass(shop, SHOP)
    assert shop.pods() == pods
    assert events_of(shop, SHOP, "Unhealthy") == []

    shop.heal_pod(down)
    shop.until_state("Healthy", "database")
    until(lambda: events_of(shop, SHOP, "Unhealthy") == ["Unhealthy"], "it is told now")
    shop.until_recovered()
    assert not shop.until_state("Healthy").get("suppressedBy")
    until(lambda: events_of(shop, SHOP, "Unhealthy", "Recovered") == ["Unhealthy", "Recovered"], "its end is told")


def test_that_the_shop_is_well_again_is_told_although_the_database_is_down(shop: Stage) -> None:
    """H5: only the beginning of an alarm is ever held back, never its end; and never by a check that is not there."""
    pod = min(shop.open_shop(check=health_check(dependsOn=[{"name": "database"}], **CALM), replicas=1))
    shop.until_state("Healthy")
    shop.break_pod(pod)
    shop.until_state("Unhealthy")
    assert shop.condition("HealthCheck", "DependenciesHealthy")["reason"] == "DependencyUnknown"
    shop.put(health_check("database", probe=MISSING))
    shop.until_state("Unhealthy", "database")
    shop.until_status("HealthCheck", lambda it: it.get("suppressedBy") == ["database"], "it knows of the database")
    shop.heal_pod(pod)
    shop.until_state("Healthy")

    until(lambda: events_of(shop, SHOP, "Unhealthy", "Recovered") == ["Unhealthy", "Recovered"], "its end is told")


def test_a_circle_of_dependencies_is_refused_by_all_in_it_and_holds_nothing_back(shop: Stage) -> None:
    """H5: Ready=False with the way round, until one of them lets go; they go on probing all the while."""
    ring = {"a": "b", "b": "c", "c": "a", "self": "self", "outside": "a"}
    shop.put(*(health_check(name, probe=MISSING, dependsOn=[{"name": to}]) for name, to in ring.items()))
    for name in ("a", "b", "c", "self"):
        ready = until(lambda name=name: refusal(shop, name), f"{name} is refused")
        assert ready["reason"] == "DependencyCycle"
        assert "->" in ready["message"]
        shop.until_state("Unhealthy", name)
    assert "a -> b -> c -> a" in shop.condition("HealthCheck", "Ready", "a")["message"]
    until(lambda: events_of(shop, "a", "Unhealthy"), "what fails in a circle is told")
    assert shop.until_state("Unhealthy", "outside")["suppressedBy"] == ["a"]

    shop.patch("HealthCheck", {"spec": {"dependsOn": []}}, "c")
    for name in ("a", "b", "c", "outside"):
        until(lambda name=name: not refusal(shop, name), f"{name} is accepted")
    shop.until_status("HealthCheck", lambda it: it.get("suppressedBy") == ["c"], "it counts again", "b")


def refusal(shop: Stage, name: str) -> dict[str, Any] | None:
    """Give the condition Ready while it is False."""
    ready = shop.condition("HealthCheck", "Ready", name)
    return ready if ready.get("status") == "False" else None


# --- flapping and rest ----------------------------------------------------------------------------------


def test_turns_of_a_check_that_flaps_are_told_once_until_it_is_steady(shop: Stage) -> None:
    """H2: the third turn within the window is the last that is told; a window without any ends it by itself."""
    flapping = {"transitions": 3, "window": "2m"}
    pod = min(shop.open_shop(check=health_check(flapping=flapping, **QUICK, **CALM), replicas=1))
    shop.until_state("Healthy")
    for _ in range(3):
        shop.break_pod(pod)
        shop.until_state("Unhealthy")
        shop.heal_pod(pod)
        shop.until_state("Healthy")
    assert shop.condition("HealthCheck", "Flapping")["status"] == "True"
    assert len(shop.status("HealthCheck")["transitions"]) == 6
    told = ("Unhealthy", "Recovered", "Flapping")
    until(lambda: events_of(shop, SHOP, *told) == list(told), "two turns are told, and then that it flaps")
    until(lambda: shop.one.metric(rf'^homeostat_check_flapping.*"{shop.namespace}"') == 1, "it is counted")

    until(lambda: shop.condition("HealthCheck", "Flapping")["status"] == "False", "steady again", 300)
    until(lambda: events_of(shop, SHOP, *told, "FlappingEnded") == [*told, "FlappingEnded"], "its end is told")


def test_in_maintenance_nothing_is_asked_and_nothing_counts(shop: Stage) -> None:
    """H1: the target is broken all along: in the time its failure is nobody's business, after it it is."""
    shop.put(deployment(1), service())
    pod = min(shop.until_serving(1))
    shop.break_pod(pod)
    now = datetime.now(UTC)
    ends = now + timedelta(seconds=40)
    window = {"start": stamp(now - timedelta(hours=1)), "end": stamp(ends), "reason": "new shelves"}
    later = {"start": stamp(now + timedelta(hours=1)), "end": stamp(now + timedelta(hours=2))}
    shop.put(health_check(maintenance=[window, later], **QUICK))
    status = shop.until_state("Suspended")
    assert f"until {stamp(ends)}: new shelves" in status["message"]
    ready = shop.condition("HealthCheck", "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Maintenance")
    results = until(lambda: (it := shop.results()) and it["Skipped"] > 1 and it, "runs are skipped")
    assert sum(results.values()) == results["Skipped"]
    assert shop.counted(pod, "requests")["begun"] == 0

    status = shop.until_state("Unhealthy")
    assert datetime.fromisoformat(status["since"]) >= datetime.fromisoformat(stamp(ends))


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_suspended_check_asks_nothing_until_it_goes_on(shop: Stage) -> None:
    """H1: nor does it count, and the state says why."""
    pod = min(shop.open_shop(health_check("witness", probe=MISSING), check=health_check(**CALM), replicas=1))
    shop.until_state("Healthy")
    shop.patch("HealthCheck", {"spec": {"suspend": True}})
    shop.until_state("Suspended")
    until(lambda: not shop.results(), "it is not counted any more")
    asked = shop.counted(pod, "requests")
    shop.break_pod(pod)
    let_runs_pass(shop, "witness", 8)  # longer than what is known of it would be good for
    assert shop.counted(pod, "requests") == asked
    assert shop.status("HealthCheck")["state"] == "Suspended"

    shop.patch("HealthCheck", {"spec": {"suspend": False}})
    shop.until_state("Unhealthy")
    assert events_of(shop, SHOP, "Unhealthy", "Recovered", "Stale") == ["Unhealthy"]


# --- Secrets --------------------------------------------------------------------------------------------


def keyed(key: str = "key", of: str = "keys", **expect: Any) -> dict[str, Any]:
    """A request with a header from a Secret."""
    return http("/echo", headersFrom=[{"name": "X-Key", "secretRef": {"name": of, "key": key}}], expect=expect)


def test_a_secret_may_come_later_and_change(shop: Stage) -> None:
    """H9: until it is there the check is refused by name; a new value comes into use by itself."""
    wanted = {name: keyed(json=f"json.headers['x-key'] == '{name}'") for name in ("old", "new")}
    shop.put(deployment(1), service(), *(health_check(name, probe=probe) for name, probe in wanted.items()))
    shop.until_serving(1)
    shop.until_told(dict.fromkeys(wanted, ("Unknown", "SecretNotFound")))
    assert shop.condition("HealthCheck", "Ready", "old")["status"] == "False"

    shop.put(secret("keys", key="old\n"))
    shop.until_told({"old": ("Healthy", ""), "new": ("Unhealthy", "UnexpectedBody")})
    assert shop.condition("HealthCheck", "Ready", "new")["status"] == "True"

    shop.put(secret("keys", key="new\n"))
    shop.until_told({"old": ("Unhealthy", "UnexpectedBody"), "new": ("Healthy", "")})


def test_a_secret_that_is_of_no_use_is_sent_nowhere(shop: Stage) -> None:
    """H9: a key that is not there, a type that is a key to the cluster, a pair that is none."""
    account = secret("account", "kubernetes.io/service-account-token", key="to the cluster")
    account["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    shop.put(deployment(1), service(), secret("keys", key="fits"))
    pod = min(shop.until_serving(1))
    shop.put(account)  # Kubernetes takes it away when the account is not there yet
    pair = {"clientCertRef": {"secretRef": {"name": "keys"}}}
    probes = {"no-key": keyed("other"), "account": keyed("token", "account"), "no-pair": http(tls=pair)}
    shop.put(*(health_check(name, probe=probe) for name, probe in probes.items()))
    shop.until_told(dict.fromkeys(probes, ("Unknown", "SecretUnusable")))
    for name in probes:
        let_runs_pass(shop, name, 2)

    assert shop.counted(pod, "requests")["begun"] == 0


# --- edits and ends -------------------------------------------------------------------------------------


def slow_check(name: str = SHOP) -> Manifest:
    """A check whose run takes eight seconds, and then fails: time enough to edit or delete it meanwhile."""
    probe = http("/buy", expect={"status": ["500"]})
    return health_check(name, probe=probe, interval="10s", timeout="10s", **QUICK)


def open_slow_shop(shop: Stage) -> str:
    """Open a shop where buying takes eight seconds; give its pod once a check waits for that."""
    shop.put(deployment(1), service())
    pod = min(shop.until_serving(1))
    shop.break_pod(pod, "slow", path="/buy", delay="8s")
    shop.put(slow_check())
    until(lambda: is_busy(shop, pod), "a run is under way")
    return pod


def is_busy(shop: Stage, pod: str) -> bool:
    counted = shop.counted(pod, "requests")
    return counted["begun"] > counted["ended"]


def test_what_was_asked_before_an_edit_does_not_count_after_it(shop: Stage) -> None:
    """H3: the run of the old spec ends as a failure, which is no failure of the new one."""
    pod = open_slow_shop(shop)
    shop.put(health_check(probe=http(), **QUICK))
    status = shop.until_state("Healthy")
    assert status["observedGeneration"] == 2
    until(lambda: not is_busy(shop, pod), "what was asked before is answered")
    let_runs_pass(shop, SHOP)

    assert shop.results()["Fail"] == 0
    assert not shop.status("HealthCheck").get("transitions")
    assert events_of(shop, SHOP, "Unhealthy") == []


def test_a_check_that_is_deleted_while_it_runs_leaves_nothing_behind(shop: Stage) -> None:
    """H3: no more requests, series or events; another of its name begins anew."""
    shop.put(health_check("witness", probe=MISSING))
    pod = open_slow_shop(shop)
    shop.delete("HealthCheck")
    until(lambda: shop.find("HealthCheck") is None, "it is gone at once, and has no finalizer")
    until(lambda: not is_busy(shop, pod), "what was asked is answered")
    asked = shop.counted(pod, "requests")
    let_runs_pass(shop, "witness", 6)
    assert shop.counted(pod, "requests") == asked
    assert f'namespace="{shop.namespace}",name="{SHOP}"' not in shop.one.get("/metrics")[1]
    assert events_of(shop, SHOP, "Unhealthy", "Stale", "Recovered") == []

    shop.put(health_check(probe=http(), **QUICK))
    status = shop.until_state("Healthy")
    assert status["observedGeneration"] == 1
    let_runs_pass(shop, SHOP)
    assert shop.results()["Fail"] == 0


def test_a_name_that_is_used_again_at_once_does_not_inherit_a_run(shop: Stage) -> None:
    """H3: deleted and made again while it runs: the answer to the old one is not taken for the new one's."""
    pod = open_slow_shop(shop)
    shop.delete("HealthCheck")
    shop.put(health_check(probe=http(), **QUICK))
    until(lambda: not is_busy(shop, pod), "what was asked before is answered")
    shop.until_state("Healthy")
    let_runs_pass(shop, SHOP)

    assert shop.results()["Fail"] == 0
    assert not shop.status("HealthCheck").get("transitions")


def test_through_any_number_of_edits_there_is_one_runner(shop: Stage) -> None:
    """H3: after twenty edits in a row each result is one request."""
    pod = min(shop.open_shop(replicas=1))
    shop.until_state("Healthy")
    for threshold in range(1, 21):
        shop.patch("HealthCheck", {"spec": {"failureThreshold": threshold}})
    shop.until_status("HealthCheck", lambda it: it["observedGeneration"] == 21, "the last edit is seen")
    let_runs_pass(shop, SHOP, 1)
    asked, counted = shop.counted(pod, "requests")["begun"], shop.results()["Pass"]
    let_runs_pass(shop, SHOP, 8)

    more = shop.counted(pod, "requests")["begun"] - asked
    assert more <= shop.results()["Pass"] - counted + 3  # what is shown is up to a second old, on either side
