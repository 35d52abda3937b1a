"""An operator with chosen rights: roles made of `core.rights.GRANTS`, of which single rules can be taken out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cluster.installation import ALONE, apply, token_of
from cluster.operator_process import OperatorProcess, kubeconfig_for
from cluster.stage import MERGE, Api
from cluster.waiting import until
from homeostat.core.cluster import Right
from homeostat.core.rights import GRANTS, OPERATOR, Grant, Place, Scope, rights_of

RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT = "limited"
ALL = tuple(sorted({grant.feature for grant in GRANTS if grant.feature}))
HURRY = {"homeostat.engine.granted:SOON": 0.2, "homeostat.engine.granted:ROUND": 0.2}
HURRY |= {"homeostat.kube.authorization.rights:REMEMBER_FOR": 0.1, "homeostat.kube.authorization.rights:DOUBT_FOR": 0.1}
OURS = tuple(grant for grant in GRANTS if grant.account == OPERATOR)

_LABEL = re.compile(r'(\w+)="([^"]*)"')

Rule = tuple[str, str, str, str]
"""Role, group, resource, verb: what can be taken out."""


@dataclass
class Limited:
    """An account with roles of its own, and the operator that runs as it, outside."""

    api: Api
    kubeconfig: Path
    namespace: str
    folder: Path
    scope: Scope = Scope.CLUSTER
    process: OperatorProcess | None = None
    made: list[str] = field(default_factory=list)

    @property
    def own(self) -> str:
        """Name the operator's own namespace: in scope Namespaced another than the watched one."""
        return f"{self.namespace}-own"

    def prepare(self) -> None:
        """Make namespace and account."""
        apply(self.api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.own}})
        apply(self.api, _named("v1", "ServiceAccount", ACCOUNT, self.own))
        if self.scope is Scope.NAMESPACED:
            path = f"/api/v1/namespaces/{self.namespace}"
            code, answer = self.api("PATCH", path, {"metadata": {"labels": {ALONE: ""}}}, content_type=MERGE)
            assert code == 200, answer

    def grant(self, grants: Iterable[Grant] = OURS, without: Iterable[Rule] = ()) -> None:
        """Write all roles anew, without some rules; a role may be left with none."""
        cut = frozenset(without)
        for role in sorted({grant.role for grant in OURS}):
            some = [grant for grant in grants if grant.role == role]
            for name, places, namespace in self._homes(role):
                rules = list(_rules((one for one in some if one.place in places), cut))
                kind = "Role" if namespace else "ClusterRole"
                apply(self.api, {**_named(RBAC, kind, name, namespace), "rules": rules})
                self._bind(kind, name, namespace)

    def start(self, *, wait_for: str = "loaded", flags: Sequence[str] = ()) -> OperatorProcess:
        """Start the operator with this account's token, in a hurry to ask for its rights again."""
        cluster = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        token = token_of(self.api, self.own, ACCOUNT)
        limited = kubeconfig_for(self.folder, cluster["server"], token, cluster["certificate-authority-data"])
        features = ("--features", yaml.safe_dump(list(ALL), default_flow_style=True, width=10_000).strip())
        told = ("--namespaces", self.namespace, "--operator-namespace", self.own, "--scope", self.scope.value)
        self.process = OperatorProcess(self.folder, limited, "limited", (*told, *features, *flags), HURRY)
        self.process.start(wait_for=wait_for)
        return self.process

    def missing(self) -> frozenset[tuple[str, str, str]]:
        """Give what /metrics says is missing: (role, resource, verb)."""
        assert self.process is not None
        lines = self.process.get("/metrics")[1].splitlines()
        samples = [line for line in lines if line.startswith("homeostat_right_missing{")]
        labels = [
            dict(part.split("=", 1) for part in line[line.index("{") + 1 : line.index("}")].split(","))
            for line in samples
        ]
        return frozenset((one["role"].strip('"'), one["resource"].strip('"'), one["verb"].strip('"')) for one in labels)

    def end(self) -> None:
        """Kill the operator and take everything away."""
        if self.process is not None:
            self.process.kill()
        for path in self.made:
            self.api("DELETE", path)
        self.api("DELETE", f"/api/v1/namespaces/{self.own}")

    def _homes(self, role: str) -> Iterator[tuple[str, frozenset[Place], str]]:
        """Say where rules of a role go: name, places, namespace ("" for a ClusterRole)."""
        places = {grant.place for grant in OURS if grant.role == role}
        if Place.OWN in places:
            yield role, frozenset({Place.OWN}), self.own
        if self.scope is Scope.CLUSTER and places - {Place.OWN}:
            yield f"{role}-{self.namespace}", frozenset({Place.WATCHED, Place.CLUSTER}), ""
        elif Place.WATCHED in places:  # under another name, as beside a cluster-wide operator there may be none
            yield f"{role}-alone", frozenset({Place.WATCHED}), self.namespace

    def _bind(self, kind: str, name: str, namespace: str) -> None:
        document = _named(RBAC, f"{kind}Binding", name, namespace) | {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.own}],
        }
        apply(self.api, document)
        if not namespace:
            paths = (f"/apis/{RBAC}/clusterrolebindings/{name}", f"/apis/{RBAC}/clusterroles/{name}")
            self.made += [path for path in paths if path not in self.made]


def all_rules() -> tuple[Rule, ...]:
    """Give every rule of the operator's own roles, verb by verb."""
    rules = (rule_of(grant, verb) for grant in OURS for verb in grant.verbs)
    return tuple(dict.fromkeys(rules))


def rule_of(grant: Grant, verb: str) -> Rule:
    """Name one rule."""
    return grant.role, grant.group, grant.resource, verb


def expected(without: Iterable[Rule], limited: Limited) -> frozenset[tuple[str, str, str]]:
    """Say what must be told as missing when some rules are taken out: those that no other role gives."""
    cut = frozenset(without)
    held = {
        right
        for grant in OURS
        for right in rights_of(grant, limited.scope, (limited.namespace,), limited.own)
        if rule_of(grant, right.verb) not in cut
    }
    covered = {(one.verb, one.group, one.resource, one.subresource, one.namespace, one.name) for one in held}
    return frozenset(
        (grant.role, _shown(grant), right.verb)
        for grant in OURS
        for right in rights_of(grant, limited.scope, (limited.namespace,), limited.own)
        if not _is_covered(right, covered)
    )


def _is_covered(right: Right, covered: set[tuple[str, ...]]) -> bool:
    what = right.verb, right.group, right.resource, right.subresource
    return any((*what, where, right.name) in covered for where in {right.namespace, ""})


def _shown(grant: Grant) -> str:
    resource, slash, sub = grant.resource.partition("/")
    return f"{resource}{'.' if grant.group else ''}{grant.group}{slash}{sub}"


def _rules(grants: Iterable[Grant], cut: frozenset[Rule]) -> Iterator[dict[str, Any]]:
    for grant in grants:
        verbs = [verb for verb in grant.verbs if rule_of(grant, verb) not in cut]
        if verbs:
            rule = {"apiGroups": [grant.group], "resources": [grant.resource], "verbs": verbs}
            yield rule | ({"resourceNames": list(grant.names)} if grant.names else {})


def _named(version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def until_told(limited: Limited, wanted: frozenset[tuple[str, str, str]], what: str) -> None:
    """Wait until just this is told as missing."""
    last: list[frozenset[tuple[str, str, str]]] = []

    def look() -> bool:
        last[:] = [limited.missing()]
        return last[0] == wanted

    try:
        until(look, what)
    except AssertionError as error:
        error.add_note(f"not told: {sorted(wanted - last[0])}; told and should not be: {sorted(last[0] - wanted)}")
        raise
