"""Grants as roles hold them: of several for the same thing one rule."""

from collections.abc import Iterable

from homeostat.core.rights import Grant


def united(grants: Iterable[Grant]) -> dict[str, dict[tuple[str, str, tuple[str, ...]], frozenset[str]]]:
    """Unite rules: of each role, the verbs for each (group, resource, names)."""
    roles: dict[str, dict[tuple[str, str, tuple[str, ...]], frozenset[str]]] = {}
    for grant in grants:
        rules = roles.setdefault(grant.role, {})
        what = grant.group, grant.resource, grant.names
        rules[what] = rules.get(what, frozenset()) | frozenset(grant.verbs)
    return roles
