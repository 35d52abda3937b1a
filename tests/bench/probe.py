"""CPU per HTTP probe, side by side in one run: homeostat, Go's net/http, blackbox_exporter and Gatus.

Each subject is a process of its own that asks the same server on 32 loopback addresses; what is counted is the
subject's user and system time. Rounds are interleaved, figures are medians. Plain HTTP and TLS, on a new connection
for each probe and on kept ones; blackbox_exporter and Gatus have no choice of connections, and are counted as they
are. Rows: {case, subject, metric: cpu_us_per_probe, value, unit}, and probes per second and core, and ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.progress import say
from bench.report import Row, publish
from bench.rivals import blackbox, gatus, rivals

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
ENDPOINTS = 32
GATUS_EVERY = "40ms"
GATUS_STARTS_IN = 12.0  # seconds: it starts its endpoints one by one, 222 ms apart
AIMS = {  # case, subject to compare with → the largest ratio of CPU aimed at
    ("http new", "go"): 1.0,
    ("http new", "blackbox_exporter"): 0.25,
    ("http keepalive", "go"): 0.7,
    ("https new", "blackbox_exporter"): 1.0,
}

Figures = dict[tuple[str, str], list[float]]


@dataclass(slots=True)
class Field:
    """Where the subjects meet: the server's URLs by scheme, the authority, and our program."""

    urls: dict[str, str]
    authority: Path
    program: Path
    figures: Figures = field(default_factory=lambda: defaultdict(list))

    def note(self, case: str, subject: str, cpu_seconds: float, probes: int) -> None:
        """Take down one round of a subject."""
        self.figures[case, subject].append(cpu_seconds / probes * 1e6)


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Run the server; give its URLs by scheme."""
    with subprocess.Popen([program, "serve", folder], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ports = json.loads(server.stdout.readline())
        try:
            yield {scheme: f"{scheme}://127.0.0.%d:{port}/" for scheme, port in ports.items()}
        finally:
            server.terminate()


def told(command: list[str | Path]) -> dict[str, Any]:
    """Run a program to its end; give the JSON that it prints."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'tests'}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def count(urls: dict[str, str]) -> dict[str, int]:
    """Ask the server how many requests and connections it has had."""
    with urllib.request.urlopen(urls["http"].replace("%d", "1") + "count", timeout=10) as answer:  # noqa: S310
        found: dict[str, int] = json.load(answer)
    return found


def cpu_of(pid: int) -> float:
    """Give the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# --- the subjects ---------------------------------------------------------------------------------------


def measure_clients(field_: Field, probes: int) -> None:
    """One round of homeostat and of Go, case by case."""
    for scheme, url in field_.urls.items():
        for mode in ("new", "keepalive"):
            many = str(probes if (scheme, mode) != ("https", "new") else max(probes // 8, 640))
            ours = told([sys.executable, "-m", "bench.asking", mode, url, many, field_.authority])
            theirs = told([field_.program, "ask", mode, url, many, field_.authority])
            case = f"{scheme} {mode}"
            field_.note(case, "homeostat", ours["cpu_seconds"], ours["probes"])
            field_.note(case, "go", theirs["cpu_seconds"], theirs["probes"])


@contextmanager
def blackbox_running(binary: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Run blackbox_exporter; give its pid and URL."""
    config = folder / "blackbox.yml"
    tls = f"tls_config: {{ca_file: {folder / 'ca.pem'}}}"
    config.write_text(
        f"modules: {{probe: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, {tls}}}}}}}\n"
    )
    port = free_port()
    command = [str(binary), f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            await_port(port)
            yield process.pid, f"http://127.0.0.1:{port}/probe?module=probe&target="
        finally:
            process.terminate()


def measure_blackbox(field_: Field, pid: int, url: str, probes: int) -> None:
    """One round of blackbox_exporter, driven over kept connections, as Prometheus does."""
    for scheme, target in field_.urls.items():
        before, seen = cpu_of(pid), count(field_.urls)["requests"]
        told([field_.program, "drive", url + target, str(max(probes // 8, 640))])
        sent = count(field_.urls)["requests"] - seen
        field_.note(f"{scheme} new", "blackbox_exporter", cpu_of(pid) - before, sent)


def measure_gatus(field_: Field, binary: Path, folder: Path, seconds: float) -> None:
    """Gatus as it is, with as little waiting as it allows; its rounds are one after the other."""
    for scheme, url in field_.urls.items():
        config = folder / "gatus.yaml"
        endpoints = [
            {
                "name": f"e{number}", "url": url.replace("%d", str(number)), "interval": GATUS_EVERY,
                "conditions": ["[STATUS] == 200"],
            }
            for number in range(1, ENDPOINTS + 1)
        ]  # fmt: skip
        web = {"address": "127.0.0.1", "port": free_port()}
        config.write_text(json.dumps({"web": web, "concurrency": 0, "endpoints": endpoints}))
        env = os.environ | {
            "GATUS_CONFIG_PATH": str(config), "GATUS_LOG_LEVEL": "ERROR", "SSL_CERT_FILE": str(field_.authority),
        }  # fmt: skip
        with subprocess.Popen([binary], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                time.sleep(GATUS_STARTS_IN)
                before, seen = cpu_of(process.pid), count(field_.urls)
                time.sleep(seconds)
                spent, now = cpu_of(process.pid) - before, count(field_.urls)
            finally:
                process.terminate()
        sent, opened = now["requests"] - seen["requests"], now["connections"] - seen["connections"]
        if not sent:
            raise SystemExit("Gatus sent no probe; run it by hand with the configuration of tests/bench/probe.py")
        mode = "new" if opened > sent / 2 else "keepalive"
        field_.note(f"{scheme} {mode}", "gatus", spent, sent)
        say(f"Gatus, {scheme}: {sent} probes over {opened} connections in {seconds:.0f} s")


def free_port() -> int:
    """Find a free port."""
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def await_port(port: int) -> None:
    """Wait until something listens."""
    import socket  # noqa: PLC0415 - only here

    give_up_at = time.monotonic() + 20
    while time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("blackbox_exporter does not listen")


# --- the report -----------------------------------------------------------------------------------------


def rows(figures: Figures) -> Iterator[Row]:
    """Give medians, probes per second and core, and homeostat's share of each other's CPU."""
    medians = {key: statistics.median(values) for key, values in sorted(figures.items())}
    for (case, subject), value in medians.items():
        yield Row(case, subject, "cpu_us_per_probe", round(value, 1), "us")
        yield Row(case, subject, "probes_per_second_and_core", round(1e6 / value), "1/s")
    for (case, subject), value in medians.items():
        ours = medians.get((case, "homeostat"))
        if subject == "homeostat" or ours is None:
            continue
        yield Row(case, f"homeostat / {subject}", "cpu_ratio", round(ours / value, 3), aim(case, subject))


def aim(case: str, subject: str) -> str:
    """Say what is aimed at."""
    most = AIMS.get((case, subject))
    return "x" if most is None else f"x (aim {most:g})"


def main() -> None:
    """Run all subjects and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--probes", type=int, default=12_800, help="in each case and round")
    asked = parser.parse_args()
    program, exporter, monitor = rivals(), blackbox(), gatus()
    with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as text, serving(program, Path(text)) as urls:
        folder = Path(text)
        field_ = Field(urls, folder / "ca.pem", program)
        for turn in range(asked.rounds):
            say(f"round {turn + 1} of {asked.rounds}")
            measure_clients(field_, asked.probes)
            if exporter:
                with blackbox_running(exporter, folder) as (pid, url):
                    measure_blackbox(field_, pid, url, asked.probes)
        if monitor:
            measure_gatus(field_, monitor, folder, seconds=15.0)
    publish("probe", rows(field_.figures))


if __name__ == "__main__":
    main()
