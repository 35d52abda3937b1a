"""The operator in a pod that is as the chart makes it, where a story starts, kills and starts it again as it likes.

The pod is that of the Deployment in dist/: its account and token, its security context, image, environment and volumes,
under the restricted Pod Security; of each replica one. Its container only holds the place: an operator is a further
process in it, so that kill -9 meets the operator and not the container. Nobody probes it; that of fixture `shop` is.

What runs beside a test, such as the proxy that breaks its API, is reached by the operator at the address of the API
server. That is so with hack/devcluster, whose Node is on this machine; with any other cluster operators stay processes.
So they do where HOMEOSTAT_TEST_OPERATORS=processes says it.
"""

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import yaml
from typing_extensions import override

from cluster.installation import account_of, apply, deployment_of
from cluster.operator_process import HURRIED, LOOPBACK, OperatorProcess, Running, command_of, kubeconfig_for
from cluster.proxy import FaultProxy
from cluster.stage import Api, Folder, Stage
from cluster.waiting import until

CONTAINER, INSTANCE = "operator", "app.kubernetes.io/instance"
DEVCLUSTER = ip_network("198.19.0.0/16")
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - where the kubelet puts it
MOUNT = "/etc/story"
VOLUME = Path("/var/lib/homeostat")
HOLD = "import signal; end = {signal.SIGTERM}; signal.pthread_sigmask(signal.SIG_BLOCK, end); signal.sigwait(end)"


def address_beside(kubeconfig: Path) -> str:
    """Give the address at which pods reach what runs here; "" where they do not, or where we cannot kill in them."""
    if os.environ.get("HOMEOSTAT_TEST_OPERATORS") == "processes":
        return ""
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    host = urlsplit(server).hostname or ""
    try:
        is_ours = os.geteuid() == 0 and ip_address(host) in DEVCLUSTER
    except ValueError:  # a name
        return ""
    if not is_ours:
        return ""
    try:
        with socket.create_server((host, 0)):
            return host
    except OSError:  # the cluster of another machine
        return ""


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod of a replica, whose container only holds the place."""

    stage: Stage
    identity: str
    name: str
    uid: str
    address: str

    @property
    def volume(self) -> Path:
        """Where its history is on this machine."""
        folder = f"kubelet/pods/{self.uid}/volumes/kubernetes.io~empty-dir/history"
        return self.stage.kubeconfig.parent / folder

    def mount(self, options: str) -> Folder:
        """Mount a file system in memory into its container."""
        [holder] = pids_of(hold(self.stage, self.identity))
        (self.volume / "store").mkdir()
        inside = ["nsenter", "--target", str(holder), "--mount", "--pid"]
        seen = VOLUME / "store"
        subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", options, "homeostat-test", str(seen)], check=True)
        return Folder(seen, Path(f"/proc/{holder}/root{seen}"))

    def run(self, command: Sequence[str], log: BinaryIO) -> "Executed":
        """Run a command in its container."""
        told = os.environ.get("KUBECTL") or shutil.which("kubectl")
        assert told, "no kubectl: put it on PATH or set KUBECTL"
        where = [f"--kubeconfig={self.stage.kubeconfig}", "-n", self.stage.system]
        client = [*shlex.split(told), *where, "exec", self.name, "-c", CONTAINER, "--", *command]
        return Executed(
            command, subprocess.Popen(client, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        )


class Executed:
    """A process in a container: told by the client that waits for it, and met by its id on this machine."""

    def __init__(self, command: Sequence[str], client: "subprocess.Popen[bytes]") -> None:
        self._command = command
        self._client = client

    def poll(self) -> int | None:
        """Give its exit code; None while it lives."""
        return self._client.poll()

    def send_signal(self, sig: int) -> None:
        """Send it a signal, as the kernel does: not by way of the cluster."""
        until(lambda: pids_of(self._command) or self.poll() is not None, "it is there")
        for pid in pids_of(self._command):
            with suppress(ProcessLookupError):
                os.kill(pid, sig)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends, and give its exit code."""
        return self._client.wait(timeout)


class OperatorInPod(OperatorProcess):
    """One replica in its pod, where it finds its history again when it is started again."""

    def __init__(self, pod: Pod, flags: tuple[str, ...], hurry: Mapping[str, float] | None, kubeconfig: str) -> None:
        super().__init__(pod.stage.folder, Path(kubeconfig), pod.identity)
        self.host = pod.address
        self.store = pod.volume / "history.db"
        self._pod = pod
        known = ("--kubeconfig", kubeconfig) if kubeconfig else ()
        own = ("--identity", pod.identity, *known)
        self._command = command_of("python3", f"{MOUNT}/hurried.py", hurry, *own, *flags)

    @property
    def pid(self) -> int:
        """Its id on this machine, while it lives."""
        [pid] = pids_of(self._command)
        return pid

    @override
    def is_there(self) -> bool:
        """Whether the process itself is there now: the client learns of its end a moment later."""
        return bool(pids_of(self._command))

    @override
    def _launch(self, environment: Mapping[str, str], log: BinaryIO) -> Running:
        return self._pod.run(self._command, log)


@dataclass
class PodStage(Stage):
    """A Stage whose operators run in a pod, as its account: behind the proxy by a kubeconfig, else as any pod does."""

    opened: dict[str, Pod] = field(default_factory=dict)

    def pod(self, identity: str = "one") -> Pod:
        """Give the pod of a replica, made when it is first asked for."""
        if identity not in self.opened:
            self.opened[identity] = open_pod(self, identity)
        return self.opened[identity]

    @override
    def replica(
        self, identity: str, flags: tuple[str, ...], hurry: Mapping[str, float] | None, kubeconfig: Path | None
    ) -> OperatorProcess:
        """Make an operator that is not started yet."""
        assert kubeconfig in {None, self.kubeconfig}, "in a pod an operator is who the pod is"
        return OperatorInPod(self.pod(identity), flags, hurry, "" if kubeconfig else f"{MOUNT}/kubeconfig")

    @override
    def store_folder(self) -> Folder:
        """Give a folder that its operator can write to."""
        return Folder(VOLUME, self.pod().volume)

    @override
    @contextmanager
    def disk(self, options: str) -> Iterator[Folder]:
        """Mount a small file system in memory where its operator finds it; it goes with the container."""
        yield self.pod().mount(options)


def stage_in(api: Api, kubeconfig: Path, namespace: str, folder: Path, beside: str) -> Stage:
    """Give a Stage in namespaces that are there: its operators run in a pod, or here where `beside` is ""."""
    kind = PodStage if beside else Stage
    stage = kind(api, kubeconfig, namespace, folder, host=beside or LOOPBACK)
    stage.token = account_of(stage)
    return stage


def open_pod(stage: PodStage, identity: str) -> Pod:
    """Make the pod of a replica, and wait until it holds the place."""
    stage.proxy = stage.proxy or FaultProxy(stage.kubeconfig, stage.token, stage.host)
    kubeconfig = kubeconfig_for(stage.folder, stage.proxy.url, token_file=TOKEN)
    files = {"kubeconfig": kubeconfig.read_text(), "hurried.py": HURRIED.read_text()}
    metadata = {"name": "story", "namespace": stage.system}
    apply(stage.api, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files})
    deployment = deployment_of(stage)
    deployment["metadata"]["name"] += f"-{identity}"
    template = deployment["spec"]["template"]
    for labels in (deployment["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]):
        labels[INSTANCE] = identity
    pod = template["spec"]
    [container] = pod["containers"]
    container["command"], container["args"] = hold(stage, identity), []
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        del container[probe]
    container["volumeMounts"].append({"name": "story", "mountPath": MOUNT})
    pod["volumes"].append({"name": "story", "configMap": {"name": "story"}})
    apply(stage.api, deployment)
    return until(lambda: _running(stage, identity), "the pod of the replica runs")


def hold(stage: Stage, identity: str) -> list[str]:
    """Give the command line of the process that holds the place of a replica."""
    return ["python3", "-c", HOLD, stage.system, identity]


def pids_of(command: Sequence[str]) -> list[int]:
    """Find processes of this machine by their command line, in whatever container they are."""
    wanted = b"\0".join(word.encode() for word in command) + b"\0"
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if (entry / "cmdline").read_bytes() == wanted:
                found.append(int(entry.name))
    return found


def _running(stage: Stage, identity: str) -> Pod | None:
    path = f"/api/v1/namespaces/{stage.system}/pods?labelSelector={INSTANCE}={identity}"
    for one in stage.api("GET", path)[1]["items"]:
        states = [container["state"] for container in one["status"].get("containerStatuses", [])]
        if states and all("running" in state for state in states):
            return Pod(stage, identity, one["metadata"]["name"], one["metadata"]["uid"], one["status"]["podIP"])
    return None
