"""Whether what the operator reads and writes answers, and what it was given fits together."""

from homeostat.core.diagnosis.readings import (
    MOST_NAMED,
    Deployed,
    Diagnosis,
    Found,
    ObjectsSeen,
    Readings,
    Unread,
    Verdict,
    ok,
    some,
    unread,
)

FULL = 0.9
"""Of the room that history may have."""
ROOM = "536870912"
"""The default of the setting historyMaxBytes."""


# --- what it reads and writes ---------------------------------------------------------------------------


_OLD = Unread("nobody leads, and what stands on objects is old")


def prometheus(readings: Readings) -> Found:
    """Say whether what objects ask Prometheus is answered, and whether it answers at all where that can be tried."""
    objects, deployed = readings.objects, readings.deployed
    if readings.reach:
        yield _unreached(readings, readings.reach)
        return
    if isinstance(objects, Unread):
        yield unread("Prometheus", objects)
        return
    url = deployed.setting("PROMETHEUS_URL") if isinstance(deployed, Deployed) else ""
    ills = [one for one in objects.troubles if one.condition == "Prometheus"]
    if ills:
        says = f"{ills[0].message} ({some([one.what for one in ills])})"
        yield Diagnosis("Prometheus", Verdict.FAIL, says, _shown_url(readings))
    elif objects.asks_prometheus and isinstance(deployed, Deployed) and not url:
        says = "objects ask Prometheus, and the setting prometheusUrl is empty"
        yield Diagnosis("Prometheus", Verdict.WARN, says, "helm upgrade with --set prometheus.url=http://HOST:9090")
    elif objects.asks_prometheus and readings.is_led is False:
        yield unread("Prometheus", _OLD)
    else:
        told = "answers what objects ask it" if objects.asks_prometheus else f"no object{_listed(objects)} asks it"
        answers = "answers; " if readings.reach == "" and not objects.asks_prometheus else ""
        yield ok("Prometheus", f"{url + ': ' if url else ''}{answers}{told}")


_ILLS = {
    "PrometheusUnreachable": "cannot be reached from the operator's Pod",
    "PrometheusTimeout": "did not answer in time",
    "PrometheusUnavailable": "answers, and not as Prometheus does",
    "PrometheusNotPermitted": "refuses the operator: its token is missing, or not the right one",
}


def _unreached(readings: Readings, reach: str | Unread) -> Diagnosis:
    if isinstance(reach, Unread):
        return unread("Prometheus", reach)
    url = readings.deployed.setting("PROMETHEUS_URL") if isinstance(readings.deployed, Deployed) else ""
    says = f"{url} {_ILLS.get(reach, f'does not answer: {reach}')}"
    return Diagnosis("Prometheus", Verdict.FAIL, says, _shown_url(readings))


def _shown_url(readings: Readings) -> str:
    return f"kubectl -n {readings.operator_namespace} exec {readings.workload} -- homeostat settings | grep prometheus"


def _listed(objects: ObjectsSeen) -> str:
    """Take back what is said of all objects where some may not be listed."""
    return " that you may list" if objects.not_listed else ""


def rules(readings: Readings) -> Found:
    """Say whether the rules of objectives are written and loaded."""
    objects = readings.objects
    if isinstance(objects, Unread):
        yield unread("rules", objects)
        return
    ills = [one for one in objects.troubles if one.condition == "RulesReady"]
    if ills:
        says = f"{ills[0].reason}: {ills[0].message} ({some([one.what for one in ills])})"
        yield Diagnosis("rules", Verdict.WARN, says, _explain(ills[0].what))
    elif objects.emits_rules and readings.is_led is False:
        yield unread("rules", _OLD)
    else:
        yield ok("rules", "written and loaded" if objects.emits_rules else f"no objective{_listed(objects)} writes any")


def _explain(what: str) -> str:
    """Give the command for one of our objects, named as shop/slo/cart."""
    namespace, _, name = what.partition("/")
    return f"homeostat explain {name} -n {namespace}"


def alertmanager(readings: Readings) -> Found:
    """Say whether alerts arrive."""
    deployed, metrics = readings.deployed, readings.metrics
    if isinstance(deployed, Unread):
        yield unread("Alertmanager", deployed)
        return
    if deployed is None:
        yield unread("Alertmanager", Unread("there is no Deployment whose settings would say"))
        return
    url = deployed.setting("ALERTMANAGER_URL")
    if not url:
        yield ok("Alertmanager", "none is set: alerts stand on objects, as events and in metrics")
        return
    if isinstance(metrics, Unread):
        yield unread("Alertmanager", metrics)
        return
    posts = {what: metrics.get(f"homeostat_alertmanager_posts_total{{{what}}}", 0) for what in _POSTS}
    if posts["Unavailable"] or posts["Refused"]:
        says = (
            f"{url}: {posts['Unavailable']:.0f} posts did not arrive and {posts['Refused']:.0f} were refused, since the"
        )
        yield Diagnosis("Alertmanager", Verdict.WARN, f"{says} operator started", f"curl -s {url}/-/ready")
    else:
        yield ok("Alertmanager", f"{url}: took {posts['Taken']:.0f} posts")


_POSTS = ("Taken", "Refused", "Unavailable")


def store(readings: Readings) -> Found:
    """Say whether history is written, and has room."""
    metrics, deployed = readings.metrics, readings.deployed
    if isinstance(metrics, Unread):
        yield unread("history", metrics)
        return
    errors, dropped = (
        metrics.get("homeostat_history_errors_total", 0),
        metrics.get("homeostat_history_dropped_total", 0),
    )
    size = metrics.get("homeostat_history_bytes", 0)
    room = float(deployed.setting("HISTORY_MAX_BYTES", ROOM)) if isinstance(deployed, Deployed) else 0.0
    logs = f"{readings.logs} | grep -i history"
    if errors or dropped:
        says = f"{errors:.0f} writes failed and {dropped:.0f} records were given up, since the operator started"
        yield Diagnosis("history", Verdict.WARN, f"{says}: is its volume full or read-only?", logs)
    elif room and size > FULL * room:
        says = f"{size / 1e6:.0f} MB of {room / 1e6:.0f} MB: soon the oldest is given up"
        yield Diagnosis("history", Verdict.WARN, says, "helm upgrade with --set settings.historyMaxBytes=BYTES")
    else:
        is_lost = isinstance(deployed, Deployed) and deployed.is_history_kept is False
        kept = "; it is lost with its Pod (emptyDir)" if is_lost else ""
        yield ok("history", f"written, {size / 1e6:.1f} MB{kept}")


def pod_security(readings: Readings) -> Found:
    """Say whether Pod Security lets in what is to run, and no more."""
    levels, objects, own = readings.levels, readings.objects, readings.operator_namespace
    if isinstance(levels, Unread):
        yield unread("Pod Security", levels)
        return
    if own not in levels:
        do = f"kubectl get namespace {own} -L pod-security.kubernetes.io/enforce"
        yield unread("Pod Security", Unread(f"there is no namespace {own}, or you may not get it", do))
    elif levels[own] != "restricted":
        is_set = f"enforces {levels[own]!r}" if levels.get(own) else "enforces no level"
        do = f"kubectl label namespace {own} pod-security.kubernetes.io/enforce=restricted --overwrite"
        yield Diagnosis("Pod Security", Verdict.WARN, f"{own} {is_set}; the operator needs no more than restricted", do)
    agents = () if isinstance(objects, Unread) else objects.agents
    is_all_known = not isinstance(objects, Unread) and not objects.not_listed
    barred = [one for one in agents if levels.get(one[0], "privileged") not in {"", "privileged"}]
    for namespace in dict.fromkeys(one[0] for one in barred):
        named = some([f"chaos/{name} ({fault})" for where, name, fault in barred if where == namespace])
        says = f"{namespace} enforces {levels[namespace]!r}: the agents of {named} need capabilities it does not allow"
        do = f"kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite"
        yield Diagnosis("Pod Security", Verdict.WARN, says, do)
    if levels.get(own, "") == "restricted" and not barred:
        whose = "no experiment" if is_all_known else "no experiment that you may list"
        yield ok("Pod Security", f"{own} enforces restricted; {whose} needs more than its namespace allows")


def leftovers(readings: Readings) -> Found:
    """Say what experiments left behind."""
    left = readings.leftovers
    if isinstance(left, Unread):
        yield unread("leftovers", left)
        return
    if readings.guards is not None:
        yield unread("leftovers", readings.guards)
    if left:
        says = f"{len(left)} things that no experiment answers for: {some(left)}"
        yield Diagnosis("leftovers", Verdict.FAIL, says, "homeostat chaos sweep")
    else:
        what = "marker, guard or agent" if readings.guards is None else "marker or agent"
        yield ok("leftovers", f"no {what} without an experiment")


def objects(readings: Readings) -> Found:
    """Say which of our objects are not accepted, and which policies could not act."""
    objects = readings.objects
    if isinstance(objects, Unread):
        yield unread("objects", objects)
        return
    if objects.not_listed:
        says = f"you may not list {', '.join(objects.not_listed)}"
        yield Diagnosis("objects", Verdict.UNKNOWN, says, "kubectl get homeostat -A")
    ills = [one for one in objects.troubles if one.condition in {"Stalled", "Ready", "Permitted"}]
    for one in ills[:MOST_NAMED]:
        verdict = Verdict.FAIL if one.condition == "Stalled" else Verdict.WARN
        yield Diagnosis("objects", verdict, f"{one.what}: {one.reason}: {one.message}")
    if len(ills) > MOST_NAMED:
        yield Diagnosis("objects", Verdict.WARN, f"{len(ills) - MOST_NAMED} more are not ready", "homeostat status -A")
    if objects.count and not ills and readings.is_led is False:
        yield unread("objects", _OLD)
    elif not ills and not objects.not_listed:
        yield ok("objects", f"{objects.count}, all accepted")


# --- settings -------------------------------------------------------------------------------------------


def settings(readings: Readings) -> Found:
    """Name settings that contradict each other, or what is asked of the operator."""
    deployed, objects = readings.deployed, readings.objects
    if not isinstance(deployed, Deployed):
        return
    is_namespaced = deployed.setting("SCOPE", "Cluster") == "Namespaced"
    is_sqlite = deployed.setting("STORE_URL", "sqlite").startswith("sqlite")
    replicas = deployed.wanted or 0
    has_agents = not isinstance(objects, Unread) and bool(objects.agents)
    contradictions = (
        (
            is_namespaced and bool(_names(deployed, "NODE_NAMESPACES") or _names(deployed, "CHAOS_NODE_NAMESPACES")),
            "scope is Namespaced, and nodeNamespaces or chaosNodeNamespaces is set: Nodes are not of a namespace",
            "helm upgrade with scope=Cluster, or without nodeNamespaces and chaosNodeNamespaces",
        ),
        (
            replicas > 1 and is_sqlite and deployed.is_history_kept is True,
            f"{replicas} replicas, and history in a file on one volume: a standby cannot take it over elsewhere",
            "helm upgrade with history.store=PostgreSQL, or replicas=1",
        ),
        (
            replicas > 1 and is_sqlite and deployed.is_history_kept is False,
            f"{replicas} replicas, each with a history of its own, which is lost with its Pod",
            "helm upgrade with history.store=PostgreSQL, or replicas=1",
        ),
        (
            has_agents and not deployed.setting("AGENT_IMAGE"),
            "experiments want agents, and the setting agentImage is empty",
            f"kubectl -n {readings.operator_namespace} set env deployment/{deployed.name} HOMEOSTAT_AGENT_IMAGE=IMAGE",
        ),
        (
            deployed.setting("GUARDS") == "Off",
            "guards are Off: a fault outlives an operator that dies",
            f"kubectl -n {readings.operator_namespace} set env deployment/{deployed.name} HOMEOSTAT_GUARDS=Required",
        ),
    )
    told = [Diagnosis("settings", Verdict.WARN, says, do) for holds, says, do in contradictions if holds]
    yield from told or [ok("settings", "none contradicts another")]


def _names(deployed: Deployed, setting: str) -> str:
    return deployed.setting(setting).strip("[] ")
