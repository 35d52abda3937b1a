"""The story the demo tells: install, measure, drill, break, watch it heal. Needs kubectl and KUBECONFIG.

Every time in the timeline is read from what the operator wrote into the API server; the fault's own time is taken
here, before the request that injects it is sent.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGAN = time.monotonic()
NAMESPACE = "shop"
INSTALLED = ("dist/install.yaml", "dist/rights/recovery.yaml", "dist/rights/chaos.yaml")
POLICY, CHECK, OBJECTIVE, EXPERIMENT = "restart-checkout", "checkout", "checkout", "kill-checkout"
SHOWN = "servicelevelobjectives,healthchecks,recoverypolicies,chaosexperiments"
POLL = 0.25  # seconds between two looks at the API server

Object = dict[str, Any]


class Unmet(Exception):
    """Something did not come about in time."""


def say(text: str) -> None:
    """Print one line of progress with the time that has passed."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def kubectl(*arguments: str, stdin: str | None = None, is_quiet: bool = True) -> str:
    """Run kubectl; give what it printed. Ends the demo with its message when it fails."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unmet(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    if not is_quiet:
        print(done.stdout.rstrip(), flush=True)
    return done.stdout


def show(*arguments: str) -> None:
    """Print a kubectl command as a user would type it, and its output."""
    print(f"\n$ kubectl {' '.join(arguments)}", flush=True)
    kubectl(*arguments, is_quiet=False)
    print(flush=True)


def read(kind: str, name: str) -> Object:
    """Read one object of the shop."""
    found: Object = json.loads(kubectl("get", kind, name, "-n", NAMESPACE, "-o", "json"))
    return found


def until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition; say every ten seconds what is waited for."""
    began = told = time.monotonic()
    while not holds():
        now = time.monotonic()
        if now - began > seconds:
            raise Unmet(f"{what}: not within {seconds:.0f} s")
        if now - told > 10:  # noqa: PLR2004
            say(f"waiting: {what}")
            told = now
        time.sleep(POLL)


def state(kind: str, name: str, field: str) -> str:
    """Read one field of an object's status."""
    return str(read(kind, name).get("status", {}).get(field, ""))


# --- the chapters ---------------------------------------------------------------------------------------


def install() -> None:
    """Install the kinds and the operator. A Freeze would rightly stop the story: somebody wanted everything stopped."""
    say("installing the kinds and the operator (dist/install.yaml), and what it may do (dist/rights/)")
    for path in INSTALLED:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / path))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
    # A demo that is run again runs the operator as it was built now.
    kubectl("-n", "homeostat-system", "rollout", "restart", "deployment/homeostat")
    kubectl("-n", "homeostat-system", "rollout", "status", "deployment/homeostat", "--timeout=120s")
    freezes = kubectl("get", "freezes", "-o", "name").split()
    if freezes:
        raise Unmet(
            f"{freezes[0]} stops chaos and recovery; when that is no longer wanted: kubectl delete {freezes[0]}"
        )
    say("the operator runs")


def open_shop() -> None:
    """Open the shop and say what is expected of it."""
    say("opening the sample shop: three pods of checkout behind a Service (examples/shop.yaml)")
    kubectl("delete", "chaosexperiments", "--all", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    kubectl("delete", SHOWN, "--all", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")  # budgets begin anew
    kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--ignore-not-found", "--wait=false")  # faults go with them
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "examples" / "shop.yaml"))
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/checkout", "--timeout=90s")
    for name in ("healthcheck", "servicelevelobjective", "recoverypolicy"):
        kubectl("apply", "-f", str(ROOT / "examples" / f"{name}.yaml"))
    until("the shop is healthy", is_healthy, 60)
    until("the policy is at rest", lambda: state("recoverypolicy", POLICY, "phase") == "Idle", 120)
    until("the objective has data", lambda: bool(state("servicelevelobjective", OBJECTIVE, "sli")), 90)
    say("the shop is measured and healthy")
    show("get", SHOWN, "-n", NAMESPACE)


def is_healthy() -> bool:
    """Whether all checks of the shop are Healthy."""
    checks = json.loads(kubectl("get", "healthchecks", "-n", NAMESPACE, "-o", "json"))["items"]
    return all(check.get("status", {}).get("state") == "Healthy" for check in checks)


def drill() -> None:
    """Lose a pod on purpose, and have the experiment judge. First of all: while a page is open no drill begins (C8)."""
    say("a drill: a ChaosExperiment that kills a pod (examples/chaosexperiment.yaml)")
    until("the policy is at rest", lambda: state("recoverypolicy", POLICY, "phase") == "Idle", 120)
    kubectl("apply", "-f", str(ROOT / "examples" / "chaosexperiment.yaml"))
    until("the experiment is over", lambda: state("chaosexperiment", EXPERIMENT, "phase") == "Finished", 150)
    status = read("chaosexperiment", EXPERIMENT)["status"]
    print(f"\n  the drill: {status.get('verdict')} ({status.get('reason')}): {status.get('message', '')}")
    for name, value in status.get("timings", {}).items():
        print(f"    {name:<16} {value}")
    for advice in status.get("recommendations", []):
        print(f"    {advice}")
    print(flush=True)
    if status.get("verdict") != "Passed":
        raise Unmet("the drill did not pass")


def break_a_pod() -> tuple[str, datetime, int]:
    """Make one pod fail its users while the kubelet finds it well; give its name, when, and the bad runs so far."""
    bad_before = int(state("servicelevelobjective", OBJECTIVE, "bad") or 0)
    pods = json.loads(kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=checkout", "-o", "json"))["items"]
    name = min(pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"])
    say(f"breaking {name}: users get 503, the kubelet's probe goes on to pass")
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/http:{name}:8081/proxy/fault"
    at = datetime.now(UTC)
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps({"kind": "fail", "status": 503, "duration": "10m"}))
    return name, at, bad_before


def watch_it_heal(pod: str, injected: datetime, bad_before: int) -> None:
    """Wait for the operator to heal the shop, and print how it went."""
    until("the operator noticed", lambda: state("healthcheck", CHECK, "state") == "Unhealthy" or healed(injected), 60)
    show("get", "pods", "-n", NAMESPACE, "-l", "app=checkout")
    until("the operator healed the shop and verified it", lambda: healed(injected), 120)
    attempt = newest(injected)
    spent = budget_spent(bad_before, moment(attempt["recoveredAt"]))
    print(f"\n  the loop, for {pod}")
    for label, at in (
        ("injected", injected),
        ("detected", moment(attempt["detectedAt"])),
        ("acted", moment(attempt["actedAt"])),
        ("recovered", moment(attempt["recoveredAt"])),
        ("verified", moment(attempt["endedAt"])),
    ):
        after = "" if at == injected else f"  after {(at - injected).total_seconds():6.2f} s"
        print(f"    {label:<10} {at.astimezone(UTC):%H:%M:%S.%f}"[:-3] + after)
    print(f"    {'by':<10} {', '.join(attempt['targets'])}")
    print(f"    {'budget':<10} {spent}\n", flush=True)
    if attempt["outcome"] != "Recovered":
        raise Unmet(f"the attempt ended as {attempt['outcome']}")


def farewell() -> None:
    """Show where things stand, and what to try next."""
    show("get", SHOWN, "-n", NAMESPACE)
    say("the cluster stays up. Next:")
    print(f"    {os.environ.get('HOMEOSTAT_DEMO_ENV', '')}          # first: let kubectl speak to this cluster")
    print(f"    kubectl describe rp {POLICY} -n {NAMESPACE}      # why it did what it did")
    print(f"    kubectl get chaos {EXPERIMENT} -n {NAMESPACE} -o yaml     # what the drill did and saw")
    print("    kubectl apply -f examples/freeze.yaml && kubectl get freeze       # stop everything")
    print("    kubectl delete -f examples/freeze.yaml                            # and let it go on")
    print(f"    {os.environ.get('HOMEOSTAT_DEMO_DOWN', './hack/demo --down')}                          # remove it all")


# --- reading what the operator wrote --------------------------------------------------------------------


def moment(text: str) -> datetime:
    """Read a time of the API."""
    return datetime.fromisoformat(text)


def newest(since: datetime) -> Object:
    """Give the newest attempt that began after `since`; empty when there is none that is over."""
    last = read("recoverypolicy", POLICY).get("status", {}).get("last", [])
    return next((one for one in last if moment(one["startedAt"]) >= since and "recoveredAt" in one), {})


def healed(since: datetime) -> bool:
    """Whether an attempt that began after `since` is over."""
    return bool(newest(since))


def budget_spent(bad_before: int, recovered: datetime) -> str:
    """Say what the fault cost, once the objective's figures are from after the recovery."""

    def status() -> Object:
        found: Object = read("servicelevelobjective", OBJECTIVE)["status"]
        return found

    until("the objective shows the cost", lambda: moment(status()["window"]["end"]) >= recovered, 90)
    budget, bad = status()["budget"], status()["bad"] - bad_before
    return f"{bad} bad runs; {budget['consumed']} % of the 30-day error budget consumed, {budget['remaining']} % left"


def remove() -> None:
    """Take everything out of an existing cluster again."""
    kubectl("delete", "chaosexperiments", "--all", "-A", "--ignore-not-found", "--timeout=120s")
    for path in ("examples/shop.yaml", *reversed(INSTALLED)):
        say(f"deleting {path}")
        kubectl("delete", "-f", str(ROOT / path), "--ignore-not-found", "--timeout=120s")


def main() -> int:
    """Tell the story; give the exit code."""
    try:
        if "--remove" in sys.argv[1:]:
            remove()
            return 0
        install()
        open_shop()
        drill()
        watch_it_heal(*break_a_pod())
        farewell()
    except KeyboardInterrupt:
        say("stopped; the cluster stays up, and the demo may be run again")
        return 130
    except Unmet as error:
        say(f"the demo cannot go on: {error}")
        blocked = subprocess.run(  # the policy itself says best why nothing was done
            ["kubectl", "get", "recoverypolicies", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status.blocked}"],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        if blocked:
            print(f"    the policy says: {blocked}", file=sys.stderr)
        print("    look at: kubectl -n homeostat-system logs deployment/homeostat", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
