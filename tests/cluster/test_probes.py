"""Each kind of probe on a real cluster: real pods, asked by the operator as it is installed."""

import time
import uuid
from typing import Any

import pytest

from cluster.installation import install
from cluster.manifests import (
    SAMPLE,
    SHOP,
    Manifest,
    deployment,
    deployment_with_tls,
    health_check,
    secret,
    service,
)
from cluster.stage import Stage
from cluster.waiting import until
from contract.certificates import AUTHORITY, KEY, certificate

pytestmark = pytest.mark.cluster

HIDDEN = f"hidden-{uuid.uuid4().hex}"
"""A value that stands in Secrets, and must stand nowhere else."""
DAY = 86_400

Told = dict[str, tuple[dict[str, Any], str, str]]
"""By name of a check: its probe, the state it comes to, and the word that says what is wrong."""


def tell(shop: Stage, told: Told) -> None:
    """Put the checks, and wait until each of them tells what it should."""
    shop.put(*(health_check(name, probe=probe) for name, (probe, _, _) in told.items()))
    shop.until_told({name: (state, word) for name, (_, state, word) in told.items()})


def at(port: str) -> dict[str, Any]:
    return {"service": {"name": SHOP, "port": port}}


def http(path: str = "/", **fields: Any) -> dict[str, Any]:
    return {"http": {"service": {"name": SHOP, "port": "http", "path": path}, **fields}}


def https(path: str = "/", host: str = "shop.test", **fields: Any) -> dict[str, Any]:
    service = {"name": SHOP, "port": "https", "path": path, "scheme": "HTTPS", "host": host}
    return {"http": {"service": service, **fields}}


def key(name: str, of: str = "keys") -> dict[str, Any]:
    return {"secretRef": {"name": of, "key": name}}


# --- http -----------------------------------------------------------------------------------------------


def test_an_http_answer_is_judged_by_all_that_is_expected_of_it(shop: Stage) -> None:
    """H1, H9: header, body, JSON, redirects; what the target does wrong fails, what the spec does wrong is Invalid."""
    shop.put(secret("keys", header=f"{HIDDEN}\n", body='{"password": "open sesame"}'))
    shop.open_healthy_shop(replicas=1)
    keyed = [{"name": "X-Key", **key("header")}]
    typed = {"content-type": "^application/json"}
    tell(
        shop,
        {
            "header": (
                http("/echo", headersFrom=keyed, expect={"json": f"size(json.headers['x-key']) == {len(HIDDEN)}"}),
                "Healthy", "",
            ),
            "login": (
                http("/login", method="POST", bodyFrom=key("body"), expect={"json": "has(json.token)"}), "Healthy", "",
            ),
            "body": (http(expect={"body": {"contains": "sample", "matches": r"^homeostat \w+\s*$"}}), "Healthy", ""),
            "headers": (http("/echo", expect={"headers": typed}), "Healthy", ""),
            "old": (http("/old", expect={"status": ["302"]}), "Healthy", ""),
            "followed": (http("/old", followRedirects=1, expect={"body": {"contains": "sample"}}), "Healthy", ""),
            "not-followed": (http("/old"), "Unhealthy", "Redirected"),
            "nowhere": (http("/nowhere"), "Unhealthy", "UnexpectedStatus"),
            "other-body": (http(expect={"body": {"contains": "another shop"}}), "Unhealthy", "UnexpectedBody"),
            "other-json": (http("/echo", expect={"json": "json.method == 'PUT'"}), "Unhealthy", "UnexpectedBody"),
            "no-json": (http(expect={"json": "json.method == 'GET'"}), "Unhealthy", "UnexpectedBody"),
            "other-headers": (http(expect={"headers": typed}), "Unhealthy", "UnexpectedHeader"),
            "other-port": ({"http": {"service": {"name": SHOP, "port": "metrics"}}}, "Unknown", "UnknownPort"),
            "no-expression": (http("/echo", expect={"json": "json.method =="}), "Unknown", "InvalidExpression"),
        },
    )  # fmt: skip

    assert_hidden(shop)


def assert_hidden(shop: Stage) -> None:
    """H9: what is in a Secret is in no status, event, metric or log."""
    written = [shop.all_of("HealthCheck"), shop.all_events(), shop.one.get("/metrics")[1], shop.one.words()]
    assert all(written)
    assert not [text for text in written if HIDDEN in str(text)]


def test_a_certificate_is_trusted_by_the_authority_in_a_secret_and_its_end_is_known(shop: Stage) -> None:
    """H9: HTTPS with caRef; a certificate that ends too soon fails before it does, until it is renewed."""
    ends = {"first": round(time.time()) + 10 * DAY, "renewed": round(time.time()) + 90 * DAY}
    for name, end in ends.items():
        chain = certificate(SHOP + ".test", "homeostat test ca", until=end)
        shop.put(secret(name, "kubernetes.io/tls", tls_crt=chain, tls_key=KEY))
    shop.put(secret("authorities", ca=AUTHORITY))
    shop.put(deployment_with_tls("first"), service())
    shop.until_serving(1)
    trusting = {"caRef": key("ca", "authorities")}
    handshake = {**at("https"), "serverName": "shop.test", **trusting}
    tell(
        shop,
        {
            "https": (https(tls=trusting), "Healthy", ""),
            "http2": (
                https("/echo", tls=trusting, version="HTTP2", expect={"json": "json.protocol == 'HTTP/2.0'"}),
                "Healthy", "",
            ),
            "by-name": (https(host="other.test", tls={**trusting, "serverName": "shop.test"}), "Healthy", ""),
            "untrusted": (https(), "Unhealthy", "CertificateUntrusted"),
            "other-host": (https(host="other.test", tls=trusting), "Unhealthy", "CertificateWrongHost"),
            "no-tls": (http() | {"http": http()["http"] | {"service": https()["http"]["service"] | {"port": "http"}}},
                       "Unhealthy", "TlsFailed"),
            "long": ({"tls": {**handshake, "minValidity": "7d"}}, "Healthy", ""),
            "soon": ({"tls": {**handshake, "minValidity": "14d"}}, "Unhealthy", "CertificateExpiresSoon"),
        },
    )  # fmt: skip
    for name in ("https", "http2", "long", "soon"):
        assert expiry(shop, name) == ends["first"]
    assert "certificateExpiry" not in shop.status("HealthCheck", "no-tls")

    shop.put(deployment_with_tls("renewed"))
    shop.until_state("Healthy", "soon")
    until(lambda: expiry(shop, "https") == ends["renewed"], "the new end is known")
    pattern = rf'^homeostat_check_certificate_expiry_timestamp_seconds.*"{shop.namespace}",name="soon"'
    until(lambda: shop.one.metric(pattern) == ends["renewed"], "the new end is in the metrics")


def expiry(shop: Stage, name: str) -> int:
    """Give epoch seconds."""
    return round(
        time.mktime(time.strptime(shop.status("HealthCheck", name)["certificateExpiry"], "%Y-%m-%dT%H:%M:%SZ"))
    )


# --- other protocols ------------------------------------------------------------------------------------


def test_a_tcp_answer_is_matched(shop: Stage) -> None:
    """H9: send and expect; a peer that is silent costs no more than the timeout."""
    victim = min(shop.open_healthy_shop(replicas=1))
    asking = {**at("http"), "send": "GET /livez HTTP/1.0\r\n\r\n"}
    tell(
        shop,
        {
            "opens": ({"tcp": at("http")}, "Healthy", ""),
            "answers": ({"tcp": {**asking, "expect": r"^HTTP/1\.[01] 200 OK"}}, "Healthy", ""),
            "otherwise": ({"tcp": {**asking, "expect": "^SSH-2"}}, "Unhealthy", "UnexpectedAnswer"),
            "silent": ({"tcp": {**at("http"), "expect": "."}}, "Unhealthy", "Timeout"),
            "closed": ({"tcp": at("https")}, "Unhealthy", "ConnectionRefused"),
        },
    )

    shop.break_pod(victim, "refuse")
    shop.until_told(dict.fromkeys(("opens", "answers"), ("Unhealthy", "ConnectionRefused")))


def test_names_are_asked_of_a_name_server(shop: Stage) -> None:
    """The cluster's own: a Service has its address there, and what is not there has none."""
    shop.open_healthy_shop(replicas=1)
    address = shop.read("Service")["spec"]["clusterIP"]
    server = name_server(shop)

    def dns(name: str = SHOP, **fields: Any) -> dict[str, Any]:
        return {"dns": {"name": f"{name}.{shop.namespace}.svc.cluster.local", "server": server, **fields}}

    tell(
        shop,
        {
            "there": (dns(), "Healthy", ""),
            "with-address": (dns(expect=[address]), "Healthy", ""),
            "other-address": (dns(expect=["192.0.2.1"]), "Unhealthy", "UnexpectedAnswer"),
            "other-type": (dns(type="AAAA"), "Unhealthy", "NoSuchRecord"),
            "not-there": (dns("nobody"), "Unhealthy", "NoSuchName"),
        },
    )


def name_server(shop: Stage) -> str:
    """Give the address that kubelets tell pods to ask for names."""
    node = shop.all_of("Pod")[0]["spec"]["nodeName"]
    code, answer = shop.api("GET", f"/api/v1/nodes/{node}/proxy/configz")
    assert code == 200, answer
    server: str = answer["kubeletconfig"]["clusterDNS"][0]
    return server


def test_each_endpoint_of_a_service_is_asked_by_grpc_as_they_come_and_go(shop: Stage) -> None:
    """H4: one that is NOT_SERVING is named; of those that come and go each is asked at the next interval."""
    grpc = health_check("pricing", probe={"grpc": at("grpc")})
    half = health_check("half", probe={"grpc": at("grpc")}, minPassing="50%")
    unknown = health_check("unknown", probe={"grpc": {**at("grpc"), "healthService": "shop.v1.Nobody"}})
    victim = min(shop.open_healthy_shop(grpc, half, unknown, replicas=2))
    shop.until_told({"pricing": ("Healthy", ""), "half": ("Healthy", ""), "unknown": ("Unhealthy", "UnknownService")})
    shop.break_pod(victim)
    shop.until_told({"pricing": ("Unhealthy", "NotServing"), "half": ("Degraded", "NotServing")})
    status = shop.status("HealthCheck", "pricing")
    assert (status["passing"], [one["name"] for one in status["failing"]]) == ("1/2", [victim])

    shop.heal_pod(victim)
    shop.until_state("Healthy", "pricing")
    for replicas in (4, 2, 3):
        shop.patch("Deployment", {"spec": {"replicas": replicas}})
        shop.until_serving(replicas)
        wanted = f"{replicas}/{replicas}"
        for name in ("pricing", "half"):
            shop.until_status("HealthCheck", lambda it, wanted=wanted: it.get("passing") == wanted, wanted, name)


def test_what_a_pod_alone_can_ask_is_asked_as_the_operator_is_installed(stage: Stage) -> None:
    """H9: echo requests without any capability, the cluster's names, and the one address that is never asked."""
    install(stage)
    stage.put(deployment(1), service())
    stage.until_serving(1)
    pod = stage.all_of("Pod")[0]["status"]["podIP"]
    name = f"{SHOP}.{stage.namespace}.svc.cluster.local"
    tell(
        stage,
        {
            "echo": ({"icmp": {"host": pod}}, "Healthy", ""),
            "name": ({"dns": {"name": name}}, "Healthy", ""),
            "no-name": ({"dns": {"name": f"no-{name}"}}, "Unhealthy", "NoSuchName"),
            "by-name": ({"http": {"url": f"http://{name}/"}}, "Healthy", ""),
            "by-no-name": ({"http": {"url": f"http://no-{name}/"}}, "Unhealthy", "NameNotResolved"),
            "api-server": ({"tcp": {"address": "kubernetes.default.svc:443"}}, "Unknown", "AddressNotAllowed"),
        },
    )

    stage.patch("Deployment", {"spec": {"replicas": 0}})
    stage.until_serving(0)
    stage.until_state("Unhealthy", "echo")


# --- what Kubernetes and Prometheus say ------------------------------------------------------------------


def test_a_workload_is_told_by_what_ails_it(shop: Stage) -> None:
    """A crash and a missing image by their names; both are well again once the workload is."""
    images = {"crashing": SAMPLE, "imageless": "homeostat.dev/no-such-image:dev"}
    shop.put(*(deployment(1, name, image, ["-no-such-flag"]) for name, image in images.items()))
    until(lambda: "CrashLoopBackOff" in str(shop.all_of("Pod")), "the kubelet gives up for a while")
    until(lambda: "ErrImage" in str(shop.all_of("Pod")), "the kubelet misses the image")
    told = {"crashing": "CrashLoopBackOff", "imageless": "ImagePullBackOff", "missing": "TargetNotFound"}
    probes = {name: {"workload": {"kind": "Deployment", "name": name}} for name in told}
    tell(shop, {name: (probes[name], "Unhealthy", reason) for name, reason in told.items()})
    assert shop.status("HealthCheck", "crashing")["passing"] == "0/1"

    shop.put(*(deployment(1, name) for name in told))
    shop.until_told(dict.fromkeys(told, ("Healthy", "")))


def test_a_query_without_a_prometheus_to_ask_is_refused(shop: Stage) -> None:
    """H1: not a failure of anybody: Invalid, and Ready says so for as long as it is so."""
    tell(shop, {"query": ({"promql": {"query": "up", "condition": "> 0"}}, "Unknown", "NoPrometheus")})
    results = until(lambda: (it := shop.results("query")).get("Invalid", 0) > 6 and it, "it is asked again and again")

    assert sum(results.values()) == results["Invalid"]
    ready = shop.condition("HealthCheck", "Ready", "query")
    assert (ready["status"], ready["reason"]) == ("False", "NoPrometheus")


def test_a_job_passes_by_its_exit_code_and_leaves_nothing_behind(shop: Stage) -> None:
    """The last of them runs on when its check is deleted: with the check go the Job and its pod."""
    args = {"passes": "-h", "fails": "-no-such-flag", "runs-on": "-http=:8080"}  # the sample ends with 0, with 2, never
    seconds = {"passes": "45s", "fails": "45s", "runs-on": "10s"}  # to begin and end a pod takes its time
    for name, argument in args.items():
        times = {"interval": seconds[name], "timeout": seconds[name], "failureThreshold": 1}
        shop.put(health_check(name, probe=job(argument), **times))
    shop.until_told(
        {"passes": ("Healthy", ""), "fails": ("Unhealthy", "JobFailed"), "runs-on": ("Unhealthy", "Timeout")}
    )
    until(lambda: any(is_of(one, "runs-on") for one in shop.all_of("Job")), "it runs again")

    for name in args:
        shop.delete("HealthCheck", name)
    until(lambda: not shop.all_of("Job") and not shop.all_of("Pod"), "nothing is left")


def job(argument: str) -> dict[str, Any]:
    container = {"name": "ask", "image": SAMPLE, "imagePullPolicy": "Never", "args": [argument]}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {"job": {"template": {"spec": pod}}}


def is_of(one: dict[str, Any], check: str) -> bool:
    return any(owner["name"] == check for owner in one["metadata"]["ownerReferences"])


# --- several steps --------------------------------------------------------------------------------------


def journey() -> Manifest:
    """Log in, open a session, look at it, buy, and close it, whatever happened."""
    logged_in = {"Authorization": "Bearer {{token}}"}
    steps = [
        {"name": "login", "capture": {"token": "json.token"}, **http("/login", method="POST", bodyFrom=key("body"))},
        {
            "name": "open",
            "capture": {"id": "json.id"},
            **http("/sessions", method="POST", headers=logged_in, expect={"status": ["201"]}),
        },
        {
            "name": "look",
            **http("/sessions/{{id}}", headers=logged_in, expect={"json": "json.id.startsWith('session')"}),
        },
        {"name": "buy", **http("/buy", method="POST", body='{"session": "{{id}}"}', expect={"json": "json.order > 0"})},
        {"name": "close", "always": True, **http("/sessions/{{id}}", method="DELETE", headers=logged_in)},
    ]
    return health_check("journey", probe={"steps": steps}, interval="2s", timeout="2s")


def test_a_journey_clears_up_after_itself_also_when_a_step_fails(shop: Stage) -> None:
    """H4: each run keeps to one of the pods; after a failure the session is closed, and what came after is not done."""
    shop.put(secret("keys", body='{"password": "open sesame"}'))
    pods = shop.open_healthy_shop(replicas=2)
    shop.put(journey())
    shop.until_state("Healthy", "journey")
    for pod in pods:
        until(lambda pod=pod: shop.counted(pod, "sessions")["made"], "each pod has its turn")
        shop.break_pod(pod, path="/buy")
    status = shop.until_state("Unhealthy", "journey")
    assert [(one["name"], one["reason"]) for one in status["failing"]] == [("buy", "UnexpectedStatus")]

    before = sum(shop.counted(pod, "sessions")["made"] for pod in pods)
    until(lambda: sum(shop.counted(pod, "sessions")["made"] for pod in pods) > before + 1, "more sessions are opened")
    shop.delete("HealthCheck", "journey")
    for pod in pods:
        until(lambda pod=pod: shop.counted(pod, "sessions")["open"] == 0, "no session is left open")


def test_a_journey_that_cannot_begin_asks_for_nothing_more(shop: Stage) -> None:
    """A wrong password ends it at its first step: no session is made, and what is always done has nothing to do."""
    shop.put(secret("keys", body='{"password": "guess"}'))
    pod = min(shop.open_healthy_shop(replicas=1))
    shop.put(journey())
    status = shop.until_state("Unhealthy", "journey")

    assert [(one["name"], one["reason"]) for one in status["failing"]] == [("login", "UnexpectedStatus")]
    assert shop.counted(pod, "sessions") == {"open": 0, "made": 0}
