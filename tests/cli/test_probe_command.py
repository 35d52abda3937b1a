"""`homeostat probe`: what a person at a terminal and a script see of one run."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.__main__ import main
from homeostat.api.health_check import HealthCheckSpec
from homeostat.cli.checks.probe_report import as_json, exit_code, lines
from homeostat.core.health.plan import Plan
from homeostat.core.health.plan import compile as compile_plan
from homeostat.core.health.run import aggregate
from homeostat.core.probing.result import Phases, Reason, Result, Verdict
from homeostat.core.ref import Ref

LOOPBACK = ["--allow-network", "127.0.0.0/8"]
POD = Ref("Pod", "shop", "checkout-abc", "uid")


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/up" else 503)
        self.end_headers()
        self.wfile.write(b'{"status": "UP"}')

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def check(probe: dict[str, Any], name: str = "one", **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": name},
        "spec": {"probe": probe, **fields},
    }


def file_of(tmp_path: Path, *checks: dict[str, Any]) -> list[str]:
    path = tmp_path / "check.yaml"
    path.write_text(yaml.safe_dump_all(checks))
    return ["probe", "-f", str(path)]


HEAD = "apiVersion: homeostat.dev/v1alpha1\nkind: HealthCheck\nmetadata: {name: one, uid: u}\n"
BOMB = ", ".join(f"&a{level} [{', '.join([f'*a{level - 1}' if level else 'x'] * 9)}]" for level in range(10))
"""Some hundred characters that stand for ten milliards of values."""


def test_a_pass_is_told_phase_by_phase_and_ends_in_0(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = {"http": {"url": f"{server}/up", "expect": {"json": 'json.status == "UP"'}}}

    assert main([*file_of(tmp_path, check(probe)), *LOOPBACK]) == 0
    told = capsys.readouterr().out
    assert f"default/one: http {server}/up" in told
    assert "HTTP status 200" in told
    for phase in ("connect", "first byte"):
        assert f"{phase} " in told
    assert told.endswith("Pass: 1 of 1 pass\n")


def test_a_failure_is_explained_and_ends_in_1(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*file_of(tmp_path, check({"http": {"url": f"{server}/down"}})), *LOOPBACK]) == 1
    told = capsys.readouterr().out
    assert "HTTP status 503" in told
    assert "UnexpectedStatus: the status code is not one of those expected" in told


def test_what_may_not_be_reached_ends_in_2_and_says_what_would_permit_it(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """H9."""
    assert main(file_of(tmp_path, check({"http": {"url": server}}))) == 2
    told = capsys.readouterr().out
    assert "AddressNotAllowed" in told
    assert "--allow-network" in told


def test_all_checks_of_a_file_are_run_and_the_worst_decides(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    checks = (check({"http": {"url": f"{server}/up"}}), check({"tcp": {"address": f"127.0.0.1:{port}"}}, "two"))

    assert main([*file_of(tmp_path, *checks), *LOOPBACK, "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["verdict"]) for one in found] == [("one", "Pass"), ("two", "Fail")]
    assert found[0]["endpoints"][0]["phases"]["first_byte"] > 0
    assert found[1]["endpoints"][0]["reason"] == "ConnectionRefused"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "not YAML"),
        ("kind: Pod", "no HealthCheck in it"),
        ("", "no HealthCheck in it"),
        ("apiVersion: v1\nkind: HealthCheck", "apiVersion is not homeostat.dev/v1alpha1"),
        (yaml.safe_dump(check({"http": {"url": "http://a/", "method": "FETCH"}})), "spec.probe.http.method"),
        (yaml.safe_dump(check({"tcp": {"address": "a:1"}}, interval="soon")), "spec.interval: Value error, not a dur"),
        (yaml.safe_dump(check({})), "UnknownProbe"),
        (yaml.safe_dump(check({"tcp": {"address": "a:1"}}, intervall="5s")), "spec.intervall: unknown field"),
        (
            yaml.safe_dump(check({"http": {"url": "http://a/", "conditions": ["[STATUS] == 200"]}})),
            "spec.probe.http.conditions: unknown field",
        ),
        (
            yaml.safe_dump(check({"http": {"url": "http://a/", "expect": {"status": 200}}})),
            "spec.probe.http.expect.status: should be a list",
        ),
        (
            yaml.safe_dump(check({"http": {"url": "http://user:secret@a/"}})),
            "spec.probe.http.url: String should match",
        ),
        (yaml.safe_dump(check({"tcp": {"address": "a:1"}}, "../nodes")), "a name or namespace that no object can have"),
        (yaml.safe_dump(check({"tcp": {"address": "a:1"}}, "a\nb\x1b[31m")), "a name or namespace that no object"),
        ("x" * 1_000_002, "larger than"),
        ("[" * 20_000, "nested too deeply"),
        (HEAD + "spec: " + "{a: " * 500 + "1" + "}" * 500, "nested too deeply"),
        (HEAD + "spec: &a {probe: {job: {template: *a}}}", "nested too deeply"),
        (HEAD + f"x: [{BOMB}]\nspec: {{probe: {{job: {{template: {{x: *a9}}}}}}}}", "too large"),
        (HEAD + "spec: {failureThreshold: .nan}", "a value that JSON has not (float)"),
        (HEAD + "spec: {probe: !!binary aGFsbG8=}", "a value that JSON has not (bytes)"),
        (HEAD + 'spec: {probe: "\\ud800"}', "a value that JSON has not (str)"),
        (HEAD + "spec: {probe: !!timestamp 2026-99-99}", "not YAML"),
        (HEAD + "spec: {failureThreshold: " + "9" * 5000 + "}", "not YAML"),
        ("a: \0", "not YAML"),
        ("a:\n\tb: 1", "not YAML"),
    ],
)
def test_bad_input_is_one_clear_line_and_ends_in_2(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "check.yaml"
    path.write_text(text)

    assert main(["probe", "-f", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert complaint in told.err
    assert "secret" not in told.err
    assert told.err.count("\n") == 1


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "-f", "/no/such/file"]) == 2
    assert capsys.readouterr().err == "homeostat: /no/such/file: No such file or directory\n"


def test_a_file_that_is_no_text_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "check.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    assert main(["probe", "-f", str(path)]) == 2
    assert capsys.readouterr().err == f"homeostat: {path}: not UTF-8\n"


def test_a_thousand_mistakes_are_not_all_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = check({"http": {"url": "http://a/", "expect": {"status": ["x"] * 1000}}})

    assert main(file_of(tmp_path, wrong)) == 2
    assert 1 < len(capsys.readouterr().err.splitlines()) <= 20


def test_lists_and_dates_are_read_as_kubectl_reads_them(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past = "{start: 2026-01-01T00:00:00Z, end: 2026-01-02T00:00:00Z}"
    path = tmp_path / "list.yaml"
    path.write_text(
        "kind: List\nitems:\n"
        "- {apiVersion: homeostat.dev/v1alpha1, kind: HealthCheck, metadata: {name: one},\n"
        f'   spec: {{maintenance: [{past}], probe: {{http: {{url: "{server}/up"}}}}}}}}\n---\nnull\n'
    )

    assert main(["probe", "-f", str(path), *LOOPBACK]) == 0
    assert "default/one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [("PORT", "many", "setting port: "), ("STORE_URL", "postgres://user:secret@a/", "setting store_url: ")],
)
def test_a_setting_that_is_wrong_is_named_without_its_value(
    name: str, value: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv(f"HOMEOSTAT_{name}", value)

    assert main(file_of(tmp_path, check({"tcp": {"address": "a:1"}}))) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"homeostat: {complaint}")
    assert value not in told


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "contexts: 3", "contexts: [1]", "current-context: [a]", "contexts: [{}]", "a: 2026-99-99"]
)
def test_a_kubeconfig_that_is_none_is_one_clear_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config"
    path.write_text(text)

    assert main([*file_of(tmp_path, check({"tcp": {"address": "a:1"}})), "--kubeconfig", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- a shell ----------------------------------------------------------------------------------------------


def shell(arguments: list[str], **how: Any) -> "subprocess.Popen[bytes]":
    """Start the command as a shell does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **how.pop("env", {})}
    command = [sys.executable, "-m", "homeostat", *arguments, *LOOPBACK]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, **how)


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_standard_stream_that_is_closed_does_no_harm(server: str, tmp_path: Path, closed: int) -> None:
    """The event loop would die of a connection that gets such a number."""
    arguments = file_of(tmp_path, check({"http": {"url": f"{server}/up"}}))
    with shell(arguments, preexec_fn=lambda: os.close(closed)) as process:
        _, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (0, b"")


def test_without_a_standard_input_that_is_said() -> None:
    with shell(["probe", "-f", "-"], preexec_fn=lambda: os.close(0)) as process:
        _, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (2, b"homeostat: -: there is no standard input\n")


def test_a_reader_that_has_seen_enough_is_no_error(server: str, tmp_path: Path) -> None:
    """As in `homeostat probe … | true`: the exit code is still the check's."""
    reading, writing = os.pipe()
    os.close(reading)
    arguments = file_of(tmp_path, check({"http": {"url": f"{server}/down"}}))
    with os.fdopen(writing) as pipe, shell(arguments, stdout=pipe) as process:
        _, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (1, b"")


def test_a_full_disk_is_told(server: str, tmp_path: Path) -> None:
    """Fault 27."""
    arguments = file_of(tmp_path, check({"http": {"url": f"{server}/up"}}))
    with Path("/dev/full").open("w") as full, shell(arguments, stdout=full) as process:
        _, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (3, b"homeostat: standard output: No space left on device\n")


def test_a_terminal_that_knows_no_arrows_gets_something_else(server: str, tmp_path: Path) -> None:
    steps = [{"name": name, "http": {"url": f"{server}/{path}"}} for name, path in (("a", "up"), ("b", "down"))]
    arguments = file_of(tmp_path, check({"steps": steps}))
    with shell(arguments, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}) as process:
        out, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (1, b"")
    assert b"a ? b" in out


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path) -> None:
    """The code is the shell's for an interrupt."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        arguments = file_of(tmp_path, check({"http": {"url": url}}, interval="60s", timeout="60s"))
        with shell(arguments) as process:
            silent.settimeout(60)
            connection, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
            connection.close()

    assert (process.returncode, told) == (130, b"")


def test_a_network_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*file_of(tmp_path, check({"icmp": {"host": "a"}})), "--allow-network", "everything"]) == 2
    assert "everything" in capsys.readouterr().err


@pytest.mark.parametrize(
    "probe",
    [
        {"http": {"service": {"name": "checkout", "port": "http"}}},
        {"steps": [{"name": "a", "http": {"service": {"name": "checkout", "port": 80}}}]},
    ],
)
def test_a_service_needs_a_cluster_and_says_so(
    probe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(file_of(tmp_path, check(probe))) == 3
    assert "Service checkout" in capsys.readouterr().err


@pytest.mark.parametrize(
    "probe",
    [
        {"workload": {"kind": "Deployment", "name": "checkout"}},
        {"http": {"url": "http://shop.example/", "bodyFrom": {"secretRef": {"name": "a", "key": "b"}}}},
        {"job": {"template": {"spec": {"containers": []}}}},
    ],
)
def test_without_a_cluster_what_needs_one_learns_nothing(
    probe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(file_of(tmp_path, check(probe))) == 3
    assert "ApiUnavailable" in capsys.readouterr().out


# --- the report alone -----------------------------------------------------------------------------------


def told(*answers: Any, kind: str = "http", **fields: Any) -> str:
    chosen = {"http": {"service": {"name": "checkout", "port": 80}}}
    plan = compile_plan(HealthCheckSpec.model_validate({"probe": chosen, **fields}), POD)
    assert isinstance(plan, Plan)
    return "\n".join(lines(Ref("HealthCheck", "shop", "checkout", ""), kind, plan, answers, aggregate(answers, plan)))


def test_each_endpoint_is_called_by_its_pod() -> None:
    good = Result(Verdict.PASS, Reason.OK, 0.012, 200, Phases(connect=0.001, tls=0.002, first_byte=0.009), 2e9)
    bad = Result(Verdict.FAIL, Reason.TIMEOUT, 2.0)

    report = told((POD, good, True), (replace(POD, name="checkout-def"), bad, False))

    assert "checkout-abc: Pass, 12.0 ms, HTTP status 200, after a retry" in report
    assert "connect 1.0 ms · TLS 2.0 ms · first byte 9.0 ms" in report
    assert "certificate valid until 2033-05-18T03:33:20Z" in report
    assert "checkout-def: Fail, 2000.0 ms" in report
    assert "Fail: 1 of 2 pass" in report


def test_a_pass_that_would_make_a_check_degraded_says_so() -> None:
    """H2: a slow pass is not told as a clean one."""
    slow = Result(Verdict.PASS, Reason.OK, 0.4, 200)

    assert told((POD, slow, False), degraded={"latency": "300ms"}).endswith(
        "Pass: 1 of 1 pass, slower than degraded.latency, which makes a check Degraded"
    )
    assert told((POD, slow, True)).endswith("only after a retry, which makes a check Degraded")
    assert told((POD, slow, False)).endswith("Pass: 1 of 1 pass")


def test_a_port_that_is_unknown_is_told_of_the_target() -> None:
    assert "  service/checkout:80/: Invalid, 0.0 ms" in told(
        (None, Result(Verdict.INVALID, Reason.UNKNOWN_PORT, 0.0), False)
    )


def test_the_step_that_failed_is_named() -> None:
    assert "step buy: NotCaptured" in told((None, Result(Verdict.FAIL, Reason.NOT_CAPTURED, 0.1, step="buy"), False))


def test_a_workload_tells_its_share() -> None:
    result = Result(Verdict.FAIL, Reason.NOT_ENOUGH_READY, 0.1, share=(2, 3))

    assert "2 of 3 ready" in told((None, result, False), kind="workload")


def test_a_service_without_endpoints_has_nobody_to_ask() -> None:
    assert told().endswith("Fail: nobody to ask, NoEndpoints: the Service has no ready endpoint, or does not exist")


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.PASS, 0),
        (Verdict.FAIL, 1),
        (Verdict.INVALID, 2),
        (Verdict.ERROR, 3),
        (Verdict.UNKNOWN, 3),
        (Verdict.SKIPPED, 3),
    ],
)
def test_each_verdict_has_its_exit_code(verdict: Verdict, code: int) -> None:
    assert exit_code(verdict) == code


def test_data_for_scripts_is_json() -> None:
    plan = compile_plan(HealthCheckSpec.model_validate({"probe": {"icmp": {"host": "a"}}}), POD)
    assert isinstance(plan, Plan)
    answers = [(None, Result(Verdict.PASS, Reason.OK, 0.1, not_after=2e9), False)]

    data = json.loads(json.dumps(as_json(POD, "icmp", plan, answers, aggregate(answers, plan))))

    assert (data["verdict"], data["passing"], data["total"]) == ("Pass", 1, 1)
    assert data["endpoints"][0]["certificateExpiry"] == 2e9
