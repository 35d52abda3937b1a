"""The dashboard of homeostat itself: whether it does its work, and in time. One panel at least for each runbook."""

# ruff: noqa: E501 - a query is easier to read in one piece

from dashboards.panels import GREEN, ORANGE, RED, YELLOW, Dashboard, Panel, Query, Row, Variable

OF = 'job=~"$job"'
ODD_ABOVE_0 = ((None, GREEN), (1, ORANGE))
BAD_ABOVE_0 = ((None, GREEN), (1, RED))


def late(metric: str, quantile: float) -> Query:
    """Ask for a quantile of a histogram of the operator's own."""
    rate = f"sum by (le) (rate({metric}_bucket{{{OF}}}[$__rate_interval]))"
    return Query(f"histogram_quantile({quantile}, {rate})", f"p{quantile * 100:g}")


def rate(metric: str, by: str, legend: str, *, more: str = "") -> Query:
    """Ask for a rate by some labels."""
    return Query(f"sum by ({by}) (rate({metric}{{{OF}{more}}}[$__rate_interval]))", legend)


OPERATOR = Dashboard(
    "homeostat-operator",
    "homeostat / homeostat itself",
    "Whether the operator leads, decides, probes in time, and is heard",
    variables=(Variable("job", "Job", "label_values(homeostat_leader, job)"),),
    rows=(
        Row("Now", (
            Panel("Leaders", "Replicas that lead: one is right.", [Query(f"sum(homeostat_leader{{{OF}}})")], kind="stat",
                  width=4, height=4, steps=((None, RED), (1, GREEN), (2, RED)), empty="Not scraped"),
            Panel("Replicas", "Replicas that are scraped: with two or more, one stands by.",
                  [Query(f"count(homeostat_leader{{{OF}}})")], kind="stat", width=4, height=4,
                  steps=((None, RED), (1, YELLOW), (2, GREEN)), empty="Not scraped"),
            Panel("Objects", "Objects of our kinds that are known.", [Query(f"sum(homeostat_objects{{{OF}}})")],
                  kind="stat", width=4, height=4),
            Panel("Outdated CRDs", "CRDs in the cluster that are older than this operator.",
                  [Query(f"sum(homeostat_crd_outdated{{{OF}}}) or vector(0)")], kind="stat", width=4, height=4,
                  steps=BAD_ABOVE_0),
            Panel("Missing rights", "Rights that the operator needs and does not have.",
                  [Query(f"sum(homeostat_right_missing{{{OF}}}) or vector(0)")], kind="stat", width=4, height=4,
                  steps=BAD_ABOVE_0),
            Panel("Faults left", "Faults of experiments that could not be taken off: a human is needed.",
                  [Query(f"sum(homeostat_chaos_faults_left{{{OF}}}) or vector(0)")], kind="stat", width=4, height=4,
                  steps=BAD_ABOVE_0),
        )),
        Row("Evaluations", (
            Panel("Decisions", "Decisions that changed a status, by kind.",
                  [rate("homeostat_decisions_total", "kind", "{{kind}}")], unit="ops", is_stacked=True),
            Panel("Put off", "Evaluations to be tried again, by reason. Conflicts are usual, anything else is not.",
                  [rate("homeostat_evaluations_put_off_total", "kind, reason", "{{kind}} {{reason}}")], unit="ops",
                  empty="None was put off"),
            Panel("Acts", "Acts on the cluster that were refused or failed.",
                  [Query(f'sum by (kind, action, outcome) (increase(homeostat_actions_total{{{OF},outcome!="Done"}}[$__rate_interval]))',
                         "{{kind}} {{action}} {{outcome}}")], empty="All acts got through"),
            Panel("Objects by kind", "Objects that are known.",
                  [Query(f"sum by (kind) (homeostat_objects{{{OF}}})", "{{kind}}")]),
        )),
        Row("Probes", (
            Panel("Start of probes", "How long after their due time checks started. Above half a second there is an alert.",
                  [late("homeostat_probe_start_lateness_seconds", 0.5), late("homeostat_probe_start_lateness_seconds", 0.99)],
                  unit="s", steps=((None, GREEN), (0.5, RED)), least=0),
            Panel("Loop lag", "How late the event loop wakes from a sleep. Above a quarter of a second there is an alert.",
                  [late("homeostat_loop_lag_seconds", 0.5), late("homeostat_loop_lag_seconds", 0.99)], unit="s",
                  steps=((None, GREEN), (0.25, RED)), least=0),
            Panel("Probes", "Probes per second, by type and result.",
                  [rate("homeostat_probe_duration_seconds_count", "type, result", "{{type}} {{result}}")], unit="ops",
                  is_stacked=True),
            Panel("Phases of probes", "Mean time of each phase.",
                  [Query(f"sum by (type, phase) (rate(homeostat_probe_phase_seconds_sum{{{OF}}}[$__rate_interval]))"
                         f" / (sum by (type, phase) (rate(homeostat_probe_phase_seconds_count{{{OF}}}[$__rate_interval])) > 0)",
                         "{{type}} {{phase}}")], unit="s", least=0),
            Panel("Runs missed", "Runs of checks that could not start in time.",
                  [Query(f"sum(rate(homeostat_check_missed_runs_total{{{OF}}}[$__rate_interval]))", "missed")], unit="ops"),
        )),
        Row("API server", (
            Panel("Requests", "Requests to the API server, by method and class of the answer.",
                  [rate("homeostat_api_requests_total", "verb, status", "{{verb}} {{status}}")], unit="reqps",
                  is_stacked=True),
            Panel("Drift", "Objects that a listing found missing or stale: the watch had missed them.",
                  [Query(f"sum by (kind) (increase(homeostat_store_drift_total{{{OF}}}[1h]))", "{{kind}}")],
                  steps=ODD_ABOVE_0, empty="The watch missed nothing"),
        )),
        Row("History, alerts, pushed events and traces", (
            Panel("Size of history", "How large history is, and how large it may grow.",
                  [Query(f"sum(homeostat_history_bytes{{{OF}}})", "is"),
                   Query(f"sum(homeostat_history_limit_bytes{{{OF}}})", "may be")], unit="bytes", least=0),
            Panel("History not written", "Writes that failed, and records that were given up.",
                  [Query(f"sum(increase(homeostat_history_errors_total{{{OF}}}[$__rate_interval]))", "failed"),
                   Query(f"sum(increase(homeostat_history_dropped_total{{{OF}}}[$__rate_interval]))", "given up")],
                  steps=ODD_ABOVE_0),
            Panel("Posts to Alertmanager", "Posts by outcome.",
                  [rate("homeostat_alertmanager_posts_total", "outcome", "{{outcome}}")], unit="ops"),
            Panel("Requests to the API", "Requests to our own API by route and class of the answer.",
                  [rate("homeostat_rest_requests_total", "route, status", "{{route}} {{status}}")], unit="reqps",
                  empty="Nobody asked"),
            Panel("Pushed events", "Requests with pushed events by outcome, and events that were counted.",
                  [rate("homeostat_pushed_batches_total", "outcome", "{{outcome}}"),
                   Query(f"sum(rate(homeostat_pushed_events_total{{{OF}}}[$__rate_interval]))", "events")], unit="ops"),
            Panel("Traces", "Spans that were sent to the collector, and those that were given up.",
                  [rate("homeostat_trace_spans_total", "outcome", "{{outcome}}")], unit="ops"),
        )),
    ),
)  # fmt: skip
