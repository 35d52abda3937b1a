"""Which questions are about a name that has to fail. Pure.

Names are compared without regard to case and to a dot at the end. A name also stands for what resolvers make of it by
the search list: `db.shop` fails as `db.shop.svc.cluster.local` too where `svc.cluster.local` is searched. A `*` stands
for any characters, dots among them: `*.shop.svc` is every name below shop.svc, but not shop.svc itself.
"""

import re
from collections.abc import Iterable


class FailingNames:
    """The names that fail."""

    def __init__(self, names: Iterable[str], search: Iterable[str]) -> None:
        endings = "|".join(re.escape("." + _plain(domain)) for domain in search if _plain(domain))
        any_name = "|".join(_pattern(_plain(name)) for name in names)
        self._pattern = re.compile(f"(?:{any_name})(?:{endings})?", re.DOTALL)

    def __contains__(self, name: str) -> bool:
        return self._pattern.fullmatch(_plain(name)) is not None


def search_list(resolv_conf: str) -> tuple[str, ...]:
    """Give the domains that a resolver with this configuration searches: those of the last line that names any."""
    found: tuple[str, ...] = ()
    for line in resolv_conf.splitlines():
        words = line.split()
        if words and words[0] in {"search", "domain"}:
            found = tuple(words[1:])
    return found


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _pattern(name: str) -> str:
    return ".*".join(map(re.escape, name.split("*")))
