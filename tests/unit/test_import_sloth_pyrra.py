"""Sloth and Pyrra read: what comes over, what is told, and that nothing comes out which our own rules refuse."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from homeostat.interchange import pyrra, sloth
from homeostat.interchange.importing import Import, Outcome, outcome
from homeostat.interchange.reading import Foreign
from homeostat.interchange.validation import check

Convert = Callable[[Sequence[Foreign]], list[Import]]


def read(convert: Convert, *bodies: dict[str, Any]) -> Outcome:
    came = outcome(convert([Foreign("a.yaml", "1", body) for body in bodies]), "")
    assert not any(check(manifest).problems for manifest in came.manifests)
    return came


def spec_of(convert: Convert, *bodies: dict[str, Any]) -> dict[str, Any]:
    came = read(convert, *bodies)
    assert came.is_whole, came.lines
    return came.manifests[0]["spec"]


def told(came: Outcome, text: str) -> bool:
    return any(text in line for line in came.lines)


# --- Sloth ----------------------------------------------------------------------------------------------

EVENTS = {"error_query": "sum(rate(errors[{{.window}}]))", "total_query": "sum(rate(requests[{{.window}}]))"}


def plain(**slo: Any) -> dict[str, Any]:
    one = {"name": "availability", "objective": 99.9, "sli": {"events": EVENTS}, "alerting": {}} | slo
    return {"version": "prometheus/v1", "service": "shop", "labels": {"owner": "a"}, "slos": [one]}


def test_a_plain_spec_of_sloth_comes_over() -> None:
    came = read(sloth.convert, plain(labels={"tier": "1"}, description="Shop answers"))

    assert (came.manifests, came.lines, came.is_whole) == (
        (
            {
                "apiVersion": "homeostat.dev/v1alpha1",
                "kind": "ServiceLevelObjective",
                "metadata": {"name": "shop-availability", "labels": {"owner": "a", "tier": "1"}},
                "spec": {
                    "service": "shop",
                    "description": "Shop answers",
                    "objective": "99.9",
                    "window": {"rolling": "30d"},
                    "indicator": {
                        "prometheus": {
                            "ratio": {
                                "bad": "sum(rate(errors[{{window}}]))",
                                "total": "sum(rate(requests[{{window}}]))",
                            }
                        }
                    },
                },
            },
        ),
        (),
        True,
    )


def test_the_kubernetes_form_of_sloth_comes_over_with_its_namespace() -> None:
    events = {"errorQuery": "sum(rate(errors[{{.window}}]))", "totalQuery": "sum(rate(requests[{{.window}}]))"}
    slo = {"name": "availability", "objective": 99, "sli": {"events": events}, "alerting": {}}
    body = {
        "apiVersion": "sloth.slok.dev/v1", "kind": "PrometheusServiceLevel",
        "metadata": {"name": "x", "namespace": "shop"}, "spec": {"service": "shop", "slos": [slo]},
        "status": {"processedSLOs": 1},
    }  # fmt: skip
    came = read(sloth.convert, body)

    assert came.manifests[0]["metadata"] == {"name": "shop-availability", "namespace": "shop"}
    assert came.manifests[0]["spec"]["objective"] == "99"
    assert came.lines == ()


def test_an_error_ratio_of_sloth_comes_over_as_it_is() -> None:
    raw = {"raw": {"error_ratio_query": "1 - avg_over_time(ok[{{ .window }}])"}}

    assert spec_of(sloth.convert, plain(sli=raw))["indicator"]["prometheus"] == {
        "ratioQuery": "1 - avg_over_time(ok[{{window}}])"
    }


def test_a_plugin_of_sloth_is_an_error_and_the_other_objectives_come_over() -> None:
    body = plain()
    body["slos"].append({"name": "b", "objective": 99, "sli": {"plugin": {"id": "x", "options": {}}}})
    came = read(sloth.convert, body)

    assert ([one["metadata"]["name"] for one in came.manifests], came.is_whole) == (["shop-availability"], False)
    (line,) = [line for line in came.lines if "slos[1]" in line]
    assert "slos[1].sli.plugin: error: plugins of Sloth cannot run here" in line


@pytest.mark.parametrize(
    ("page", "ticket", "expected"),
    [
        (True, True, {"disabled": True}),
        (
            True, False,
            {"burnRates": [
                {"budget": "10%", "long": "1d", "severity": "Ticket"},
                {"budget": "10%", "long": "3d", "severity": "Ticket"},
            ]},
        ),
        (
            False, True,
            {"burnRates": [
                {"budget": "2%", "long": "1h", "severity": "Page"}, {"budget": "5%", "long": "6h", "severity": "Page"},
            ]},
        ),
        (False, False, None),
    ],
)  # fmt: skip
def test_alerts_that_sloth_was_told_to_leave_out_stay_out(page: bool, ticket: bool, expected: Any) -> None:  # noqa: FBT001
    alerting = {"page_alert": {"disable": page}, "ticket_alert": {"disable": ticket}}

    assert spec_of(sloth.convert, plain(alerting=alerting)).get("alerting") == expected


def test_the_alert_windows_of_sloth_become_burn_rates() -> None:
    """S2: 7 d with (8%, 1 h), (12.5%, 6 h), (20%, 1 d), (42%, 3 d)."""

    def window(budget: float, short: str, long: str) -> dict[str, Any]:
        return {"errorBudgetPercent": budget, "shortWindow": short, "longWindow": long}

    windows = {
        "apiVersion": "sloth.slok.dev/v1",
        "kind": "AlertWindows",
        "spec": {
            "sloPeriod": "7d",
            "page": {"quick": window(8, "5m", "1h"), "slow": window(12.5, "30m", "6h")},
            "ticket": {"quick": window(20, "2h", "1d"), "slow": window(42, "6h", "3d")},
        },
    }
    spec = spec_of(sloth.convert, plain(), windows)

    assert spec["window"] == {"rolling": "7d"}
    assert [(rate["budget"], rate["long"]) for rate in spec["alerting"]["burnRates"]] == [
        ("8%", "1h"), ("12.5%", "6h"), ("20%", "1d"), ("42%", "3d"),
    ]  # fmt: skip


def test_labels_of_alerts_are_told() -> None:
    came = read(sloth.convert, plain(alerting={"name": "X", "page_alert": {"labels": {"severity": "page"}}}))

    assert told(came, "slos[0].alerting.page_alert.labels: labels and annotations of alerts have no place here")


# --- Pyrra ----------------------------------------------------------------------------------------------


def objective(measured: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pyrra.dev/v1alpha1",
        "kind": "ServiceLevelObjective",
        "metadata": {"name": "api", "namespace": "shop", "labels": {"role": "alert-rules"}},
        "spec": {"target": "99.5", "window": "4w", "indicator": measured} | spec,
    }


RATIO = {
    "errors": {"metric": 'requests_total{job="api",code=~"5.."}'},
    "total": {"metric": 'requests_total{job="api"}'},
}


def test_a_ratio_of_pyrra_comes_over_grouped() -> None:
    """S14."""
    came = read(pyrra.convert, objective({"ratio": RATIO | {"grouping": ["route"]}}))

    assert came.manifests[0]["metadata"] == {"name": "api", "namespace": "shop", "labels": {"role": "alert-rules"}}
    assert came.manifests[0]["spec"] == {
        "objective": "99.5",
        "window": {"rolling": "28d"},
        "indicator": {
            "prometheus": {
                "ratio": {
                    "bad": 'sum by (route) (increase(requests_total{job="api",code=~"5.."}[{{window}}]))',
                    "total": 'sum by (route) (increase(requests_total{job="api"}[{{window}}]))',
                },
                "groupBy": ["route"],
            }
        },
    }


def test_a_latency_of_pyrra_becomes_a_histogram() -> None:
    """S11."""
    latency = {
        "success": {"metric": 'seconds_bucket{job="api",le="0.25"}'}, "total": {"metric": 'seconds_count{job="api"}'}
    }  # fmt: skip

    assert spec_of(pyrra.convert, objective({"latency": latency}))["indicator"]["prometheus"] == {
        "latency": {"histogram": "seconds", "threshold": "250ms", "selector": 'job="api"'}
    }


def test_a_latency_of_two_selectors_that_differ_becomes_a_ratio_and_that_is_told() -> None:
    latency = {"success": {"metric": 'seconds_bucket{code="200",le="0.25"}'}, "total": {"metric": "seconds_count"}}
    came = read(pyrra.convert, objective({"latency": latency}))

    assert came.manifests[0]["spec"]["indicator"]["prometheus"]["ratio"] == {
        "good": 'sum (increase(seconds_bucket{code="200",le="0.25"}[{{window}}]))',
        "total": "sum (increase(seconds_count[{{window}}]))",
    }
    assert told(came, "taken as a ratio")


def test_a_native_histogram_of_pyrra_comes_over() -> None:
    native = {"total": {"metric": "seconds"}, "latency": "1s500ms"}

    assert spec_of(pyrra.convert, objective({"latencyNative": native}))["indicator"]["prometheus"] == {
        "latency": {"histogram": "seconds", "threshold": "1s500ms", "type": "Native"}
    }


def test_a_gauge_of_pyrra_is_counted_by_its_samples() -> None:
    assert spec_of(pyrra.convert, objective({"bool_gauge": {"metric": "probe_success"}}))["indicator"][
        "prometheus"
    ] == {
        "ratio": {
            "good": "sum (sum_over_time(probe_success[{{window}}]))",
            "total": "sum (count_over_time(probe_success[{{window}}]))",
        }
    }


@pytest.mark.parametrize("alerting", [{"disabled": True}, {"burnrates": False}])
def test_alerts_that_pyrra_does_not_raise_are_disabled(alerting: dict[str, Any]) -> None:
    assert spec_of(pyrra.convert, objective({"ratio": RATIO}, alerting=alerting))["alerting"] == {"disabled": True}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"target": "high"}, "spec.target"),
        ({"target": "100"}, "spec.objective"),
        ({"window": "soon"}, "spec"),
        ({"window": "1y"}, "spec"),
        ({"indicator": {}}, "spec.indicator"),
        ({"indicator": {"ratio": {"errors": {"metric": "sum(x)"}, "total": {"metric": "x"}}}}, "ratio.errors.metric"),
    ],
)
def test_what_cannot_come_over_is_an_error_and_no_manifest(spec: dict[str, Any], path: str) -> None:
    came = read(pyrra.convert, objective({"ratio": RATIO}, **spec))

    assert (came.manifests, came.is_whole) == ((), False)
    assert told(came, f"{path}: error: ")
