"""The five dashboards. Names of metrics and labels are those of docs/metrics.md; a test compares."""

# ruff: noqa: E501 - a query is easier to read in one piece

from dashboards.panels import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    WIDE,
    YELLOW,
    Dashboard,
    Note,
    Panel,
    Query,
    Row,
    Variable,
)

NAMESPACE = Variable("namespace", "Namespace", "label_values(homeostat_check_info, namespace)")
OF = 'namespace=~"$namespace"'
ONE = 'namespace=~"$namespace",name=~"$name"'

EXPERIMENTS = Note(
    "Experiments", f"homeostat_chaos_active{{{OF}}}", "Experiment {{namespace}}/{{name}}", "{{fault}}", "purple"
)
ATTEMPTS = Note(
    "Recovery",
    f'sum by (namespace, name, step, outcome) (increase(homeostat_recovery_attempts_total{{{OF},outcome!="WouldDo"}}[1m])) > 0',
    "Attempt of {{namespace}}/{{name}}",
    "{{step}}: {{outcome}}",
    "blue",
)
NOTES = (EXPERIMENTS, ATTEMPTS)

SCORE = ((None, RED), (50, ORANGE), (80, YELLOW), (95, GREEN))
BUDGET = ((None, RED), (0, ORANGE), (0.25, YELLOW), (0.5, GREEN))
BAD_ABOVE_0 = ((None, GREEN), (1, RED))
ODD_ABOVE_0 = ((None, GREEN), (1, ORANGE))
BURN = ((None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED))

# --- fleet ----------------------------------------------------------------------------------------------

FLEET = Dashboard(
    "homeostat-fleet",
    "homeostat / Fleet",
    "All services, checks and objectives: what is worst comes first",
    variables=(NAMESPACE,),
    notes=NOTES,
    rows=(
        Row("Now", (
            Panel("Health of the cluster", "Health of all that is watched, from 0 to 100.",
                  [Query("homeostat_cluster_score")], kind="stat", width=4, height=4, steps=SCORE,
                  least=0, most=100, empty="Nothing is known"),
            Panel("Known", "Share of all checks that the score knows of. A score says little where it is low.",
                  [Query("homeostat_cluster_score_coverage_ratio")], unit="percentunit", kind="stat", width=4,
                  height=4, steps=((None, RED), (0.5, YELLOW), (0.9, GREEN)), empty="No checks"),
            Panel("Unhealthy checks", "HealthChecks that are unhealthy now.",
                  [Query(f'count(homeostat_check_state{{{OF},state="Unhealthy"}}) or vector(0)')], kind="stat",
                  width=4, height=4, steps=BAD_ABOVE_0),
            Panel("Alerts that page", "Alerts of objectives that fire now and page somebody.",
                  [Query(f'count(homeostat_slo_alert_firing{{{OF},severity="Page"}}) or vector(0)')], kind="stat",
                  width=4, height=4, steps=BAD_ABOVE_0),
            Panel("Budgets used up", "Objectives whose error budget is used up.",
                  [Query(f'count(homeostat_slo_state{{{OF},state="Exhausted"}}) or vector(0)')], kind="stat",
                  width=4, height=4, steps=BAD_ABOVE_0),
            Panel("Faults on", "Experiments that have a fault on, or have not recovered from it.",
                  [Query(f"count(homeostat_chaos_active{{{OF}}}) or vector(0)")], kind="stat", width=4, height=4,
                  steps=ODD_ABOVE_0),
        )),
        Row("Services", (
            Panel("Health of services", "Health of each service from 0 to 100, and how much of it is known.",
                  [Query(f"max by (namespace, service) (homeostat_service_score{{{OF}}})"),
                   Query(f"max by (namespace, service) (homeostat_service_score_coverage_ratio{{{OF}}})")],
                  unit="none", kind="table", steps=SCORE, columns=("Health", "Known (ratio)"),
                  empty="No service has a known check"),
            Panel("Health over time", "The ten services that fare worst now.",
                  [Query(f"bottomk(10, max by (namespace, service) (homeostat_service_score{{{OF}}}))",
                         "{{namespace}}/{{service}}")], unit="none", least=0, most=100),
        )),
        Row("Objectives", (
            Panel("Error budgets", "What is left of each budget, the indicator, and the objective, as ratios.",
                  [Query(f"max by (namespace, name) (homeostat_slo_error_budget_remaining_ratio{{{OF}}})"),
                   Query(f"max by (namespace, name) (homeostat_slo_sli_ratio{{{OF}}})"),
                   Query(f"max by (namespace, name) (homeostat_slo_objective_ratio{{{OF}}})")],
                  unit="percentunit", kind="table", steps=BUDGET, decimals=3,
                  columns=("Budget left", "Indicator", "Objective"), empty="No objective has data"),
            Panel("Alerts that fire", "Each alert of an objective that fires now.",
                  [Query(f"max by (namespace, name, type, severity, group) (homeostat_slo_alert_firing{{{OF}}})")],
                  unit="none", kind="table", steps=((None, RED),), columns=("Firing",), empty="No alert fires"),
            Panel("What budgets hold", "What a budget policy holds now because the budget is low.",
                  [Query(f"max by (namespace, name, hold) (homeostat_slo_hold{{{OF}}}) == 1")],
                  unit="none", kind="table", steps=((None, ORANGE),), columns=("Held",), empty="Nothing is held"),
            Panel("Without data", "Objectives of which nothing is known: they can neither be met nor missed.",
                  [Query(f'max by (namespace, name) (homeostat_slo_state{{{OF},state="Unknown"}})')],
                  unit="none", kind="table", steps=((None, ORANGE),), columns=("Unknown",),
                  empty="Every objective has data"),
        )),
        Row("Checks", (
            Panel("Checks that are not healthy", "State of each check that is not healthy now, with its service.",
                  [Query(f'max by (namespace, name, state, service, criticality) (homeostat_check_state{{{OF},state!="Healthy"}}'
                         " * on (namespace, name) group_left (service, criticality) homeostat_check_info)")],
                  unit="none", kind="table", steps=((None, ORANGE),), columns=("Now",), empty="All checks are healthy"),
            Panel("Results", "Runs of checks per second, by result.",
                  [Query(f"sum by (result) (rate(homeostat_check_results_total{{{OF}}}[$__rate_interval]))",
                         "{{result}}")], unit="ops", is_stacked=True),
            Panel("Certificates", "When the certificates expire that are the next to do so.",
                  [Query(f"bottomk(10, max by (namespace, name) (homeostat_check_certificate_expiry_timestamp_seconds{{{OF}}}) - time())")],
                  unit="s", kind="table", steps=((None, RED), (604800, ORANGE), (1209600, GREEN)),
                  columns=("Expires in",), empty="No check has seen a certificate"),
            Panel("Checks that flap", "Checks that turn to and fro: their state is held back until they settle.",
                  [Query(f"max by (namespace, name) (homeostat_check_flapping{{{OF}}}) == 1")],
                  unit="none", kind="table", steps=((None, ORANGE),), columns=("Flapping",), empty="No check flaps"),
        )),
    ),
)  # fmt: skip

# --- one objective --------------------------------------------------------------------------------------

SLO = Dashboard(
    "homeostat-slo",
    "homeostat / Objective",
    "One objective in detail: indicator, budget, burn rates, alerts and groups",
    variables=(
        Variable("namespace", "Namespace", "label_values(homeostat_slo_objective_ratio, namespace)"),
        Variable("name", "Objective", f"label_values(homeostat_slo_objective_ratio{{{OF}}}, name)"),
    ),
    notes=NOTES,
    since="now-7d",
    rows=(
        Row("Now", (
            Panel("Indicator", "The indicator over the window.",
                  [Query(f"homeostat_slo_sli_ratio{{{ONE}}}", "{{namespace}}/{{name}}")], unit="percentunit",
                  kind="stat", width=6, height=5, decimals=3),
            Panel("Objective", "What was promised.",
                  [Query(f"homeostat_slo_objective_ratio{{{ONE}}}", "{{namespace}}/{{name}}")], unit="percentunit",
                  kind="stat", width=6, height=5, decimals=3, steps=((None, GREY),)),
            Panel("Error budget left", "What is left of the budget of the window; below 0 more was spent than there was.",
                  [Query(f"homeostat_slo_error_budget_remaining_ratio{{{ONE}}}", "{{namespace}}/{{name}}")],
                  unit="percentunit", kind="stat", width=6, height=5, decimals=1, steps=BUDGET),
            Panel("Data", "Share of the window that has data.",
                  [Query(f"homeostat_slo_window_coverage_ratio{{{ONE}}}", "{{namespace}}/{{name}}")],
                  unit="percentunit", kind="stat", width=6, height=5, decimals=1,
                  steps=((None, RED), (0.5, YELLOW), (0.9, GREEN))),
        )),
        Row("Over time", (
            Panel("Error budget", "What is left of the budget of the window.",
                  [Query(f"homeostat_slo_error_budget_remaining_ratio{{{ONE}}}", "{{namespace}}/{{name}}")],
                  unit="percentunit", steps=((None, RED), (0, GREEN)), most=1),
            Panel("Indicator and objective", "The indicator over the window, beside what was promised.",
                  [Query(f"homeostat_slo_sli_ratio{{{ONE}}}", "{{namespace}}/{{name}}"),
                   Query(f"homeostat_slo_objective_ratio{{{ONE}}}", "promised of {{namespace}}/{{name}}")],
                  unit="percentunit"),
            Panel("Burn rates", "How fast the budget burns, by window; 1 uses it up in exactly one period.",
                  [Query(f"homeostat_slo_burn_rate{{{ONE}}}", "{{name}} {{window}}")], unit="none", steps=BURN, least=0),
            Panel("State", "Met, burning, exhausted or unknown.",
                  [Query(f"homeostat_slo_state{{{ONE}}}", "{{name}} {{state}}")], unit="none", kind="state-timeline",
                  words={"1": ("is", GREEN)}),
            Panel("Events", "Good and bad events of the window, or slices where the budget is counted in them.",
                  [Query(f"homeostat_slo_good_events{{{ONE}}}", "{{name}} good"),
                   Query(f"homeostat_slo_bad_events{{{ONE}}}", "{{name}} bad")]),
            Panel("Alerts", "Alerts that fire.",
                  [Query(f"homeostat_slo_alert_firing{{{ONE}}}", "{{name}} {{type}} {{severity}} {{long}} {{group}}")],
                  unit="none", kind="state-timeline", words={"1": ("fires", RED)}, empty="No alert fires"),
        )),
        Row("Groups and holds", (
            Panel("Groups", "Budget left and indicator of each group, as ratios.",
                  [Query(f"max by (namespace, name, group) (homeostat_slo_group_error_budget_remaining_ratio{{{ONE}}})"),
                   Query(f"max by (namespace, name, group) (homeostat_slo_group_sli_ratio{{{ONE}}})")],
                  unit="percentunit", kind="table", steps=BUDGET, decimals=2, columns=("Budget left", "Indicator"),
                  empty="The objective has no groups"),
            Panel("What the budget holds", "Chaos, recovery or rollouts that the budget policy holds.",
                  [Query(f"homeostat_slo_hold{{{ONE}}}", "{{name}} {{hold}}")], unit="none", kind="state-timeline",
                  words={"0": ("goes on", GREEN), "1": ("held", ORANGE)}, empty="No budget policy"),
        )),
    ),
)  # fmt: skip

# --- recovery -------------------------------------------------------------------------------------------

RECOVERY = Dashboard(
    "homeostat-recovery",
    "homeostat / Recovery",
    "What was healed, what was not and why, and how long it took",
    variables=(
        NAMESPACE,
        Variable("name", "Policy", f"label_values(homeostat_recovery_attempts_total{{{OF}}}, name)"),
    ),
    notes=NOTES,
    since="now-24h",
    rows=(
        Row("In this time", (
            Panel("Recovered", "Attempts after which the trigger went quiet and stayed so.",
                  [Query(f'sum(increase(homeostat_recovery_attempts_total{{{ONE},outcome="Recovered"}}[$__range])) or vector(0)')],
                  kind="stat", width=6, height=4, decimals=0),
            Panel("Not recovered", "Attempts that failed, or of which it is not known.",
                  [Query(f'sum(increase(homeostat_recovery_attempts_total{{{ONE},outcome=~"Failed|Unverified"}}[$__range])) or vector(0)')],
                  kind="stat", width=6, height=4, decimals=0, steps=BAD_ABOVE_0),
            Panel("Left to a human", "Attempts that ended with an escalation.",
                  [Query(f'sum(increase(homeostat_recovery_attempts_total{{{ONE},outcome="Escalated"}}[$__range])) or vector(0)')],
                  kind="stat", width=6, height=4, decimals=0, steps=ODD_ABOVE_0),
            Panel("Held up now", "Policies that should act and do not.",
                  [Query(f"count(homeostat_recovery_blocked{{{ONE}}}) or vector(0)")], kind="stat", width=6, height=4,
                  steps=ODD_ABOVE_0),
        )),
        Row("Why nothing is done", (
            Panel("Held up", "Policies that should act and do not, with the reason, and for how long.",
                  [Query(f"max by (namespace, name, reason) (homeostat_recovery_blocked{{{ONE}}}"
                         f" * on (namespace, name) group_left () (time() - homeostat_recovery_blocked_since_timestamp_seconds{{{ONE}}}))")],
                  unit="s", kind="table", steps=((None, YELLOW), (600, ORANGE), (3600, RED)), columns=("For",),
                  empty="No policy is held up"),
            Panel("Refusals", "Decisions not to act, by reason; one that lasts counts once.",
                  [Query("sum by (reason) (increase(homeostat_recovery_refusals_total[$__rate_interval]))", "{{reason}}")],
                  is_stacked=True, empty="Nothing was refused"),
        )),
        Row("Attempts", (
            Panel("By step and outcome", "Attempts that are over.",
                  [Query(f"sum by (step, outcome) (increase(homeostat_recovery_attempts_total{{{ONE}}}[$__rate_interval]))",
                         "{{step}} {{outcome}}")], is_stacked=True),
            Panel("By cause", "What triggered the attempts of this time.",
                  [Query(f"sum by (cause, outcome) (increase(homeostat_recovery_causes_total{{{ONE}}}[$__range])) > 0")],
                  kind="table", columns=("Attempts",), decimals=0, empty="No attempt in this time"),
            Panel("How long it took", "Mean time of each part of the attempts of an hour: to detect, decide, act and recover.",
                  [Query(f"sum by (part) (increase(homeostat_recovery_seconds_sum{{{ONE}}}[1h]))"
                         f" / (sum by (part) (increase(homeostat_recovery_seconds_count{{{ONE}}}[1h])) > 0)", "{{part}}")],
                  unit="s", empty="No attempt acted"),
            Panel("Acts", "Acts on the cluster for policies, by outcome. Locks and tokens count too.",
                  [Query('sum by (action, outcome) (increase(homeostat_actions_total{kind="RecoveryPolicy"}[$__rate_interval]))',
                         "{{action}} {{outcome}}")], is_stacked=True, empty="Nothing was done"),
        )),
    ),
)  # fmt: skip

# --- chaos ----------------------------------------------------------------------------------------------

CHAOS = Dashboard(
    "homeostat-chaos",
    "homeostat / Chaos",
    "Experiments: what is on, what was shown, and how long it took",
    variables=(
        Variable("namespace", "Namespace", "label_values(homeostat_chaos_runs_total, namespace)"),
        Variable("name", "Experiment", f"label_values(homeostat_chaos_runs_total{{{OF}}}, name)"),
    ),
    notes=(ATTEMPTS,),
    since="now-24h",
    rows=(
        Row("Now", (
            Panel("Faults on", "Experiments that have a fault on, or have not recovered from it.",
                  [Query(f"count(homeostat_chaos_active{{{ONE}}}) or vector(0)")], kind="stat", width=8, height=4,
                  steps=ODD_ABOVE_0),
            Panel("Faults that could not be taken off", "Targets that still have a fault although its undo was tried: a human is needed.",
                  [Query(f"sum(homeostat_chaos_faults_left{{{ONE}}}) or vector(0)")], kind="stat", width=8, height=4,
                  steps=BAD_ABOVE_0),
            Panel("Held by a budget", "Objectives whose budget policy holds chaos.",
                  [Query(f'count(homeostat_slo_hold{{{OF},hold="Chaos"}} == 1) or vector(0)')], kind="stat", width=8,
                  height=4, steps=ODD_ABOVE_0),
        )),
        Row("Runs", (
            Panel("At work", "When each experiment had its fault on.",
                  [Query(f"homeostat_chaos_active{{{ONE}}}", "{{namespace}}/{{name}} {{fault}}")], unit="none",
                  kind="state-timeline", words={"1": ("on", "purple")}, width=WIDE, empty="No fault was on"),
            Panel("Verdicts", "Runs that are over, by what they showed.",
                  [Query(f"sum by (namespace, name, verdict) (increase(homeostat_chaos_runs_total{{{ONE}}}[$__range])) > 0")],
                  kind="table", columns=("Runs",), decimals=0, empty="No run in this time"),
            Panel("How long it took", "Mean time from the injection until it was detected, acted on and recovered from; and of the undo.",
                  [Query(f"sum by (part) (increase(homeostat_chaos_seconds_sum{{{ONE}}}[1h]))"
                         f" / (sum by (part) (increase(homeostat_chaos_seconds_count{{{ONE}}}[1h])) > 0)", "{{part}}")],
                  unit="s", empty="No run is over"),
        )),
        Row("What it did to services", (
            Panel("Health of services", "Health of services while faults were on.",
                  [Query(f"max by (namespace, service) (homeostat_service_score{{{OF}}})", "{{namespace}}/{{service}}")],
                  unit="none", least=0, most=100),
            Panel("Error budgets", "Budgets while faults were on.",
                  [Query(f"homeostat_slo_error_budget_remaining_ratio{{{OF}}}", "{{namespace}}/{{name}}")],
                  unit="percentunit", most=1),
        )),
    ),
)  # fmt: skip
