"""Runbooks and webhooks of a RecoveryPolicy on real pods, with the very rights of dist/."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typing_extensions import override

from cluster.manifests import SAMPLE, Manifest, policy, secret
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

KEY = "a key that nobody guesses"
RESTART = {"restartPods": {"which": "Failing"}, "timeout": "1m"}


def runbook(argument: str, timeout: str = "1m") -> Manifest:
    """The sample as a Job: `-h` ends with 0, an unknown flag with 2, `-http=:8080` never."""
    container = {"name": "clean", "image": SAMPLE, "imagePullPolicy": "Never", "args": [argument]}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {"job": {"template": {"spec": pod}}, "timeout": timeout}


def records(stage: Stage, name: str) -> list[dict[str, Any]]:
    """Give the attempts of one step, newest first."""
    return [one for one in stage.status("RecoveryPolicy").get("last", []) if one["name"] == name]


# --- runbooks -------------------------------------------------------------------------------------------


def test_a_runbook_runs_once_and_its_logs_are_kept(shop: Stage) -> None:
    """R2, R7: complete, it is verified; the record names the Job, whose log is still there."""
    before = shop.open_healthy_shop(policy(steps=[runbook("-h")]))
    shop.break_pod(min(before))
    until(lambda: [one for one in shop.all_of("Job") if one.get("status", {}).get("succeeded")], "the runbook ran")
    shop.heal_pod(min(before))
    record = shop.until_recovered()
    [job] = shop.all_of("Job")
    [pod] = [one for one in shop.all_of("Pod") if "homeostat.dev/attempt" in one["metadata"]["labels"]]

    assert record["targets"] == [f"RunJob {job['metadata']['name']}"]
    assert shop.pods() == before
    environment = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert environment["HOMEOSTAT_TARGET_NAME"] == "shop"
    assert environment["HOMEOSTAT_TRIGGER"] == "healthCheck shop"
    assert environment["HOMEOSTAT_PODS"] == min(before)
    assert pod["metadata"]["labels"]["job-name"] == job["metadata"]["name"]


def test_a_runbook_that_fails_gives_way_to_the_next_step_at_once(shop: Stage) -> None:
    """R16: JobFailed, then the next step heals."""
    before = shop.open_healthy_shop(policy(steps=[runbook("-no-such-flag", "30m"), RESTART]))
    shop.break_pod(min(before))
    until(lambda: [one for one in records(shop, "restartPods") if one["outcome"] == "Recovered"], "the shop recovers")
    failed = records(shop, "job")

    assert [(one["outcome"], one["reason"]) for one in failed] == [("Failed", "JobFailed")]
    assert len(shop.all_of("Job")) == 1


def test_a_runbook_that_never_ends_is_ended_and_gives_way(shop: Stage) -> None:
    """R16: JobTimeout; Kubernetes itself ends the Job."""
    before = shop.open_healthy_shop(policy(steps=[runbook("-http=:8080", "8s"), RESTART]))
    shop.break_pod(min(before))
    until(lambda: [one for one in records(shop, "restartPods") if one["outcome"] == "Recovered"], "the shop recovers")

    assert [one["reason"] for one in records(shop, "job")] == ["JobTimeout"]
    until(lambda: shop.all_of("Job")[0].get("status", {}).get("failed") is not None, "the Job is ended")


# --- webhooks -------------------------------------------------------------------------------------------


@contextmanager
def receiver(*codes: int, host: str = "127.0.0.1") -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Answer with each code in turn, the last for ever; give the URL and what was received."""
    received: list[tuple[dict[str, str], bytes]] = []
    left = list(codes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        @override
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_address[1]}/hook", received
        server.shutdown()


def is_genuine(headers: dict[str, str], body: bytes) -> bool:
    signed = headers["x-homeostat-timestamp"].encode() + b"." + body
    wanted = "sha256=" + hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, headers["x-homeostat-signature"])


def test_an_address_that_may_not_be_reached_is_not_called(shop: Stage) -> None:
    """H9: nobody has the operator call loopback; AddressDenied, and the next step heals."""
    with receiver(200) as (url, received):
        before = shop.open_healthy_shop(policy(steps=[{"webhook": {"url": url}, "timeout": "30m"}, RESTART]))
        shop.break_pod(min(before))
        until(lambda: [one for one in records(shop, "restartPods") if one["outcome"] == "Recovered"], "it recovers")

    assert [one["reason"] for one in records(shop, "webhook")] == ["AddressDenied"]
    assert received == []


def test_a_webhook_is_called_until_it_answers_and_a_human_is_told_once(stage: Stage) -> None:
    """R2, R16: one Idempotency-Key for each, signatures that verify, and the operator killed in between."""
    allowed = ("--allow-networks", json.dumps([f"{stage.host}/32"]))
    with receiver(503, 503, 204, host=stage.host) as (url, received):
        webhook = {"url": url, "secretRef": {"name": "hooks", "key": "key"}}
        steps = [{"webhook": webhook, "timeout": "1m"}, {"escalate": {"summary": "help", "webhook": webhook}}]
        verify = {"holdFor": "0s", "deadline": "3s"}
        first = stage.start(*allowed, identity="first", direct=True)
        before = stage.open_healthy_shop(secret("hooks", key=KEY), policy(steps=steps, verify=verify))
        stage.break_pod(min(before))
        until(lambda: received, "the webhook was called")
        first.kill()
        stage.start(*allowed, identity="second", direct=True)
        status = stage.until_status(
            "RecoveryPolicy", lambda it: it.get("escalated", {}).get("webhook") == "Delivered", "a human was told"
        )

    bodies = [json.loads(body) for _, body in received]
    assert all(is_genuine(headers, body) for headers, body in received)
    assert [one["id"] for one in bodies] == [headers["idempotency-key"] for headers, _ in received]
    assert len({one["id"] for one in bodies if one["kind"] == "Attempt"}) == 1
    [told] = [one for one in bodies if one["kind"] == "Escalation"]
    assert told["id"] == status["escalated"]["id"]
    assert told["target"] == {"kind": "Deployment", "name": "shop"}
    assert told["tried"]
